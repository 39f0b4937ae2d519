"""A server that never says how it is set up: each attempt to connect ends, with its connection."""

from __future__ import annotations

import trio

from tests.transports.conftest import Run
from wirecore.session import Backoff
from wirecore_trio import websocket, webwire


def test_no_attempt_leaves_its_connection_open(run_sockets: Run) -> None:
    opened = 0
    at_once: list[int] = []
    enough = trio.Event()

    async def say_nothing(ws: websocket.WebSocket) -> None:
        nonlocal opened
        opened += 1
        at_once.append(opened)
        if len(at_once) == 5:
            enough.set()
        try:
            async for _ in ws:
                raise AssertionError("a client that knows nothing of us has sent something")
        finally:
            opened -= 1

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(websocket.serve, say_nothing, "127.0.0.1", 0)
            options = webwire.ClientOptions(
                dial_timeout=1.0,
                retry=webwire.RetryPolicy(backoff=lambda: Backoff(0.5, 1.0, 0.0, 0.5)),
            )
            url = f"ws://127.0.0.1:{listening.port}/"
            async with webwire.connect(url, options, wait=False):
                await enough.wait()
            nursery.cancel_scope.cancel()

    run_sockets(story)
    assert at_once == [1] * 5
