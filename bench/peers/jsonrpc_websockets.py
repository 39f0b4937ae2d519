"""JSON-RPC 2.0 over websockets on asyncio, as one writes it by hand.

Option ``mode`` of the server: ``inline`` answers in the reading task, ``async`` starts a task for
each request.
"""

from __future__ import annotations

import asyncio
import json
from itertools import count

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as start_server

from bench.peers.load import Meter, Outcome, Task, calls

PACKAGE = "websockets"


async def ping(parameters: dict[str, str]) -> dict[str, str]:
    """Answers with what it was asked."""
    return {"body": parameters["body"]}


async def answer(connection: ServerConnection, text: str | bytes) -> None:
    """Answers one request."""
    request = json.loads(text)
    assert request["method"] == "ping"
    result = await ping(request["params"])
    await connection.send(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}))


async def answer_inline(connection: ServerConnection) -> None:
    """One request after the other."""
    async for message in connection:
        await answer(connection, message)


async def answer_in_tasks(connection: ServerConnection) -> None:
    """Every request in a task of its own."""
    async with asyncio.TaskGroup() as group:
        async for message in connection:
            group.create_task(answer(connection, message))


def serve(task: Task) -> None:
    """A server with the one method."""
    handler = answer_in_tasks if task.options.get("mode") == "async" else answer_inline

    async def main() -> None:
        async with start_server(handler, "127.0.0.1", 0, compression=None) as server:
            task.listening(server.sockets[0].getsockname()[1])
            await server.serve_forever()

    asyncio.run(main())


def drive(task: Task) -> Outcome:
    """Calls over one connection."""

    async def main() -> Outcome:
        url = f"ws://127.0.0.1:{task.port}/"
        pending: dict[int, asyncio.Future[dict[str, str]]] = {}
        numbers = count(1)
        loop = asyncio.get_running_loop()
        async with connect(url, compression=None, proxy=None) as connection:

            async def read() -> None:
                async for message in connection:
                    response = json.loads(message)
                    pending.pop(response["id"]).set_result(response["result"])

            async def call(body: str) -> str:
                number = next(numbers)
                future = pending[number] = loop.create_future()
                request = {"jsonrpc": "2.0", "id": number, "method": "ping"}
                await connection.send(json.dumps({**request, "params": {"body": body}}))
                return (await future)["body"]

            texts, meter = task.texts(), Meter(task)
            reader = asyncio.create_task(read())
            async with asyncio.TaskGroup() as group:
                for _ in range(task.in_flight):
                    group.create_task(calls(call, meter, texts, texts))
            reader.cancel()
        return meter.outcome()

    return asyncio.run(main())
