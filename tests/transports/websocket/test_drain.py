"""A server that stops in good order: what its handlers are in the middle of is finished."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore_trio.websocket import (
    ConnectionClosed,
    Options,
    Server,
    WebSocket,
    serve,
    wrap_client,
)

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.websocket.conftest import World


async def hold(ws: WebSocket) -> None:
    async for _ in ws:
        pass


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.02)


async def end_of(ws: WebSocket) -> ConnectionClosed:
    with pytest.raises(ConnectionClosed) as caught:
        await ws.receive()
    return caught.value


async def handle_slowly(done: list[Any], ws: WebSocket) -> None:
    async for message in ws:
        await trio.sleep(5)
        await ws.send(b"done: " + bytes(message))  # type: ignore[arg-type]  # bytes are sent
        done.append(message)


def test_draining_lets_handlers_finish_what_they_work_at(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        done: list[Any] = []
        ended = False

        async def run_server(task_status: trio.TaskStatus[Server]) -> None:
            nonlocal ended
            await serve(
                partial(handle_slowly, done),
                "127.0.0.1",
                0,
                backend=world.backend,
                task_status=task_status,
            )
            ended = True

        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(run_server)
            async with world.connect(server) as idle, world.connect(server) as busy:
                await busy.send(b"1")
                await busy.send(b"2")  # queued before the drain: it is handled too
                await settle()
                assert not server.draining
                start = trio.current_time()
                nursery.start_soon(server.drain)
                nursery.start_soon(server.drain)  # two may wait for it
                assert (await end_of(idle)).code == 1001
                assert trio.current_time() - start < 1
                assert server.draining
                with pytest.raises(ConnectionRefusedError):
                    async with world.connect(server):
                        pytest.fail("it was let in")
                assert [await busy.receive(), await busy.receive()] == [b"done: 1", b"done: 2"]
                error = await end_of(busy)
                assert (error.code, error.clean) == (1001, True)
            await settle()
            assert ended
            await server.drain()
        assert done == [b"1", b"2"]

    run_sockets(story)


def test_a_drain_waits_only_for_its_grace(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        done: list[Any] = []
        async with world.serving(partial(handle_slowly, done)) as server:
            async with world.connect(server) as ws:
                await ws.send(b"1")
                await settle()
                start = trio.current_time()
                await server.drain(grace=2)
                assert trio.current_time() - start == pytest.approx(2, abs=0.5)
                assert (await end_of(ws)).code == 1001
            assert done == []
            assert server.connections == set()

    run_sockets(story)


def test_a_drain_without_end_waits_for_the_last(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async def work(ws: WebSocket) -> None:
            await trio.sleep(1000)

        async with world.serving(work) as server, world.connect(server):
            start = trio.current_time()
            await server.drain(grace=None)
            assert trio.current_time() - start >= 990

    run_sockets(story)


def test_who_is_let_in_during_a_drain_is_sent_away_at_once(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with world.serving() as server, trio.open_nursery() as nursery:
            stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            await settle()
            nursery.start_soon(server.drain)
            await settle()
            async with await wrap_client(stream, backend=world.backend) as ws:
                assert (await end_of(ws)).code == 1001

    run_sockets(story)


def test_sending_while_the_server_stops(world: World, run_sockets: Run) -> None:
    """One task of a handler receives, and so the connection is closing; another still sends."""

    async def story() -> None:
        errors: list[ConnectionClosed] = []

        async def send_later(ws: WebSocket) -> None:
            while ws.sendable:  # noqa: ASYNC110 - there is no event for it
                await trio.sleep(0.01)
            with pytest.raises(ConnectionClosed) as caught:
                await ws.send(b"x")
            errors.append(caught.value)

        async def handle(ws: WebSocket) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_later, ws)
                async for _ in ws:
                    pass

        async with world.serving(handle, options=Options(close_timeout=3)) as server:
            stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            ws = await wrap_client(stream, backend=world.backend)
            await settle()
            # The client doesn't answer the close frame for a while.
            await server.drain()
            ws.abort()
        (error,) = errors
        assert (error.code, error.reason) == (1006, "this end is closing it (a server that stops)")

    run_sockets(story)


def test_draining_closes_nobody_who_has_a_message_to_handle(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with world.serving(hold) as server, world.connect(server) as ws:
            await settle()
            (connection,) = server.connections
            connection._baton.received([b"just came"])
            connection.drain()
            assert connection.sendable
            connection._baton.drop()
            connection.drain()
            assert not connection.sendable
            assert (await end_of(ws)).code == 1001

    run_sockets(story)
