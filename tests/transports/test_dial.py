"""Opening streams: URLs taken apart, sockets of all kinds, and proxies."""

from __future__ import annotations

import errno
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.transports.listening_peers import Peers
from wirecore import errors
from wirecore_trio import _dial
from wirecore_trio._dial import (
    Target,
    deadline_after,
    fail_after,
    open_socket,
    parse_url,
)

if TYPE_CHECKING:
    from tests.transports.conftest import Run

# --- URLs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://h", Target(False, "h", 80, "/", "h", None)),
        ("wss://h/", Target(True, "h", 443, "/", "h", None)),
        ("ws://h:80/", Target(False, "h", 80, "/", "h", None)),
        ("ws://h:443/a/b?c=d&e", Target(False, "h", 443, "/a/b?c=d&e", "h:443", None)),
        ("WSS://HOST:8443?q", Target(True, "host", 8443, "/?q", "host:8443", None)),
        ("ws://[::1]/", Target(False, "::1", 80, "/", "[::1]", None)),
        ("ws://[fe80::1]:9/", Target(False, "fe80::1", 9, "/", "[fe80::1]:9", None)),
        ("ws://me:p%40ss@h/", Target(False, "h", 80, "/", "h", ("me", "p@ss"))),
        ("ws://me@h/", Target(False, "h", 80, "/", "h", ("me", ""))),
        (
            "ws://bücher.example:81/",
            Target(False, "xn--bcher-kva.example", 81, "/", "xn--bcher-kva.example:81", None),
        ),
    ],
)
def test_a_url_is_taken_apart(url: str, expected: Target) -> None:
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://user:secret@h/", "begins with ws"),
        ("//user:secret@h/", "begins with ws"),
        ("http://user:secret@h/", "not http://: write ws://"),
        ("https://user:secret@h/", "not https://: write wss://"),
        ("wsrpc://user:secret@h/", "dialled by wsrpc.connect"),
        ("127.0.0.1:80/feed", "begins with ws:// or wss://, as ws://127.0.0.1:80/feed does"),
        ("localhost:80", "begins with ws:// or wss://, as ws://localhost:80 does"),
        ("user:secret@h:80", "begins with ws:// or wss://$"),
        ("h:80?token=secret", "begins with ws:// or wss://$"),
        ("", "begins with ws:// or wss://$"),
        ("ws:///secret", "names a host, as ws://example.com/"),
        ("ws://user:secret@/", "names a host"),
        ("ws://user:secret@h/#here", "no fragment"),
        ("ws://user:secret@h:port/", "port"),
        ("ws://user:secret@h:65536/", "port"),
        ("ws://user:secret@[::1/", "bracket"),
        ("ws://user:secret@a..b/", "not a host name"),
        ("ws://user:secret@a b/", "not a host name"),
        ("ws://user:secret@a%20b/", "not a host name"),
        ("ws://user:secret@" + "x" * 64 + "ü/", "not a host name"),
    ],
)
def test_what_is_no_url_is_told_without_its_secrets(url: str, why: str) -> None:
    with pytest.raises(errors.InvalidOption, match=why) as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


def test_a_url_is_text() -> None:
    url: Any = b"ws://user:secret@h/"
    with pytest.raises(TypeError, match=r"^url must be str, not bytes$"):
        parse_url(url)


def test_a_name_for_logs_holds_no_secret() -> None:
    target = parse_url("wss://user:password@h:8/path?token=x")
    assert target.name == "wss://h:8/path"
    assert parse_url("ws://h?token=x").name == "ws://h/"


# --- sockets --------------------------------------------------------------------------------


def test_an_open_socket_has_no_delay_and_the_options_asked_for(run_sockets: Run) -> None:
    async def story() -> None:
        options: list[_dial.SocketOption] = [
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\5\0\0\0"),
        ]
        with Peers() as peers:
            link = await open_socket("127.0.0.1", peers.port, socket_options=options)
            sock = link.socket
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == options[1][2]
            assert not sock.getblocking()
            link.close()

    run_sockets(story)


def test_an_option_that_cant_be_set_is_an_error_and_nothing_stays_open(run_sockets: Run) -> None:
    async def story() -> None:
        with Peers() as peers, pytest.raises(OSError, match="not available"):
            await open_socket("127.0.0.1", peers.port, socket_options=[(socket.SOL_SOCKET, -1, 1)])

    run_sockets(story)


@pytest.mark.usefixtures("ipv6")
def test_ipv6(run_sockets: Run) -> None:
    async def story() -> None:
        with Peers(socket.AF_INET6) as peers:
            link = await open_socket("::1", peers.port)
            assert link.socket.family is socket.AF_INET6
            link.close()

    run_sockets(story)


def test_unix_sockets(run_sockets: Run, tmp_path: Path) -> None:
    async def story() -> None:
        path = str(tmp_path / "s")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            link = await open_socket("ignored", 0, unix_path=path)
            assert link.socket.getpeername() == path
            link.close()
        with pytest.raises(ConnectionRefusedError, match=f"Unix socket '{path}' refused"):
            await open_socket("ignored", 0, unix_path=path)
        with pytest.raises(FileNotFoundError, match=f"Unix socket '{path}x': No such file"):
            await open_socket("ignored", 0, unix_path=path + "x")

    run_sockets(story)


class Resolver(trio.abc.HostnameResolver):
    """Knows one name, and its addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def getaddrinfo(self, host: Any, port: Any, *_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        assert host == b"two.test"
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port),
            )
            for address in self.addresses
        ]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


def test_all_addresses_of_a_name_are_tried(run_sockets: Run) -> None:
    async def story() -> None:
        trio.socket.set_custom_hostname_resolver(Resolver("::1", "127.0.0.1"))
        with Peers() as peers:
            link = await open_socket("two.test", peers.port)
            assert link.socket.getpeername() == ("127.0.0.1", peers.port)
            link.close()
            port = peers.port
        with pytest.raises(ConnectionRefusedError, match=rf"two\.test port {port} refused"):
            await open_socket("two.test", port)

    run_sockets(story)


def test_addresses_that_fail_for_several_reasons_are_told_once_each(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        away = OSError(errno.ENETUNREACH, "Network is unreachable")
        raise OSError("all attempts failed") from ExceptionGroup("all", [away, refused, away])

    async def story() -> None:
        monkeypatch.setattr(trio, "open_tcp_stream", fail)
        text = "can't connect to h port 80: Network is unreachable; Connection refused$"
        with pytest.raises(OSError, match=text) as caught:
            await open_socket("h", 80)
        assert caught.value.errno == errno.ENETUNREACH

    run(story)


def test_an_address_where_nobody_listens_and_a_name_that_is_none(run_sockets: Run) -> None:
    class Nowhere(Resolver):
        async def getaddrinfo(self, host: Any, port: Any, *_: Any) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, "name or service not known")

    async def story() -> None:
        with Peers() as peers:
            port = peers.port
        with pytest.raises(
            ConnectionRefusedError, match=rf"127\.0\.0\.1 port {port} refused"
        ) as refused:
            await open_socket("127.0.0.1", port)
        assert refused.value.errno == errno.ECONNREFUSED
        trio.socket.set_custom_hostname_resolver(Nowhere())
        text = r"no\.such\.name:80: name or service not known; check the spelling of the host"
        with pytest.raises(socket.gaierror, match=text):
            await open_socket("no.such.name", 80)

    run_sockets(story)


class SilentSockets(trio.abc.SocketFactory):
    """Sockets whose connect never ends, for IPv6."""

    class Silent:
        """What trio needs of a socket until it gives up on it."""

        def __init__(self) -> None:
            self.closed = False

        def setsockopt(self, *_: object) -> None: ...

        async def connect(self, _: object) -> None:
            await trio.sleep_forever()

        def close(self) -> None:
            self.closed = True

    def __init__(self) -> None:
        self.made: list[SilentSockets.Silent] = []

    def socket(self, family: Any = None, type: Any = None, proto: Any = None) -> Any:  # noqa: A002
        if family == socket.AF_INET6:
            self.made.append(self.Silent())
            return self.made[-1]
        return trio.socket.from_stdlib_socket(socket.socket(family, type, proto))


def test_the_next_address_is_tried_beside_one_that_doesnt_answer(run_sockets: Run) -> None:
    async def story() -> None:
        trio.socket.set_custom_hostname_resolver(Resolver("::1", "127.0.0.1"))
        silent = SilentSockets()
        trio.socket.set_custom_socket_factory(silent)
        with Peers() as peers:
            start = trio.current_time()
            link = await open_socket("two.test", peers.port, happy_eyeballs_delay=3)
            assert trio.current_time() - start >= 3
            assert [sock.closed for sock in silent.made] == [True]
            link.close()

    run_sockets(story)


# --- time and trust -------------------------------------------------------------------------


def test_a_deadline_in_our_own_words(run: Run) -> None:
    async def story() -> None:
        assert deadline_after(None) == float("inf")
        with (
            pytest.raises(TimeoutError, match=r"^no answer within 2.5 s$"),
            fail_after(2.5, "no answer"),
        ):
            await trio.sleep_forever()
        with fail_after(None, "no answer"), trio.move_on_after(1e5) as scope:
            await trio.sleep_forever()
        assert scope.cancelled_caught

    run(story)


def test_the_systems_certificates_are_read_once() -> None:
    context = _dial._default_context()
    assert context is _dial._default_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
