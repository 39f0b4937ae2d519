"""httpx2 over HTTP/1.1 with connections kept alive, and uvicorn, with the same application.

Option ``loop`` of the driver: httpx2 on ``asyncio`` or on ``trio``.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx2
import trio
import uvicorn

from bench.peers.load import Meter, Outcome, Task, calls
from bench.peers.rest_echo import PATH, app

PACKAGE = "httpx2"


def serve(task: Task) -> None:
    """The application under uvicorn, with what uvicorn chooses."""
    config = uvicorn.Config(app, lifespan="off", log_level="error", access_log=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task.listening(listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])


def drive(task: Task) -> Outcome:
    """Requests, each caller in a task of its own, over as many connections as there are callers."""
    if task.options.get("loop") == "trio":
        return trio.run(_on_trio, task)
    return asyncio.run(_on_asyncio(task))


def _client(task: Task) -> Any:
    limits = httpx2.Limits(max_connections=task.in_flight, max_keepalive_connections=task.in_flight)
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{task.port}", limits=limits)


async def _on_trio(task: Task) -> Outcome:
    messages, meter = task.messages(), Meter(task)
    async with _client(task) as http:

        async def post(body: bytes) -> bytes:
            return bytes((await http.post(PATH, content=body)).content)

        async with trio.open_nursery() as callers:
            for _ in range(task.in_flight):
                callers.start_soon(calls, post, meter, messages, messages)
    return meter.outcome()


async def _on_asyncio(task: Task) -> Outcome:
    messages, meter = task.messages(), Meter(task)
    async with _client(task) as http:

        async def post(body: bytes) -> bytes:
            return bytes((await http.post(PATH, content=body)).content)

        async with asyncio.TaskGroup() as callers:
            for _ in range(task.in_flight):
                callers.create_task(calls(post, meter, messages, messages))
    return meter.outcome()
