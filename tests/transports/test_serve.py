"""Listeners and the acceptor: what is bound, what is counted, and what a bad moment does."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.errors import InvalidOption
from wirecore_trio import _serve
from wirecore_trio._serve import Acceptor, open_listeners

if TYPE_CHECKING:
    from tests.transports.conftest import Run


async def hold(sock: socket.socket) -> None:
    """A connection's life: until its peer closes."""
    with sock:
        sock.setblocking(False)
        await trio.lowlevel.wait_readable(sock)


async def acceptor_of(
    nursery: trio.Nursery,
    on_connection: Callable[[socket.socket], Awaitable[None]] = hold,
    *,
    max_connections: int = 100,
    max_handshakes: int = 100,
    plain: bool = True,
) -> Acceptor:
    acceptor = Acceptor(
        await open_listeners("127.0.0.1", 0),
        on_connection,
        max_connections=max_connections,
        max_handshakes=max_handshakes,
        plain=plain,
    )
    nursery.start_soon(acceptor.run)
    return acceptor


async def dial(acceptor: Acceptor) -> trio.SocketStream:
    address: Any = acceptor.addresses[0]
    stream = await trio.open_tcp_stream("127.0.0.1", address[1])
    await trio.testing.wait_all_tasks_blocked(0.01)
    return stream


# --- listeners ------------------------------------------------------------------------------


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
        with pytest.raises(OSError, match="no port was free on all addresses of None"):
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


# --- the acceptor ---------------------------------------------------------------------------


def test_connections_are_counted_and_one_too_many_is_told(
    run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery, max_connections=2)
            first, second = await dial(acceptor), await dial(acceptor)
            assert acceptor.connections == 2
            third = await dial(acceptor)
            assert (await third.receive_some()).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert await third.receive_some() == b""
            assert acceptor.connections == 2
            await first.aclose()
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert acceptor.connections == 1
            fourth = await dial(acceptor)
            assert acceptor.connections == 2
            for stream in (second, third, fourth):
                await stream.aclose()
            acceptor.stop_accepting()

    run_sockets(story)
    assert "max_connections is 2" in caplog.text


def test_a_flood_of_connections_is_no_flood_in_the_log(
    run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery, max_connections=2)
            for told in (1, 2):
                held = [await dial(acceptor) for _ in range(2)]
                for _ in range(5):
                    await (await dial(acceptor)).aclose()
                assert caplog.text.count("max_connections is 2") == told
                for stream in held:  # told again once it had eased off
                    await stream.aclose()
                await trio.testing.wait_all_tasks_blocked(0.01)
            acceptor.stop_accepting()

    run_sockets(story)


def test_who_isnt_open_yet_cant_take_every_place(
    run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Connections that say nothing are refused beyond a bound of their own, and told once."""

    async def story() -> None:
        accepted: list[socket.socket] = []

        async def note_and_hold(sock: socket.socket) -> None:
            accepted.append(sock)
            await hold(sock)

        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery, note_and_hold, max_handshakes=2)
            for told in (1, 2):
                silent = [await dial(acceptor) for _ in range(2)]
                assert acceptor.handshakes == 2
                for _ in range(3):
                    async with await dial(acceptor) as refused:
                        assert (await refused.receive_some()).startswith(b"HTTP/1.1 503 ")
                assert caplog.text.count("max_handshakes is 2") == told
                for sock in accepted:
                    acceptor.opened(sock)
                assert acceptor.handshakes == 0
                async with await dial(acceptor):
                    assert acceptor.handshakes == 1
                    assert acceptor.connections == 3
                for stream in silent:
                    await stream.aclose()
                await trio.testing.wait_all_tasks_blocked(0.01)
                assert acceptor.connections == acceptor.handshakes == 0
                accepted.clear()
            acceptor.stop_accepting()

    run_sockets(story)


def test_behind_tls_one_too_many_is_just_closed(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery, max_connections=1, plain=False)
            async with await dial(acceptor), await dial(acceptor) as second:
                assert await second.receive_some() == b""
                acceptor.stop_accepting()

    run_sockets(story)


def test_one_too_many_that_cant_be_told(run_sockets: Run) -> None:
    class Refused:
        """A socket whose peer is gone."""

        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...
        def setblocking(self, _: bool) -> None: ...

        def send(self, _: bytes) -> None:
            raise BrokenPipeError(errno.EPIPE, "broken pipe")

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery)
            refused: Any = Refused()
            acceptor._refuse(refused, "max_connections", 100, "open")
            acceptor.stop_accepting()

    run_sockets(story)


def test_stopping_lets_what_is_open_go_on(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery)
            stream = await dial(acceptor)
            assert acceptor.accepting
            acceptor.stop_accepting()
            acceptor.stop_accepting()
            assert not acceptor.accepting
            with pytest.raises(OSError, match="connect"):
                await dial(acceptor)
            assert acceptor.connections == 1
            waiting = 0

            async def wait_idle() -> None:
                nonlocal waiting
                waiting += 1
                await acceptor.wait_idle()
                waiting -= 1

            nursery.start_soon(wait_idle)
            nursery.start_soon(wait_idle)  # two may wait for it
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert waiting == 2
            await stream.aclose()
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert waiting == 0
            await acceptor.wait_idle()

    run_sockets(story)


def test_idle_is_waited_for_again_where_another_came_in_between(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery)
            stream = await dial(acceptor)
            idle = False

            async def wait_idle() -> None:
                nonlocal idle
                await acceptor.wait_idle()
                idle = True

            nursery.start_soon(wait_idle)
            await trio.testing.wait_all_tasks_blocked(0.01)
            acceptor.connections += 1
            acceptor._idle.set()
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert not idle
            acceptor.connections -= 1
            await stream.aclose()
            acceptor.stop_accepting()
        assert idle

    run_sockets(story)


def test_cancelling_cancels_the_connections_too(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery)
            async with await dial(acceptor) as stream:
                acceptor.cancel_connections()
                assert await stream.receive_some() == b""
                await acceptor.wait_idle()
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery)
            async with await dial(acceptor) as stream:
                nursery.cancel_scope.cancel()
        assert acceptor.connections == 0
        assert not acceptor.accepting

    run_sockets(story)


def test_stopped_before_it_has_begun(run_sockets: Run) -> None:
    async def story() -> None:
        acceptor = Acceptor(
            await open_listeners("127.0.0.1", 0), hold, max_connections=1, plain=True
        )
        acceptor.cancel_connections()
        await acceptor.run()

    run_sockets(story)


def test_a_connection_that_fails_is_logged_and_the_others_go_on(
    run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(sock: socket.socket) -> None:
        sock.close()
        await trio.lowlevel.checkpoint()
        raise ValueError("a bug")

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery, fail)
            for _ in range(2):
                async with await dial(acceptor) as stream:
                    assert await stream.receive_some() == b""
            acceptor.stop_accepting()

    run_sockets(story)
    assert caplog.text.count("a connection failed; the server goes on") == 2


# --- accept fails ---------------------------------------------------------------------------


class FlakyListener(socket.socket):
    """A listener whose accept fails with *numbers* first."""

    numbers: list[int]

    def accept(self) -> tuple[socket.socket, Any]:
        if self.numbers:
            number = self.numbers.pop(0)
            raise OSError(number, os.strerror(number))
        return super().accept()


def flaky(*numbers: int) -> FlakyListener:
    listener = FlakyListener()
    listener.numbers = list(numbers)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPERM, errno.EPROTO])
def test_a_connection_that_ends_before_it_is_accepted_is_passed_over(
    run_sockets: Run, number: int
) -> None:
    async def story() -> None:
        acceptor = Acceptor([flaky(*[number] * 100)], hold, max_connections=1, plain=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(acceptor.run)
            async with await dial(acceptor):
                assert acceptor.connections == 1
            acceptor.stop_accepting()

    run_sockets(story)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
def test_a_machine_that_is_short_of_something_is_asked_again_later(
    run_sockets: Run, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    async def story() -> None:
        acceptor = Acceptor([flaky(number, number)], hold, max_connections=1, plain=True)
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(acceptor.run)
            await trio.testing.wait_all_tasks_blocked()
            assert acceptor.connections == 0
            async with await dial(acceptor):
                await trio.sleep(_serve._WHEN_SHORT * 3)
                assert acceptor.connections == 1
            acceptor.stop_accepting()
        assert trio.current_time() - start >= 2 * _serve._WHEN_SHORT

    run_sockets(story)
    assert caplog.text.count("can't accept") == 1


def test_a_listener_that_is_wrong_is_the_callers_error(run_sockets: Run) -> None:
    """It isn't asked again and again."""

    async def story() -> None:
        unbound = socket.socket()
        acceptor = Acceptor([unbound], hold, max_connections=1, plain=True)
        with pytest.raises(OSError, match="Invalid argument"):
            await acceptor.run()
        assert unbound.fileno() == -1

    run_sockets(story)


def test_a_flood_of_connections_leaves_others_their_turn(run_sockets: Run) -> None:
    async def drop(sock: socket.socket) -> None:
        sock.close()
        await trio.lowlevel.checkpoint()

    async def story() -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        clients = [socket.socket() for _ in range(100)]
        for client in clients:
            client.connect(listener.getsockname())
        acceptor = Acceptor([listener], partial(drop), max_connections=1000, plain=True)
        accepted: list[int] = []

        async with trio.open_nursery() as nursery:
            nursery.start_soon(acceptor.run)
            while not accepted or accepted[-1] < 100:
                accepted.append(acceptor.connections)
                if acceptor.connections == 0 and len(accepted) > 50:
                    break
                await trio.lowlevel.checkpoint()
            acceptor.stop_accepting()
        assert max(accepted) < 100
        for client in clients:
            client.close()

    run_sockets(story)
