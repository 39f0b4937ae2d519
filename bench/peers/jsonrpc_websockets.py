"""JSON-RPC 2.0 over websockets on asyncio, as one writes it by hand.

Option ``mode`` of the server: ``inline`` answers in the reading task, ``async`` starts a task for
each request. Option ``load=signals`` of the driver: notifications, not requests.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any, TypeAlias

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as start_server

from bench.peers.load import Meter, Outcome, Tally, Task, calls, signals

PACKAGE = "websockets"


Methods: TypeAlias = dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]]


async def ping(parameters: dict[str, str]) -> dict[str, str]:
    """Answers with what it was asked."""
    return {"body": parameters["body"]}


def methods(tally: Tally) -> Methods:
    """What the server has: an echo, notifications that are counted, and their count."""

    async def note(parameters: dict[str, str]) -> None:
        tally.take(parameters["body"])

    async def closing(parameters: dict[str, int]) -> dict[str, int]:
        while tally.seen < parameters["sent"]:  # noqa: ASYNC110 - it has overtaken few, if any
            await asyncio.sleep(0)
        return {"good": tally.good}

    return {"ping": ping, "note": note, "closing": closing}


async def answer(served: Methods, connection: ServerConnection, text: str | bytes) -> None:
    """Answers one request; nothing is sent for a notification."""
    request = json.loads(text)
    result = await served[request["method"]](request["params"])
    if "id" in request:
        response = {"jsonrpc": "2.0", "id": request["id"], "result": result}
        await connection.send(json.dumps(response))


async def answer_inline(served: Methods, connection: ServerConnection) -> None:
    """One request after the other."""
    async for message in connection:
        await answer(served, connection, message)


async def answer_in_tasks(served: Methods, connection: ServerConnection) -> None:
    """Every request in a task of its own."""
    async with asyncio.TaskGroup() as group:
        async for message in connection:
            group.create_task(answer(served, connection, message))


def serve(task: Task) -> None:
    """A server with the methods."""
    answering = answer_in_tasks if task.options.get("mode") == "async" else answer_inline
    handler = partial(answering, methods(Tally(task)))

    async def main() -> None:
        async with start_server(handler, "127.0.0.1", 0, compression=None) as server:
            task.listening(server.sockets[0].getsockname()[1])
            await server.serve_forever()

    asyncio.run(main())


def drive(task: Task) -> Outcome:
    """Requests or notifications over one connection."""

    async def main() -> Outcome:
        url = f"ws://127.0.0.1:{task.port}/"
        pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        numbers = count(1)
        loop = asyncio.get_running_loop()
        async with connect(url, compression=None, proxy=None) as connection:

            async def read() -> None:
                async for message in connection:
                    response = json.loads(message)
                    pending.pop(response["id"]).set_result(response["result"])

            async def request(method: str, parameters: dict[str, Any]) -> dict[str, Any]:
                number = next(numbers)
                future = pending[number] = loop.create_future()
                message = {"jsonrpc": "2.0", "id": number, "method": method}
                await connection.send(json.dumps({**message, "params": parameters}))
                return await future

            async def call(body: str) -> str:
                return (await request("ping", {"body": body}))["body"]

            async def signal(body: str) -> None:
                message = {"jsonrpc": "2.0", "method": "note", "params": {"body": body}}
                await connection.send(json.dumps(message))

            async def closing(sent: int) -> int:
                return (await request("closing", {"sent": sent}))["good"]

            reader = asyncio.create_task(read())
            if task.options.get("load") == "signals":
                outcome = await signals(task, signal, closing)
            else:
                outcome = await measure(task, call)
            reader.cancel()
        return outcome

    return asyncio.run(main())


async def measure(task: Task, call: Callable[[str], Awaitable[str]]) -> Outcome:
    """``task.in_flight`` callers."""
    texts, meter = task.texts(), Meter(task)
    async with asyncio.TaskGroup() as group:
        for _ in range(task.in_flight):
            group.create_task(calls(call, meter, texts, texts))
    return meter.outcome()
