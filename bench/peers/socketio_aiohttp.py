"""python-socketio on asyncio, its server within aiohttp: events, and their acknowledgements.

A request is an event whose handler's result is its acknowledgement; a signal is one without. Only
WebSocket is spoken, from the first message on; all else is python-socketio's defaults, and so each
handler runs in a task of its own. Option ``load=signals`` of the driver: signals, not requests.
"""

from __future__ import annotations

import asyncio

import socketio
from aiohttp import web

from bench.peers.load import Meter, Outcome, Tally, Task, calls, signals

PACKAGE = "python-socketio"


def serve(task: Task) -> None:
    """A server of echoes that counts signals."""
    server = socketio.AsyncServer(async_mode="aiohttp", transports=["websocket"])
    tally = Tally(task)

    @server.event
    async def echo(sid: str, text: str) -> str:
        return text

    @server.event
    async def note(sid: str, text: str) -> None:
        tally.take(text)

    @server.event
    async def closing(sid: str, sent: int) -> int:
        while tally.seen < sent:  # noqa: ASYNC110 - it has overtaken few, if any
            await asyncio.sleep(0)
        return tally.good

    async def main() -> None:
        application = web.Application()
        server.attach(application)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        task.listening(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def drive(task: Task) -> Outcome:
    """Requests, each caller in a task of its own, or signals of one task."""

    async def main() -> Outcome:
        client = socketio.AsyncClient()
        await client.connect(f"http://127.0.0.1:{task.port}/", transports=["websocket"])
        try:
            if task.options.get("load") == "signals":
                return await send_signals(task, client)
            return await measure(task, client)
        finally:
            await client.disconnect()

    return asyncio.run(main())


async def measure(task: Task, client: socketio.AsyncClient) -> Outcome:
    """``task.in_flight`` callers."""

    async def call(text: str) -> str:
        return await client.call("echo", text)

    texts, meter = task.texts(), Meter(task)
    async with asyncio.TaskGroup() as group:
        for _ in range(task.in_flight):
            group.create_task(calls(call, meter, texts, texts))
    return meter.outcome()


async def send_signals(task: Task, client: socketio.AsyncClient) -> Outcome:
    """Bursts of signals."""
    return await signals(
        task,
        lambda text: client.emit("note", text),
        lambda sent: client.call("closing", sent),
    )
