"""Calls without any protocol: what a task for each caller costs on trio, over bare sockets.

The pool's rows with nothing of a pool: an answer is its question's bytes, all of one size, and
comes in its turn, so nothing is encoded, sought, counted or dispatched. What many callers ask
within a pass of the loop leaves in one send, and what one read brought is answered in one. A
caller waits in its own task, and is woken for its answer: nothing on trio that gives each caller
a task can pass this by much. Options as of ``wirecore_pool``; the codec is none of them.
"""

from __future__ import annotations

import socket
from collections import deque
from itertools import cycle

import trio

from bench.peers import meeting
from bench.peers.load import Meter, Outcome, Task, calls, payloads
from bench.peers.raw_trio import Wire

PACKAGE = "trio"

#: Bytes of a question, and of its answer: as many as the rows' calls have in gob.
SIZE = 48


def serve(task: Task) -> None:
    """Connections that send back whatever comes."""
    told = meeting.wait(task)

    async def echo() -> None:
        with socket.create_connection(("127.0.0.1", told.port)) as connection:
            wire = Wire(connection)
            while data := await wire.receive():
                await wire.send(data)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(told.connections):
                nursery.start_soon(echo)

    trio.run(main)


class Line:
    """One connection, and the callers that wait for what comes over it, first come first served."""

    def __init__(self, connection: socket.socket) -> None:
        self._wire = Wire(connection)
        self._waiting: deque[trio.lowlevel.Task] = deque()
        self._asked: list[bytes] = []
        self._writer: trio.lowlevel.Task | None = None

    async def call(self, question: bytes) -> bytes:
        """The answer to *question*."""
        self._asked.append(question)
        if self._writer is not None:
            writer, self._writer = self._writer, None
            trio.lowlevel.reschedule(writer)
        self._waiting.append(trio.lowlevel.current_task())
        answer: bytes = await trio.lowlevel.wait_task_rescheduled(_never)
        return answer

    async def write(self) -> None:
        """Send what was asked since the last time, for ever."""
        while True:
            if not self._asked:
                self._writer = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._abort)
            asked, self._asked = self._asked, []
            await self._wire.send(b"".join(asked))

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._writer = None
        return trio.lowlevel.Abort.SUCCEEDED

    async def read(self) -> None:
        """Wake callers until the stream ends."""
        rest = b""
        while data := await self._wire.receive():
            came = rest + data
            whole = len(came) - len(came) % SIZE
            for at in range(0, whole, SIZE):
                trio.lowlevel.reschedule(self._waiting.popleft(), _Answer(came[at : at + SIZE]))
            rest = came[whole:]


class _Answer:
    """All that trio wants of an outcome."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def unwrap(self) -> bytes:
        """The answer."""
        return self._data


def _never(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED  # each call is answered


def drive(task: Task) -> Outcome:
    """Calls, each caller in a task of its own, over the connections in turn."""

    async def main() -> Outcome:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            wanted = meeting.of(task, listener.getsockname()[1])
            meeting.tell(task, wanted)
            connections = [listener.accept()[0] for _ in range(wanted.connections)]
        lines = [Line(connection) for connection in connections]
        turns = cycle(lines)
        meter, asked = Meter(task), payloads(SIZE)

        async def call(question: bytes) -> bytes:
            return await next(turns).call(question)

        async with trio.open_nursery() as nursery:
            for line in lines:
                nursery.start_soon(line.read)
                nursery.start_soon(line.write)
            async with trio.open_nursery() as callers:
                for _ in range(task.in_flight):
                    callers.start_soon(calls, call, meter, asked, asked)
            nursery.cancel_scope.cancel()
        for connection in connections:
            connection.close()
        return meter.outcome()

    return trio.run(main)
