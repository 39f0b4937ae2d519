"""python-socketio on asyncio, its server within aiohttp: events, and their acknowledgements.

A request is an event whose handler's result is its acknowledgement; a signal is one without. Only
WebSocket is spoken, from the first message on; all else is python-socketio's defaults, and so each
handler runs in a task of its own. Options of the driver: ``load=signals`` is signals, not requests;
``clients=each`` has a connection for each caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

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
        if task.options.get("clients") == "each":
            return await measure_clients(task)
        client = await connected(task)
        try:
            if task.options.get("load") == "signals":
                return await send_signals(task, client)
            return await measure(task, client)
        finally:
            await client.disconnect()

    return asyncio.run(main())


async def connected(task: Task) -> socketio.AsyncClient:
    """A client of the server."""
    client = socketio.AsyncClient()
    await client.connect(f"http://127.0.0.1:{task.port}/", transports=["websocket"])
    return client


async def measure_clients(task: Task) -> Outcome:
    """``task.in_flight`` clients, with a request each."""
    texts, meter = task.texts(), Meter(task)

    async def ask() -> None:
        client = await connected(task)
        try:
            await calls(caller(client), meter, texts, texts)
        finally:
            await client.disconnect()

    async with asyncio.TaskGroup() as clients:
        for _ in range(task.in_flight):
            clients.create_task(ask())
    return meter.outcome()


async def measure(task: Task, client: socketio.AsyncClient) -> Outcome:
    """``task.in_flight`` callers."""

    texts, meter = task.texts(), Meter(task)
    async with asyncio.TaskGroup() as group:
        for _ in range(task.in_flight):
            group.create_task(calls(caller(client), meter, texts, texts))
    return meter.outcome()


def caller(client: socketio.AsyncClient) -> Callable[[str], Awaitable[str]]:
    """What asks for the echo of a text."""

    async def call(text: str) -> str:
        return await client.call("echo", text)

    return call


async def send_signals(task: Task, client: socketio.AsyncClient) -> Outcome:
    """Bursts of signals."""
    return await signals(
        task,
        lambda text: client.emit("note", text),
        lambda sent: client.call("closing", sent),
    )
