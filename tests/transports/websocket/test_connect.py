"""Dialling: over what, with which words, and what the body of ``async with`` may do."""

from __future__ import annotations

import os
import socket
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.errors import HandshakeError, InvalidOption, PeerRefused, UpgradeRejected
from wirecore.session import Backoff
from wirecore_trio.websocket import (
    ConnectionClosed,
    DialOptions,
    Options,
    Prepared,
    RetryPolicy,
    WebSocket,
    connect,
    wrap_client,
    wrap_server,
)

if TYPE_CHECKING:
    from tests.transports.conftest import Authority, Run
    from tests.transports.websocket.conftest import World


async def say_hello(ws: WebSocket) -> None:
    await ws.send("hello")
    async for _ in ws:
        pass


async def assert_echo(ws: WebSocket) -> None:
    await ws.send("text")
    await ws.send(b"binary")
    assert [await ws.receive(), await ws.receive()] == ["text", b"binary"]


# --- over what ------------------------------------------------------------------------------


def test_tcp(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with world.serving() as server:
            assert server.addresses == [("127.0.0.1", server.port)]
            async with world.connect(server) as ws:
                assert ws.request is None
                assert ws.subprotocol is None
                await assert_echo(ws)
            assert ws.closed

    run_sockets(story)


@pytest.mark.usefixtures("ipv6")
def test_ipv6(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        hosts: list[str] = []

        async def note_host(ws: WebSocket) -> None:
            assert ws.request is not None
            hosts.append(ws.request.host)
            await say_hello(ws)

        async with world.serving(note_host, "::1") as server:
            url = f"ws://[::1]:{server.port}/"
            async with connect(url, backend=world.backend) as ws:
                assert await ws.receive() == "hello"
        assert hosts == [f"[::1]:{server.port}"]

    run_sockets(story)


def test_all_interfaces(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with world.serving(host=None) as server, world.connect(server) as ws:
            await assert_echo(ws)

    run_sockets(story)


def test_a_unix_socket(world: World, run_sockets: Run, tmp_path: Path) -> None:
    async def story() -> None:
        path = str(tmp_path / "s")
        async with world.serving(host=None, unix_path=path) as server:
            assert server.addresses == [path]
            with pytest.raises(Exception, match="no port"):
                _ = server.port
            async with connect("ws://any/", unix_path=path, backend=world.backend) as ws:
                await assert_echo(ws)
        assert not os.path.exists(path)  # noqa: ASYNC240 - a test may block

    run_sockets(story)


def test_listeners_bound_by_the_caller(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        async with world.serving(listeners=[listener]) as server, world.connect(server) as ws:
            await assert_echo(ws)
        assert listener.fileno() == -1

    run_sockets(story)


def test_any_stream(world: World, run: Run) -> None:
    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()

        async def serve() -> None:
            ws = await wrap_server(other, subprotocols=["chat"], backend=world.backend)
            assert ws is not None
            assert ws.request is not None
            assert (ws.request.path, ws.request.host) == ("/room", "name")
            async with ws:
                async for message in ws:
                    await ws.send(message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            ws = await wrap_client(
                one, "wss://name/room", subprotocols=["chat"], backend=world.backend
            )
            async with ws:
                assert ws.subprotocol == "chat"
                await assert_echo(ws)
        with pytest.raises(trio.ClosedResourceError):
            await one.receive_some()

    run(story)


def test_sockets_wrapped_by_the_caller(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        one, other = socket.socketpair()
        streams = [trio.SocketStream(trio.socket.from_stdlib_socket(s)) for s in (one, other)]

        async def serve() -> None:
            ws = await wrap_server(streams[1], backend=world.backend)
            assert ws is not None
            await say_hello(ws)
            await ws.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            async with await wrap_client(streams[0], backend=world.backend) as ws:
                assert await ws.receive() == "hello"

    run_sockets(story)


def test_the_environments_proxy_is_asked_only_when_told_so(
    world: World, run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
            async with world.serving() as server:
                for nobody in (None, False):
                    async with world.connect(server, proxy=nobody) as ws:
                        await assert_echo(ws)
                with pytest.raises(TimeoutError):
                    async with world.connect(server, proxy=True, options=Options(open_timeout=1)):
                        pytest.fail("the proxy wasn't asked")
                sock, _ = proxy.accept()
                with sock:
                    assert sock.recv(8) == b"CONNECT "

    run_sockets(story)


# --- TLS ------------------------------------------------------------------------------------


def secure_url(server: Any) -> str:
    return f"wss://127.0.0.1:{server.port}/"


def test_wss(world: World, run_sockets: Run, authority: Authority) -> None:
    async def story() -> None:
        async with world.serving(ssl_context=authority.server_context()) as server:
            for name in (None, "server.test"):  # the address and the name are both certified
                async with connect(
                    secure_url(server),
                    ssl_context=authority.client_context(),
                    server_hostname=name,
                    backend=world.backend,
                ) as ws:
                    await assert_echo(ws)
                    big = bytes(range(256)) * 4000
                    await ws.send(big)
                    assert await ws.receive() == big

    run_sockets(story)


@pytest.mark.parametrize("why", ["nobody trusts it", "it is another's"])
def test_a_certificate_that_isnt_good_ends_the_retrying(
    world: World, run_sockets: Run, authority: Authority, why: str
) -> None:
    trusted = why == "it is another's"
    trust: DialOptions = {
        "ssl_context": authority.client_context() if trusted else None,
        "server_hostname": "elsewhere.test" if trusted else None,
        "backend": world.backend,
    }

    async def story() -> None:
        async with world.serving(ssl_context=authority.server_context()) as server:
            with pytest.raises(PeerRefused, match="certificate"):
                async with connect(secure_url(server), retry=RetryPolicy(), **trust):
                    pytest.fail("it was let in")

    run_sockets(story)


def test_a_client_without_tls_on_a_port_with_it(
    world: World, run_sockets: Run, authority: Authority
) -> None:
    async def story() -> None:
        async with world.serving(ssl_context=authority.server_context()) as server:
            with pytest.raises(HandshakeError):
                async with world.connect(server):
                    pytest.fail("it was let in")

    run_sockets(story)


def test_a_client_with_tls_on_a_port_without_it(
    world: World, run_sockets: Run, authority: Authority
) -> None:
    async def story() -> None:
        async with world.serving() as server:
            with pytest.raises(HandshakeError, match="TLS"):
                async with connect(secure_url(server), backend=world.backend):
                    pytest.fail("it was let in")

    run_sockets(story)


# --- with which words -----------------------------------------------------------------------


def test_headers_subprotocols_and_user(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        asked: list[Any] = []

        async def note(ws: WebSocket) -> None:
            asked.append(ws.request)

        async with world.serving(note, subprotocols=["v2", "v1"]) as server:
            url = f"ws://me:p%C3%A4ss@127.0.0.1:{server.port}/a%20b?c=d"
            async with connect(
                url,
                headers=[("X-One", "1"), (b"x-two", b"\xff")],
                subprotocols=["v0", "v1", "v2"],
                backend=world.backend,
            ) as ws:
                assert ws.subprotocol == "v2"  # the server's choice
                assert (b"sec-websocket-protocol", b"v2") in ws.accepted.headers
        (request,) = asked
        assert (request.path, request.query) == ("/a%20b", "c=d")
        assert request.header(b"x-one") == b"1"
        assert request.header(b"x-two") == b"\xff"
        assert request.header(b"authorization") == b"Basic " + b64encode("me:päss".encode())
        assert request.header(b"user-agent").startswith(b"wirecore/")

    run_sockets(story)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://127.0.0.1:{port}", True),
        ("http://friend.test", True),
        ("http://foe.test", False),
        ("null", False),
    ],
)
def test_the_origin(world: World, run_sockets: Run, origin: str | None, allowed: bool) -> None:
    async def story() -> None:
        async with world.serving(origins=["http://friend.test"]) as server:
            said = None if origin is None else origin.format(port=server.port)
            dialling = world.connect(server, origin=said)
            if allowed:
                async with dialling as ws:
                    await assert_echo(ws)
            else:
                with pytest.raises(UpgradeRejected, match="403"):
                    await dialling.__aenter__()

    run_sockets(story)


def test_each_attempt_is_prepared(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        tokens: list[bytes | None] = []
        attempts = 0

        async def admit_third(ws: WebSocket) -> None:
            assert ws.request is not None
            tokens.append(ws.request.header(b"x-token"))
            await say_hello(ws)

        async with world.serving(admit_third) as server:

            async def prepare() -> Prepared:
                nonlocal attempts
                attempts += 1
                port = server.port if attempts == 3 else 1  # nobody listens there
                return Prepared(f"ws://127.0.0.1:{port}/", [("X-Token", str(attempts))])

            policy = RetryPolicy(backoff=lambda: Backoff(1, 2, 0, 60))
            start = trio.current_time()
            async with connect(
                prepare=prepare, headers=[("X-Same", "x")], retry=policy, backend=world.backend
            ) as ws:
                assert trio.current_time() - start >= 3
                assert await ws.receive() == "hello"
        assert tokens == [b"3"]

    run_sockets(story)


async def a_prepared_url() -> Prepared:
    raise AssertionError("nobody dials")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "either a URL or prepare="),
        ({"url": "ws://h/", "prepare": a_prepared_url}, "either a URL or prepare="),
        ({"url": "http://h/"}, "begins with ws://"),
    ],
)
def test_wrong_arguments_are_told_at_once(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidOption, match=why):
        connect(**arguments)


@pytest.mark.parametrize(
    "options",
    [{"headers": [("Upgrade", "x")]}, {"subprotocols": ["a b"]}, {"origin": "line\r\nbreak"}],
)
def test_words_that_cant_be_sent_are_told_and_not_tried_again(
    world: World, run_sockets: Run, options: dict[str, Any]
) -> None:
    async def story() -> None:
        async with world.serving() as server:
            with pytest.raises(InvalidOption):
                async with world.connect(server, retry=RetryPolicy(), **options):
                    pytest.fail("it was let in")

    run_sockets(story)


def test_wrapping_a_stream_with_words_that_cant_be_sent_closes_it(world: World, run: Run) -> None:
    async def story() -> None:
        one, _ = trio.testing.memory_stream_pair()
        with pytest.raises(InvalidOption):
            await wrap_client(one, headers=[("Host", "x")], backend=world.backend)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.ClosedResourceError):
            await one.receive_some()

    run(story)


# --- a peer that doesn't answer -------------------------------------------------------------


def test_a_server_that_says_nothing_is_given_open_timeout(world: World, run: Run) -> None:
    async def story() -> None:
        one, _ = trio.testing.memory_stream_pair()
        start = trio.current_time()
        with pytest.raises(TimeoutError, match="no answer to the upgrade request within 3 s"):
            await wrap_client(one, options=Options(open_timeout=3), backend=world.backend)
        assert trio.current_time() - start == 3

        one, _ = trio.testing.memory_stream_pair()
        with pytest.raises(TimeoutError, match="no upgrade request within 3 s"):
            await wrap_server(one, options=Options(open_timeout=3), backend=world.backend)

    run(story)


def test_dialling_is_given_open_timeout(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
            with pytest.raises(TimeoutError, match="not connected within 3 s"):
                async with connect(url, options=Options(open_timeout=3), backend=world.backend):
                    pytest.fail("it was let in")

    run_sockets(story)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 2\r\n\r\nno", UpgradeRejected),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", UpgradeRejected),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", HandshakeError),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", HandshakeError),
        (b"HTTP/1.1 101 S\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", HandshakeError),
        (b"", HandshakeError),
    ],
    ids=["forbidden", "ok", "bare", "ssh", "large", "nothing"],
)
def test_a_server_that_answers_something_else(
    world: World, run: Run, answer: bytes, error: type[Exception]
) -> None:
    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()

        async def refuse() -> None:
            await other.receive_some()
            if answer:
                await other.send_all(answer)
            await other.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(refuse)
            with pytest.raises(error) as caught:
                await wrap_client(one, backend=world.backend)
        assert type(caught.value) is error
        if b"403" in answer:
            assert caught.value.__dict__ == {
                "status": 403,
                "headers": ((b"x-why", b"no"), (b"content-length", b"2")),
                "body": b"no",
            }

    run(story)


# --- the body -------------------------------------------------------------------------------

Body = Callable[[WebSocket], Awaitable[None]]


@pytest.mark.parametrize(
    "error",
    [ValueError("mine"), KeyboardInterrupt(), SystemExit(3), ExceptionGroup("g", [OSError()])],
)
def test_an_exception_of_the_body_arrives_as_itself(
    world: World, run_sockets: Run, error: BaseException
) -> None:
    ends: list[int] = []

    async def note_end(ws: WebSocket) -> None:
        with pytest.raises(ConnectionClosed) as caught:
            await ws.receive()
        ends.append(caught.value.code)

    async def story() -> None:
        async with world.serving(note_end) as server:
            with pytest.raises(type(error)) as caught:
                async with world.connect(server) as ws:
                    raise error
            assert caught.value is error
            assert ws.closed
            await trio.testing.wait_all_tasks_blocked(0.01)

    run_sockets(story)
    assert ends == [1011 if isinstance(error, Exception) else 1001]


def test_a_cancelled_body_closes_without_waiting(world: World, run_sockets: Run) -> None:
    ends: list[int] = []

    async def note_end(ws: WebSocket) -> None:
        with pytest.raises(ConnectionClosed) as caught:
            await ws.receive()
        ends.append(caught.value.code)

    async def story() -> None:
        async with world.serving(note_end) as server:
            with trio.move_on_after(1) as scope:
                async with world.connect(server) as ws:
                    await ws.receive()
            assert scope.cancelled_caught
            assert ws.closed
            await trio.testing.wait_all_tasks_blocked(0.01)

    run_sockets(story)
    assert ends == [1001]


def test_a_body_that_closed_already_or_lost_the_connection(world: World, run_sockets: Run) -> None:
    async def hang_up(ws: WebSocket) -> None:
        ws.abort()

    async def story() -> None:
        async with world.serving() as server:
            async with world.connect(server) as ws:
                await ws.aclose()
            async with world.connect(server) as ws:
                ws.abort()
        async with world.serving(hang_up) as server:
            async with world.connect(server) as ws:
                await ws.wait_closed()
            with pytest.raises(ConnectionClosed, match="1006"):
                async with world.connect(server) as ws:
                    await ws.receive()

    run_sockets(story)
