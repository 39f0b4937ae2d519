"""Connections that send nothing: what a server makes for them, and how many it bears."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import trio
import trio.testing

from wirecore.errors import InvalidOption
from wirecore_trio import _dial, websocket, wsrpc
from wirecore_trio._serve import Acceptor
from wirecore_trio.tls import load_private_key, public_key_of
from wirecore_trio.tls.socket_link import PinnedSocketLink
from wirecore_trio.websocket import _upgrading
from wirecore_trio.wsrpc import _upgrade as wsrpc_upgrade

if TYPE_CHECKING:
    from tests.transports.conftest import Authority, Run

SERVER, ALICE = (bytes([number]) * 32 for number in (1, 2))

#: The servers' own options besides, as keywords.
Serving: TypeAlias = Callable[..., Any]


def public(private_key: bytes) -> bytes:
    return public_key_of(load_private_key(private_key))


@asynccontextmanager
async def wsrpc_server(open_timeout: float = 10, **options: Any) -> AsyncIterator[tuple[int, Any]]:
    """The port of a server that lets Alice in, and its acceptor."""
    server = wsrpc.Server(
        wsrpc.ServerCredentials(SERVER, [public(ALICE)]),
        options=wsrpc.Options(open_timeout=open_timeout),
        **options,
    )
    server.handle("Echo", lambda payload, _: payload, inline=True)
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", 0)
        yield listening.port, server._acceptors[0]
        await server.aclose()


@asynccontextmanager
async def websocket_server(
    open_timeout: float = 10, **options: Any
) -> AsyncIterator[tuple[int, Any]]:
    """The port of an echo server, and its acceptor."""

    async def echo(ws: websocket.WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            partial(
                websocket.serve,
                echo,
                "127.0.0.1",
                0,
                options=websocket.Options(open_timeout=open_timeout),
                **options,
            )
        )
        yield server.port, server._acceptor
        await server.drain(grace=0)


async def echo_over_wsrpc(port: int) -> None:
    credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
    async with wsrpc.connect(f"127.0.0.1:{port}", credentials) as client:
        assert await client.call("Echo", b"x") == b"x"


async def echo_over_websocket(port: int) -> None:
    async with websocket.connect(f"ws://127.0.0.1:{port}/") as ws:
        await ws.send(b"x")
        assert await ws.receive() == b"x"


both = pytest.mark.parametrize(
    ("serving", "echo"),
    [(wsrpc_server, echo_over_wsrpc), (websocket_server, echo_over_websocket)],
    ids=["wsrpc", "websocket"],
)


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.01)


class Counted:
    """Stands for a class, and counts what is made of it."""

    def __init__(self, wrapped: Callable[..., Any]) -> None:
        self._wrapped = wrapped
        self.made = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.made += 1
        return self._wrapped(*args, **kwargs)


def test_wsrpc_makes_no_tls_for_who_sends_nothing(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = Counted(PinnedSocketLink)
    monkeypatch.setattr(wsrpc_upgrade, "PinnedSocketLink", links)

    async def story() -> None:
        async with (
            wsrpc_server() as (port, acceptor),
            await trio.open_tcp_stream("127.0.0.1", port) as silent,
        ):
            await settle()
            assert acceptor.connections == 1
            assert links.made == 0
            await silent.send_all(b"\x16")
            await settle()
            assert links.made == 1

    run_sockets(story)


@pytest.mark.parametrize("secure", [False, True])
def test_websocket_makes_nothing_for_who_sends_nothing(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch, authority: Authority, secure: bool
) -> None:
    module, name = (_dial, "StdlibEngine") if secure else (_upgrading, "ServerHandshake")
    parts = Counted(getattr(module, name))
    monkeypatch.setattr(module, name, parts)
    context: ssl.SSLContext | None = authority.server_context() if secure else None

    async def story() -> None:
        async with (
            websocket_server(ssl_context=context) as (port, acceptor),
            await trio.open_tcp_stream("127.0.0.1", port) as silent,
        ):
            await settle()
            assert acceptor.connections == 1
            assert parts.made == 0
            await silent.send_all(b"G")
            await settle()
            assert parts.made == 1

    run_sockets(story)


@both
def test_who_is_silent_is_cut_after_open_timeout(
    run_sockets: Run, serving: Serving, echo: Any
) -> None:
    async def story() -> None:
        async with serving(open_timeout=7) as (port, acceptor):
            start = trio.current_time()
            async with await trio.open_tcp_stream("127.0.0.1", port) as silent:
                assert await silent.receive_some() == b""
            assert trio.current_time() - start == pytest.approx(7, abs=1)
            await settle()
            assert acceptor.connections == acceptor.handshakes == 0
            await echo(port)

    run_sockets(story)


@both
def test_a_flood_of_silent_ones_leaves_who_is_open_alone(
    run_sockets: Run, caplog: pytest.LogCaptureFixture, serving: Serving, echo: Any
) -> None:
    """They fill their own places and lose them to newer ones, who may have something to say."""

    async def story() -> None:
        async with serving(max_connections=100, max_handshakes=3) as (port, acceptor):
            silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(10)]
            await settle()
            assert acceptor.connections == acceptor.handshakes == 3
            for stream in silent[:7]:  # the oldest, and at once
                assert await stream.receive_some() == b""
            await echo(port)  # in the eighth's place
            await settle()
            assert acceptor.connections == acceptor.handshakes == 2
            for stream in silent:
                await stream.aclose()
            await settle()
            await echo(port)
            assert acceptor.handshakes == 0

    run_sockets(story)
    assert caplog.text.count("max_handshakes is 3") == 1


@both
def test_who_has_begun_to_speak_keeps_its_place(
    run_sockets: Run, caplog: pytest.LogCaptureFixture, serving: Serving, echo: Any
) -> None:
    async def story() -> None:
        async with serving(max_handshakes=2) as (port, acceptor):
            slow = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(2)]
            for stream in slow:
                await stream.send_all(b"G" if serving is websocket_server else b"\x16")
            await settle()
            async with await trio.open_tcp_stream("127.0.0.1", port) as newest:
                while await newest.receive_some():
                    pass
            assert acceptor.handshakes == 2
            for stream in slow:
                await stream.aclose()
            await settle()
            await echo(port)

    run_sockets(story)
    assert caplog.text.count("connections are refused: max_handshakes is 2") == 1


@both
def test_an_open_connection_is_in_no_handshake(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch, serving: Serving, echo: Any
) -> None:
    seen: list[tuple[int, int]] = []
    opened = Acceptor.opened

    def note(self: Acceptor, sock: Any) -> None:
        before = self.handshakes
        opened(self, sock)
        seen.append((before, self.handshakes))

    monkeypatch.setattr(Acceptor, "opened", note)

    async def story() -> None:
        async with serving(max_handshakes=1) as (port, _):
            await echo(port)
            await settle()
            await echo(port)

    run_sockets(story)
    # Once when it is open, and without effect when it ends.
    assert seen == [(1, 0), (0, 0)] * 2


def test_a_bound_on_handshakes_must_let_one_in(run: Run) -> None:
    why = "max_handshakes must be at least 1, not 0"

    async def serve(_: websocket.WebSocket) -> None:
        pytest.fail("it serves")

    async def story() -> None:
        with pytest.raises(InvalidOption, match=why):
            await websocket.serve(serve, "127.0.0.1", 0, max_handshakes=0)

    with pytest.raises(InvalidOption, match=why):
        wsrpc.Server(wsrpc.ServerCredentials(SERVER, []), max_handshakes=0)
    run(story)
