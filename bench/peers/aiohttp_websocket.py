"""aiohttp's WebSocket client and server, on asyncio.

Options of the server: ``to=all`` sends every (text) message to all connections instead of back,
``tls=on`` is for weighing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import ClientSession, web

from bench.peers.certificate import server_context
from bench.peers.load import Outcome, Task, echo

PACKAGE = "aiohttp"


async def echo_back(request: web.Request) -> web.WebSocketResponse:
    """Sends back every message."""
    connection = web.WebSocketResponse(compress=False)
    await connection.prepare(request)
    async for message in connection:
        await connection.send_bytes(message.data)
    return connection


def sends_to_all() -> Callable[[web.Request], Awaitable[web.WebSocketResponse]]:
    """A handler that sends every message to all open connections, one after the other."""
    connections: dict[web.WebSocketResponse, None] = {}

    async def send_to_all(request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(compress=False)
        await connection.prepare(request)
        connections[connection] = None
        async for message in connection:
            for each in connections:
                await each.send_str(message.data)
        return connection

    return send_to_all


def serve(task: Task) -> None:
    """A server that sends back, or to all."""
    handler = sends_to_all() if task.options.get("to") == "all" else echo_back
    context = server_context(task)

    async def main() -> None:
        application = web.Application()
        application.router.add_get("/", handler)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        task.listening(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def drive(task: Task) -> Outcome:
    """Echoes over one connection."""

    async def main() -> Outcome:
        url = f"http://127.0.0.1:{task.port}/"
        async with ClientSession() as session, session.ws_connect(url) as connection:
            return await echo(task, connection.send_bytes, connection.receive_bytes)

    return asyncio.run(main())
