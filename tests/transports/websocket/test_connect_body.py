"""What the body of ``async with connect(...)`` may do, and what becomes of its exceptions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore_trio.websocket import (
    ConnectionClosed,
    WebSocket,
)

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.websocket.conftest import World


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
