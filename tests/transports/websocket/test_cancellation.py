"""Cancelled at every await: nothing is lost, doubled, half sent or left over."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import trio
import trio.testing

from wirecore.errors import HandshakeError
from wirecore.events import Close
from wirecore.session import Backoff
from wirecore_trio._baton import _CREDIT
from wirecore_trio.websocket import (
    ConnectionClosed,
    Options,
    RetryPolicy,
    Server,
    WebSocket,
    connect,
    serve,
    wrap_client,
    wrap_server,
)

if TYPE_CHECKING:
    from tests.transports.conftest import Authority, OpenPair, OpenRaw, RawPeer, Run
    from tests.transports.websocket.conftest import World

Verb: TypeAlias = Callable[[], Awaitable[Any]]
Operation: TypeAlias = Callable[[], AbstractAsyncContextManager[Verb]]
EveryStep: TypeAlias = Callable[[Operation], Awaitable[int]]


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.001)


async def assert_works(one: WebSocket, other: WebSocket) -> None:
    await one.send(b"still open")
    await other.send("and back")
    assert await other.receive() == b"still open"
    assert await one.receive() == "and back"


# --- receiving ------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [False, True], ids=["alone", "with a keeper"])
@pytest.mark.parametrize("verb", ["receive", "receive_many", "__anext__"])
@pytest.mark.parametrize("sent", ["before", "after"])
def test_a_cancelled_receive_loses_nothing(
    open_raw: OpenRaw, run: Run, every_step: EveryStep, verb: str, kept: bool, sent: str
) -> None:
    @asynccontextmanager
    async def receive() -> AsyncIterator[Verb]:
        ws, peer = open_raw()
        if kept:
            ws._baton.attend()
        got: list[Any] = []
        messages = [b"%d" % number for number in range(_CREDIT * 2)]

        async def send() -> None:
            for message in messages:
                await peer.message(message)

        async def receive_on() -> None:
            while len(got) < len(messages):
                message = await getattr(ws, verb)()
                got.extend(message if verb == "receive_many" else [message])

        async with trio.open_nursery() as nursery:
            if sent == "before":
                await send()
            else:
                nursery.start_soon(send)
            yield receive_on
        await receive_on()
        assert got == messages
        ws.abort()

    async def story() -> None:
        assert await every_step(receive) > 1

    run(story)


def test_a_cancelled_receive_over_a_socket_loses_nothing(
    open_raw_socket: OpenRaw, run_sockets: Run, every_step: EveryStep
) -> None:
    messages = [b"%d" % number * 3000 for number in range(5)]

    @asynccontextmanager
    async def receive() -> AsyncIterator[Verb]:
        ws, peer = open_raw_socket()
        got: list[Any] = []

        async def send() -> None:
            for message in messages:
                await peer.message(message)

        async def receive_on() -> None:
            while len(got) < len(messages):
                got.append(await ws.receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            yield receive_on
            await receive_on()
        assert got == messages
        ws.abort()
        await peer.stream.aclose()

    async def story() -> None:
        assert await every_step(receive) > 1

    run_sockets(story)


# --- sending --------------------------------------------------------------------------------


def test_a_cancelled_send_was_never_queued_or_goes_whole(
    open_socket_pair: OpenPair, run_sockets: Run, every_step: EveryStep
) -> None:
    """The other end reads slowly, so that there is something to wait for."""
    messages = [bytes([number]) * 20_000 for number in range(40)]

    @asynccontextmanager
    async def send() -> AsyncIterator[Verb]:
        client, server = open_socket_pair(client=Options(high_water=10_000))
        got: list[Any] = []
        done: list[bytes] = []

        async def receive() -> None:
            while not got or got[-1] != b"last":
                got.append(await server.receive())

        async def send_on() -> None:
            for message in messages:
                await client.send(message)
                done.append(message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            yield send_on
            await client.send(b"last")
        # What a send returned for is there, in order; what was cancelled is there or isn't.
        assert got[:-1] in (done, messages[: len(done) + 1])
        assert got[:-1] == done  # with this implementation it never is
        await assert_works(client, server)
        client.abort()
        server.abort()

    async def story() -> None:
        assert await every_step(send) > 1

    run_sockets(story)


@pytest.mark.parametrize("begun", [False, True])
def test_a_cancelled_message_in_parts_closes_what_it_has_begun(
    open_socket_pair: OpenPair, run_sockets: Run, every_step: EveryStep, begun: bool
) -> None:
    part = bytes(40_000)

    @asynccontextmanager
    async def stream() -> AsyncIterator[Verb]:
        client, server = open_socket_pair(client=Options(high_water=10_000))
        parts = 0

        async def send_on() -> None:
            nonlocal parts
            async with client.streaming() as message:
                for _ in range(4):
                    await message.send(part)
                    parts += 1

        got: list[Any] = []

        async def receive() -> None:
            try:
                async for message in server:
                    got.append(message)
            except ConnectionClosed as error:
                got.append(error.code)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            if begun:
                yield send_on
            else:
                await client.send(part)
                await client.send(part)
                yield partial(client.send, part)
            if client.closed:
                assert parts  # and no whole message came of it
                assert [item for item in got if isinstance(item, bytes)] == []
            else:
                await client.aclose()
                assert got in ([b"".join([part] * 4)], [], [part] * 2, [part] * 3)
        assert server.closed

    async def story() -> None:
        await every_step(stream)

    run_sockets(story)


# --- pings and the end ----------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["ping", "wait_closed"])
def test_what_waits_for_the_other_end_can_be_cancelled(
    open_pair: OpenPair, run: Run, every_step: EveryStep, verb: str
) -> None:
    @asynccontextmanager
    async def wait() -> AsyncIterator[Verb]:
        client, server = open_pair()
        server._baton.attend()

        async with trio.open_nursery() as nursery:

            async def close_later() -> None:
                await trio.sleep(1)
                await server.aclose()

            if verb == "wait_closed":
                nursery.start_soon(close_later)
            yield getattr(client, verb)
            if verb == "ping":
                await assert_works(client, server)
                client.abort()
                server.abort()
            else:
                await client.wait_closed()

    async def story() -> None:
        assert await every_step(wait) > 1

    run(story)


async def answer_the_close(ws: WebSocket, peer: RawPeer) -> None:
    """A peer that has something to say before it answers; it may be too late."""
    try:
        assert await peer.next() in (Close(1000, ""), None)
        for _ in range(3):
            await peer.message(b"x")
            await settle()
        await peer.close()
    except trio.BrokenResourceError:
        assert ws.closed


async def receive_all(ws: WebSocket) -> None:
    async for _ in ws:
        pass


@pytest.mark.parametrize("receiving", [False, True])
def test_a_cancelled_close_leaves_nothing_open(
    open_raw: OpenRaw, run: Run, every_step: EveryStep, receiving: bool
) -> None:
    @asynccontextmanager
    async def close() -> AsyncIterator[Verb]:
        ws, peer = open_raw()
        async with trio.open_nursery() as nursery:
            if receiving:
                nursery.start_soon(receive_all, ws)
                await settle()
            nursery.start_soon(answer_the_close, ws, peer)
            yield ws.aclose
            assert ws.closed

    async def story() -> None:
        assert await every_step(close) > 1

    run(story)


# --- opening --------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_cancelled_handshake_closes_the_stream(
    world: World, run: Run, every_step: EveryStep, side: str
) -> None:
    @asynccontextmanager
    async def shake() -> AsyncIterator[Verb]:
        one, other = trio.testing.memory_stream_pair()
        opened: list[WebSocket] = []

        async def client() -> None:
            opened.append(await wrap_client(one, backend=world.backend))

        async def server() -> None:
            ws = await wrap_server(other, backend=world.backend)
            if ws is not None:
                opened.append(ws)

        async def other_side(verb: Verb) -> None:
            with suppress(HandshakeError, trio.BrokenResourceError):
                await verb()

        verbs = {"client": client, "server": server}
        verb = verbs.pop(side)
        (theirs,) = verbs.values()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other_side, theirs)
            yield verb
            await settle()
            if len(opened) == 2:
                await assert_works(*opened)
            else:
                with pytest.raises(trio.ClosedResourceError):
                    await (one if side == "client" else other).receive_some()
            for ws in opened:
                ws.abort()
            nursery.cancel_scope.cancel()

    async def story() -> None:
        assert await every_step(shake) > 1

    run(story)


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_a_cancelled_connect_leaves_nothing_open(
    world: World, run_sockets: Run, every_step: EveryStep, authority: Authority, secure: bool
) -> None:
    server_context = authority.server_context() if secure else None
    client_context = authority.client_context() if secure else None

    async def story() -> None:
        async with world.serving(ssl_context=server_context) as server:
            scheme = "wss" if secure else "ws"

            async def dial() -> None:
                async with connect(
                    f"{scheme}://127.0.0.1:{server.port}/",
                    ssl_context=client_context,
                    backend=world.backend,
                ) as ws:
                    await ws.send(b"x")
                    assert await ws.receive() == b"x"

            @asynccontextmanager
            async def operation() -> AsyncIterator[Verb]:
                yield dial

            assert await every_step(operation) > 3
            await dial()
            await trio.sleep(10)
            assert server.connections == set()
            assert server._acceptor.connections == 0

    run_sockets(story)


def test_a_cancelled_iteration_over_connections(
    world: World, run_sockets: Run, every_step: EveryStep
) -> None:
    async def hang_up(ws: WebSocket) -> None:
        await ws.send(b"hello")

    async def story() -> None:
        async with world.serving(hang_up) as server:

            async def iterate() -> None:
                policy = RetryPolicy(backoff=lambda: Backoff(1, 1, 0, 1))
                count = 0
                async with world.reconnecting(server, retry=policy) as connections:
                    async for ws in connections:
                        async for message in ws:
                            assert message == b"hello"
                        count += 1
                        if count == 2:
                            break

            @asynccontextmanager
            async def operation() -> AsyncIterator[Verb]:
                yield iterate

            assert await every_step(operation) > 3
            await trio.sleep(10)
            assert server.connections == set()

    run_sockets(story)


# --- serving --------------------------------------------------------------------------------


def test_a_cancelled_server_leaves_nothing_open(
    world: World, run_sockets: Run, every_step: EveryStep
) -> None:
    async def story() -> None:
        ports: list[int] = []

        async def serve_and_drain() -> None:
            async with trio.open_nursery() as nursery:
                server: Server = await nursery.start(
                    partial(serve, hold, "127.0.0.1", 0, backend=world.backend)
                )
                ports.append(server.port)
                stream = await trio.open_tcp_stream("127.0.0.1", server.port)
                ws = await wrap_client(stream, backend=world.backend)
                try:
                    assert await ws.receive() == b"hello"
                    nursery.start_soon(ws.aclose)
                    await server.drain()
                finally:
                    ws.abort()

        async def hold(ws: WebSocket) -> None:
            await ws.send(b"hello")
            await receive_all(ws)

        @asynccontextmanager
        async def operation() -> AsyncIterator[Verb]:
            yield serve_and_drain
            for port in ports:
                with socket.socket() as probe:
                    assert probe.connect_ex(("127.0.0.1", port)) != 0
            ports.clear()

        assert await every_step(operation) > 3

    run_sockets(story)
