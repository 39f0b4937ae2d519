"""aiohttp's WebSocket client and server, on asyncio."""

from __future__ import annotations

import asyncio

from aiohttp import ClientSession, web

from bench.peers.load import Outcome, Task, echo

PACKAGE = "aiohttp"


async def echo_back(request: web.Request) -> web.WebSocketResponse:
    """Sends back every message."""
    connection = web.WebSocketResponse(compress=False)
    await connection.prepare(request)
    async for message in connection:
        await connection.send_bytes(message.data)
    return connection


def serve(task: Task) -> None:
    """An echo server."""

    async def main() -> None:
        application = web.Application()
        application.router.add_get("/", echo_back)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
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
