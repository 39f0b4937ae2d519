"""websockets on asyncio."""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as start_server

from bench.peers.load import Outcome, Task, echo

PACKAGE = "websockets"


async def echo_back(connection: ServerConnection) -> None:
    """Sends back every message."""
    async for message in connection:
        await connection.send(message)


def serve(task: Task) -> None:
    """An echo server."""

    async def main() -> None:
        async with start_server(echo_back, "127.0.0.1", 0, compression=None) as server:
            task.listening(server.sockets[0].getsockname()[1])
            await server.serve_forever()

    asyncio.run(main())


def drive(task: Task) -> Outcome:
    """Echoes over one connection."""

    async def main() -> Outcome:
        url = f"ws://127.0.0.1:{task.port}/"
        async with connect(url, compression=None, proxy=None) as connection:
            return await echo(task, connection.send, connection.recv)

    return asyncio.run(main())
