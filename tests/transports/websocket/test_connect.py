"""Dialling: over what the connection runs, in the clear and under TLS."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.errors import HandshakeError, PeerRefused
from wirecore_trio.websocket import (
    ConnectionClosed,
    DialOptions,
    Options,
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
        async with (
            world.serving(host=None, listeners=[listener]) as server,
            world.connect(server) as ws,
        ):
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


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (
            "nobody trusts it",
            "the server's certificate isn't acceptable: [^;]+; "
            "if it is yours, trust its CA with ssl_context=",
        ),
        (
            "it is another's",
            "the server's certificate isn't acceptable: [^;]*elsewhere.test[^;]*; "
            "if it is yours, name who it is for with server_hostname=",
        ),
    ],
)
def test_a_certificate_that_isnt_good_ends_the_retrying(
    world: World, run_sockets: Run, authority: Authority, why: str, told: str
) -> None:
    trusted = why == "it is another's"
    trust: DialOptions = {
        "ssl_context": authority.client_context() if trusted else None,
        "server_hostname": "elsewhere.test" if trusted else None,
        "backend": world.backend,
    }

    async def story() -> None:
        async with world.serving(ssl_context=authority.server_context()) as server:
            with pytest.raises(PeerRefused, match=told):
                async with connect(secure_url(server), retry=RetryPolicy(), **trust):
                    pytest.fail("it was let in")

    run_sockets(story)


def test_a_client_without_tls_on_a_port_with_it(
    world: World, run_sockets: Run, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def story() -> None:
        async with world.serving(ssl_context=authority.server_context()) as server:
            with pytest.raises(HandshakeError, match=r"does it want wss://\?$"):
                async with world.connect(server):
                    pytest.fail("it was let in")

    run_sockets(story)
    told = (
        r"a connection from 127\.0\.0\.1:\d+ wasn't opened: the client spoke plain HTTP: it should"
    )
    assert re.search(told, caplog.text)


def test_a_client_with_tls_on_a_port_without_it(
    world: World, run_sockets: Run, authority: Authority
) -> None:
    async def story() -> None:
        async with world.serving() as server:
            told = r"the server sent is not TLS: is it ws://\?$"
            with pytest.raises(HandshakeError, match=told):
                async with connect(secure_url(server), backend=world.backend):
                    pytest.fail("it was let in")

    run_sockets(story)


def test_a_client_that_speaks_something_else_on_a_port_with_tls(
    world: World, run_sockets: Run, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def story() -> None:
        async with world.serving(ssl_context=authority.server_context()) as server:
            stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            async with stream:
                await stream.send_all(b"SSH-2.0-OpenSSH_9.6\r\n")
                with contextlib.suppress(trio.BrokenResourceError):
                    async for _ in stream:
                        pass

    run_sockets(story)
    assert "what the client sent is not TLS: it should use wss://" in caplog.text


def test_a_client_whose_certificate_isnt_good(
    world: World,
    run_sockets: Run,
    authority: Authority,
    another_authority: Authority,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")

    async def story() -> None:
        async with world.serving(ssl_context=authority.server_context(asks=True)) as server:
            context = authority.client_context(another_authority)
            with pytest.raises((HandshakeError, ConnectionClosed)):
                async with connect(
                    secure_url(server), ssl_context=context, backend=world.backend
                ) as ws:
                    await ws.receive()

    run_sockets(story)
    told = r"from 127\.0\.0\.1:\d+ wasn't opened: the client's certificate isn't acceptable: [^;]+$"
    assert re.search(told, caplog.text, re.MULTILINE)
