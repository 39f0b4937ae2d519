"""wirecore's WebSocket on trio.

Option ``api``: ``many`` (what a program does that cares: all messages that have arrived at a time)
or ``single`` (one call each way for each message, as the other libraries have it). Options of the
server: ``to=all`` sends every message to all connections instead of back, ``tls=on`` is for
weighing. Option ``idle`` of the driver: so many more connections to the same server, on which
nothing is said.
"""

from __future__ import annotations

from functools import partial

import trio

import wirecore
from bench.peers.certificate import server_context
from bench.peers.idle_client import open_idle
from bench.peers.load import Batches, Outcome, Task, echo
from wirecore._backend import default
from wirecore_trio import websocket

VERSION = f"wirecore {wirecore.__version__}, backend {default.name}"


async def echo_many(ws: websocket.WebSocket) -> None:
    """Sends back all that has arrived."""
    while True:
        await ws.send_many(await ws.receive_many())


async def echo_single(ws: websocket.WebSocket) -> None:
    """Sends back one message after the other."""
    async for message in ws:
        await ws.send(message)


class Hall:
    """All open connections; what comes on one is sent to all of them."""

    def __init__(self) -> None:
        self._all: dict[websocket.WebSocket, None] = {}

    async def broadcast(self, ws: websocket.WebSocket) -> None:
        """By the call for it."""
        self._all[ws] = None
        async for message in ws:
            await websocket.broadcast(self._all, message)

    async def broadcast_single(self, ws: websocket.WebSocket) -> None:
        """To one after the other."""
        self._all[ws] = None
        async for message in ws:
            for each in self._all:
                await each.send(message)


def single(task: Task) -> bool:
    """Whether option ``api`` asks for one message at a time."""
    return task.options.get("api", "many") == "single"


def serve(task: Task) -> None:
    """A server that sends back, or to all."""
    if task.options.get("to") == "all":
        hall = Hall()
        handler = hall.broadcast_single if single(task) else hall.broadcast
    else:
        handler = echo_single if single(task) else echo_many
    context = server_context(task)

    async def main() -> None:
        start = partial(websocket.serve, handler, "127.0.0.1", 0, ssl_context=context)
        async with trio.open_nursery() as nursery:
            server = await nursery.start(start)
            task.listening(server.port)

    trio.run(main)


def drive(task: Task) -> Outcome:
    """Echoes over one connection."""

    async def main() -> Outcome:
        async with websocket.connect(f"ws://127.0.0.1:{task.port}/") as ws:
            if single(task) or task.in_flight == 1:
                return await echo(task, ws.send, ws.receive)
            return await drive_many(task, ws)

    held = open_idle(task.port, int(task.options.get("idle", "0")))
    outcome = trio.run(main)
    for connection in held:
        connection.close()
    return outcome


async def drive_many(task: Task, ws: websocket.WebSocket) -> Outcome:
    """Answers all that has arrived, then waits again."""
    batches = Batches(task)
    await ws.send_many(batches.first())
    while batches.under_way:
        await ws.send_many(batches.next(await ws.receive_many()))
    return batches.meter.outcome()
