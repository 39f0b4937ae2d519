"""websockets on asyncio.

Options of the server: ``to=all`` broadcasts every message instead of sending it back, ``tls=on`` is
for weighing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.asyncio.server import serve as start_server

from bench.peers.certificate import server_context
from bench.peers.load import Outcome, Task, echo

PACKAGE = "websockets"


async def echo_back(connection: ServerConnection) -> None:
    """Sends back every message."""
    async for message in connection:
        await connection.send(message)


def sends_to_all() -> Callable[[ServerConnection], Awaitable[None]]:
    """A handler that sends every message to all open connections."""
    connections: dict[ServerConnection, None] = {}

    async def send_to_all(connection: ServerConnection) -> None:
        connections[connection] = None
        async for message in connection:
            broadcast(connections, message)

    return send_to_all


def serve(task: Task) -> None:
    """A server that sends back, or to all."""
    handler = sends_to_all() if task.options.get("to") == "all" else echo_back
    context = server_context(task)

    async def main() -> None:
        async with start_server(handler, "127.0.0.1", 0, ssl=context, compression=None) as server:
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
