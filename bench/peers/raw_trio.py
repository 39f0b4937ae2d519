"""No protocol at all: the bare socket on trio, the limit of what can be built on it.

Messages have no frame, so this meets only itself, and needs to know their size. Reading is
non-blocking first and waits only when nothing is there; what one read brought leaves in one send.
"""

from __future__ import annotations

import socket
import time
from itertools import cycle

import trio

from bench.peers.load import Batches, Meter, Outcome, Task

PACKAGE = "trio"


class Wire:
    """A non-blocking socket with a buffer of 256 KiB that is kept."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._buffer = memoryview(bytearray(256 * 1024))
        self._at_once = 0

    async def receive(self) -> memoryview:
        """What has come, valid until the next call; empty at the end of the stream."""
        return self._buffer[: await self.receive_into(self._buffer)]

    async def receive_into(self, buffer: memoryview) -> int:
        """Reads what has come, as much as fits; 0 at the end of the stream."""
        try:
            count = self._socket.recv_into(buffer)
        except BlockingIOError:
            self._at_once = 0
            await trio.lowlevel.wait_readable(self._socket)
            return self._socket.recv_into(buffer)
        self._at_once += 1
        if self._at_once == 8:
            # A peer that floods must not stop cancellation and the other tasks.
            self._at_once = 0
            await trio.lowlevel.checkpoint()
        return count

    async def send(self, data: bytes | memoryview) -> None:
        """Sends all of *data*."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)


def serve(task: Task) -> None:
    """Sends back whatever comes, to one client after the other."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            task.listening(listener.getsockname()[1])
            while True:
                await trio.lowlevel.wait_readable(listener)
                connection, _ = listener.accept()
                with connection:
                    wire = Wire(connection)
                    while data := await wire.receive():
                        await wire.send(data)

    trio.run(main)


async def ping_pong(task: Task, wire: Wire) -> Outcome:
    """One message under way."""
    meter = Meter(task)
    answer = memoryview(bytearray(task.size))
    for message in cycle(task.messages()):
        started = time.perf_counter()
        await wire.send(message)
        got = 0
        while got < task.size:
            got += await wire.receive_into(answer[got:])
        meter.check(bytes(answer), message)
        if meter.answered(started):
            break
    return meter.outcome()


async def window(task: Task, wire: Wire) -> Outcome:
    """Many messages under way."""
    batches = Batches(task)
    await wire.send(b"".join(batches.first()))
    pending = b""
    while batches.under_way:
        pending += await wire.receive()
        whole = len(pending) // task.size * task.size
        got = [pending[at : at + task.size] for at in range(0, whole, task.size)]
        pending = pending[whole:]
        await wire.send(b"".join(batches.next(got)))
    return batches.meter.outcome()


def drive(task: Task) -> Outcome:
    """Echoes over one connection."""

    async def main() -> Outcome:
        with socket.create_connection(("127.0.0.1", task.port)) as connection:
            wire = Wire(connection)
            return await (ping_pong if task.in_flight == 1 else window)(task, wire)

    return trio.run(main)
