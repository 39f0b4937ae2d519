"""WebSocket echo between our ends and those of gorilla and gws."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import trio

from wirecore_trio import websocket

if TYPE_CHECKING:
    from tests.interop.conftest import StartPeer, Story

Run = Callable[["Story"], None]

both_libraries = pytest.mark.parametrize("library", ["gorilla", "gws"])

#: Around every boundary of a frame's length field, and beyond what sockets take at once.
SIZES = (0, 1, 125, 126, 65_535, 65_536, 4_000_000)


async def echo(ws: websocket.WebSocket) -> None:
    """Send back what comes."""
    async for message in ws:
        await ws.send(message)


@both_libraries
def test_our_client_gets_everything_back_from_a_go_server(
    echo_peer: StartPeer, run: Run, library: str
) -> None:
    async def story() -> None:
        async with echo_peer(library, "serve") as go:
            port = (await go.wait_for("listening"))["port"]
            async with websocket.connect(f"ws://127.0.0.1:{port}/") as ws:
                for size in SIZES:
                    for message in (bytes(size), "é" * size):
                        await ws.send(message)
                        assert await ws.receive() == message
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ws.ping)
                    nursery.start_soon(ws.send, "beside a ping")
                    assert await ws.receive() == "beside a ping"

    run(story)


@both_libraries
@pytest.mark.parametrize(
    ("in_flight", "size"), [(1, 64), (100, 64), (100, 0), (10, 65_536), (1, 1_048_576)]
)
def test_a_go_client_gets_everything_back_from_our_server(
    echo_peer: StartPeer, run: Run, library: str, in_flight: int, size: int
) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(websocket.serve, echo, "127.0.0.1", 0)
            async with echo_peer(
                library,
                "drive",
                *("--port", server.port, "--warm-up", 0, "--messages", 200),
                *("--in-flight", in_flight, "--size", size),
            ) as go:
                await go.wait_for("result", count=200)
            nursery.cancel_scope.cancel()

    run(story)
