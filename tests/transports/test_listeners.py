"""Listeners: what is bound, what is tidied up, and what is told where nothing can be bound."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from wirecore.errors import InvalidOption
from wirecore_trio._listeners import open_listeners

if TYPE_CHECKING:
    from tests.transports.conftest import Run


def test_one_port_serves_all_addresses(run_sockets: Run) -> None:
    async def story() -> None:
        listeners = await open_listeners(None, 0)
        assert len({listener.getsockname()[1] for listener in listeners}) == 1
        assert {listener.family for listener in listeners} >= {socket.AF_INET}
        for listener in listeners:
            listener.close()

    run_sockets(story)


@pytest.mark.parametrize("taken", [1, 3])
def test_a_port_that_isnt_free_everywhere_is_given_up(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    asked: list[int] = []
    real = trio.open_tcp_listeners

    async def open_listeners_of_two_ports(port: int, **options: Any) -> list[trio.SocketListener]:
        asked.append(port)
        if port and len(asked) <= 2 * taken:
            raise OSError(errno.EADDRINUSE, "address already in use")
        options["host"] = "127.0.0.1"
        return [*await real(port, **options), *(await real(0, **options) if not port else ())]

    async def story() -> None:
        monkeypatch.setattr(trio, "open_tcp_listeners", open_listeners_of_two_ports)
        listeners = await open_listeners(None, 0)
        assert len(listeners) == 1
        assert asked[::2] == [0] * (taken + 1)
        listeners[0].close()

    run_sockets(story)


def test_a_port_that_is_never_free_everywhere_is_an_error(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = trio.open_tcp_listeners

    async def open_listeners_of_two_ports(port: int, **_: Any) -> list[trio.SocketListener]:
        if port:
            raise OSError(errno.EADDRINUSE, "address already in use")
        return [*await real(0, host="127.0.0.1"), *await real(0, host="127.0.0.1")]

    async def story() -> None:
        monkeypatch.setattr(trio, "open_tcp_listeners", open_listeners_of_two_ports)
        with pytest.raises(
            OSError,
            match=r"port 0 of all addresses: no port was free on .*, tried 8; choose a port",
        ):
            await open_listeners(None, 0)

    run_sockets(story)


@pytest.mark.parametrize("port", [-1, 65536])
def test_what_is_no_port(run: Run, port: int) -> None:
    async def story() -> None:
        with pytest.raises(InvalidOption, match=f"a port is 0 to 65535, not {port}"):
            await open_listeners("127.0.0.1", port)

    run(story)


def test_what_else_goes_wrong_with_a_port_is_told(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = trio.open_tcp_listeners

    async def open_listeners_or_fail(port: int, **options: Any) -> list[trio.SocketListener]:
        if port:
            raise OSError(errno.EACCES, "permission denied")
        return [*await real(0, host="127.0.0.1"), *await real(0, host="127.0.0.1")]

    async def story() -> None:
        monkeypatch.setattr(trio, "open_tcp_listeners", open_listeners_or_fail)
        with pytest.raises(PermissionError):
            await open_listeners(None, 0)

    run_sockets(story)


def test_a_taken_port_is_an_error(run_sockets: Run) -> None:
    async def story() -> None:
        (listener,) = await open_listeners("127.0.0.1", 0)
        with listener, pytest.raises(OSError, match="in use"):
            await open_listeners("127.0.0.1", listener.getsockname()[1])

    run_sockets(story)


async def open_unix(path: Path) -> socket.socket:
    (listener,) = await open_listeners(None, 0, unix_path=str(path))
    return listener


def test_a_unix_sockets_file_comes_and_goes(
    run_sockets: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        monkeypatch.chdir(tmp_path)
        (listener,) = await open_listeners(None, 0, unix_path="s")
        assert (tmp_path / "s").is_socket()
        monkeypatch.chdir("/")
        listener.close()
        assert not (tmp_path / "s").exists()
        listener.close()

    run_sockets(story)


def test_a_dead_file_is_replaced_and_a_live_one_is_not(run_sockets: Run, tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "s"
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(path))
        dead.close()
        live = await open_unix(path)
        with pytest.raises(OSError, match="in use"):
            await open_unix(path)
        # Also where it is too busy to answer: its backlog is full.
        busy = [socket.socket(socket.AF_UNIX) for _ in range(200)]
        for client in busy:
            client.setblocking(False)
            client.connect_ex(str(path))
        with pytest.raises(OSError, match="in use"):
            await open_unix(path)
        for client in busy:
            client.close()
        assert path.is_socket()
        live.close()
        assert not path.exists()

    run_sockets(story)


def test_a_file_that_is_no_socket_is_left_alone(run_sockets: Run, tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "s"
        path.write_text("precious")
        with pytest.raises(OSError, match="in use"):
            await open_unix(path)
        assert path.read_text() == "precious"

    run_sockets(story)


def test_the_file_of_another_server_is_left_alone(
    run_sockets: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        path = tmp_path / "s"
        old = await open_unix(path)
        path.unlink()
        new = await open_unix(path)
        old.close()
        assert path.is_socket()
        path.unlink()
        new.close()  # somebody tidied up already

        gone = await open_unix(tmp_path / "t")
        (tmp_path / "t").unlink()
        (tmp_path / "t").symlink_to(tmp_path / "t")  # it can't be looked at
        gone.close()

    run_sockets(story)
    assert "can't remove the socket file" in caplog.text


# --- what can't be bound ----------------------------------------------------------------------


def test_a_taken_port_is_named_with_what_to_do(run_sockets: Run) -> None:
    async def story() -> None:
        (listener,) = await open_listeners("127.0.0.1", 0)
        port = listener.getsockname()[1]
        with (
            listener,
            pytest.raises(OSError, match=f"can't listen on 127.0.0.1:{port}: ") as caught,
        ):
            await open_listeners("127.0.0.1", port)
        assert caught.value.errno == errno.EADDRINUSE
        assert "another port" in str(caught.value)

    run_sockets(story)


@pytest.mark.parametrize(
    ("host", "where"),
    [(None, "port 80 of all addresses"), ("::1", "[::1]:80"), ("127.0.0.1", "127.0.0.1:80")],
)
def test_a_port_for_the_privileged_is_named(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch, host: str | None, where: str
) -> None:
    async def refuse(*_: Any, **__: Any) -> Any:
        await trio.lowlevel.checkpoint()
        raise PermissionError(errno.EACCES, "Permission denied")

    async def story() -> None:
        monkeypatch.setattr(trio, "open_tcp_listeners", refuse)
        with pytest.raises(PermissionError, match="privileged") as caught:
            await open_listeners(host, 80)
        assert f"can't listen on {where}: Permission denied; " in str(caught.value)

    run_sockets(story)


def test_an_address_of_another_machine_is_named(run_sockets: Run) -> None:
    async def story() -> None:
        with pytest.raises(OSError, match=r"192\.0\.2\.1:0: .*an address of this machine"):
            await open_listeners("192.0.2.1", 0)

    run_sockets(story)


def test_a_host_that_cant_be_found_is_named(run_sockets: Run) -> None:
    async def story() -> None:
        with pytest.raises(socket.gaierror, match=r"can't listen on no host:80: .*spelling"):
            await open_listeners("no host", 80)

    run_sockets(story)


def test_another_failure_is_named_without_advice(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        await trio.lowlevel.checkpoint()
        raise OSError(errno.ENOBUFS, "No buffer space available")

    async def story() -> None:
        monkeypatch.setattr(trio, "open_tcp_listeners", fail)
        with pytest.raises(OSError, match=r"localhost:80: No buffer space available$"):
            await open_listeners("localhost", 80)

    run_sockets(story)


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.EACCES, "write to the directory"), (errno.EROFS, os.strerror(errno.EROFS) + "$")],
)
def test_a_unix_path_that_may_not_be_written_is_named(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, hint: str
) -> None:
    def refuse(_: socket.socket, __: Any) -> None:
        raise OSError(number, os.strerror(number))

    async def story() -> None:
        monkeypatch.setattr("wirecore_trio._listeners._UnixListener.bind", refuse)
        with pytest.raises(OSError, match=hint) as caught:
            await open_unix(tmp_path / "s")
        assert caught.value.errno == number
        assert f"can't listen on the Unix socket {tmp_path / 's'}: " in str(caught.value)

    run_sockets(story)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("missing/s", "the directory must exist"),
        ("file/s", "leads through a file"),
        ("file", "never removed"),
        ("s" * 200, "too long"),
    ],
)
def test_what_is_wrong_with_a_unix_path_is_told(
    run_sockets: Run, tmp_path: Path, name: str, hint: str
) -> None:
    async def story() -> None:
        path = tmp_path / name
        (tmp_path / "file").write_text("precious")
        with pytest.raises(OSError, match=hint) as caught:
            await open_unix(path)
        assert str(path) in str(caught.value)
        assert (tmp_path / "file").read_text() == "precious"

    run_sockets(story)


def test_a_unix_listener_that_is_stopped_in_the_middle_leaves_nothing(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    async def story() -> None:
        monkeypatch.setattr("wirecore_trio._listeners._UnixListener.listen", stop)
        with pytest.raises(KeyboardInterrupt):
            await open_unix(tmp_path / "s")
        assert not (tmp_path / "s").exists()

    run_sockets(story)
