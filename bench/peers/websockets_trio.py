"""websockets on trio."""

from __future__ import annotations

from functools import partial

import trio
from websockets.trio.client import connect
from websockets.trio.server import Server, ServerConnection
from websockets.trio.server import serve as serve_connections

from bench.peers.load import Outcome, Task, echo

PACKAGE = "websockets"


async def echo_back(connection: ServerConnection) -> None:
    """Sends back every message."""
    async for message in connection:
        await connection.send(message)


def serve(task: Task) -> None:
    """An echo server."""

    async def main() -> None:
        start = partial(serve_connections, echo_back, 0, host="127.0.0.1", compression=None)
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(start)
            task.listening(server.listeners[0].socket.getsockname()[1])

    trio.run(main)


def drive(task: Task) -> Outcome:
    """Echoes over one connection."""

    async def main() -> Outcome:
        url = f"ws://127.0.0.1:{task.port}/"
        async with connect(url, compression=None, proxy=None) as connection:
            return await echo(task, connection.send, connection.recv)

    return trio.run(main)
