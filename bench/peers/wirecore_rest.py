"""wirecore's REST over WebSocket on trio: an ASGI application that echoes, and its callers.

Option ``client`` of the driver: ``own`` is the connection's own ``request``, ``httpx2`` is httpx2
on a transport over the connection.
"""

from __future__ import annotations

import httpx2
import trio

import wirecore
from bench.peers.load import Meter, Outcome, Task, calls
from bench.peers.rest_echo import PATH, app
from wirecore._backend import default
from wirecore_trio import rest
from wirecore_trio.rest.httpx2 import Transport

VERSION = f"wirecore {wirecore.__version__}, backend {default.name}"


def serve(task: Task) -> None:
    """A server of the application."""
    server = rest.Server(app)  # type: ignore[arg-type]  # its scope is a dict

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            task.listening(listening.port)

    trio.run(main)


def drive(task: Task) -> Outcome:
    """Requests over one connection, each caller in a task of its own."""

    async def main() -> Outcome:
        async with rest.connect(f"ws://127.0.0.1:{task.port}/") as client:
            if task.options.get("client") != "httpx2":

                async def request(body: bytes) -> bytes:
                    return (await client.request("POST", PATH, content=body)).body

                return await measure(task, request)
            url = f"http://127.0.0.1:{task.port}"
            async with httpx2.AsyncClient(transport=Transport(client), base_url=url) as http:

                async def post(body: bytes) -> bytes:
                    return (await http.post(PATH, content=body)).content

                return await measure(task, post)

    return trio.run(main)


async def measure(task: Task, call: object) -> Outcome:
    """``task.in_flight`` callers."""
    messages, meter = task.messages(), Meter(task)
    async with trio.open_nursery() as callers:
        for _ in range(task.in_flight):
            callers.start_soon(calls, call, meter, messages, messages)
    return meter.outcome()
