"""trio-websocket, which is wsproto on trio. Option ``tls=on`` of the server is for weighing."""

from __future__ import annotations

from functools import partial

import trio
from trio_websocket import (
    ConnectionClosed,
    WebSocketRequest,
    open_websocket_url,
    serve_websocket,
)

from bench.peers.certificate import server_context
from bench.peers.load import Outcome, Task, echo

PACKAGE = "trio-websocket"


async def echo_back(request: WebSocketRequest) -> None:
    """Sends back every message."""
    connection = await request.accept()
    try:
        while True:
            await connection.send_message(await connection.get_message())
    except ConnectionClosed:
        return


def serve(task: Task) -> None:
    """An echo server."""
    context = server_context(task)

    async def main() -> None:
        start = partial(serve_websocket, echo_back, "127.0.0.1", 0, context)
        async with trio.open_nursery() as nursery:
            server = await nursery.start(start)
            task.listening(server.port)

    trio.run(main)


def drive(task: Task) -> Outcome:
    """Echoes over one connection."""

    async def main() -> Outcome:
        async with open_websocket_url(f"ws://127.0.0.1:{task.port}/") as connection:
            return await echo(task, connection.send_message, connection.get_message)

    return trio.run(main)
