"""What the pump's tests are told with: a link and a session that do as a test says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import trio

from wirecore.events import Buffer
from wirecore.session import Outbox
from wirecore_trio._link import Link
from wirecore_trio._pump import Pump


class ScriptedLink:
    """A link that reads what it is told to and takes as much as there is *room* for."""

    number = -1

    def __init__(self, *reads: bytes | Exception, room: float = math.inf) -> None:
        self.reads: list[bytes | Exception] = list(reads)
        self.room = room
        self.sent: list[bytes] = []
        self.read_count = 0
        self.send_error: Exception | None = None
        self.owes = False
        self.closed = False
        self.held: int | None = None
        self.moved = trio.Event()

    def change(self, *reads: bytes | Exception, room: float | None = None) -> None:
        """Something came, or there is *room* again."""
        self.reads += reads
        self.room = self.room if room is None else room
        self.moved.set()
        self.moved = trio.Event()

    def try_recv_into(self, buffer: memoryview) -> int | None:
        self.read_count += 1
        if not self.reads:
            return None
        data = self.reads[0]
        if isinstance(data, Exception):
            raise data
        if data:  # the end of the stream stays
            self.reads.pop(0)
        buffer[: len(data)] = data
        return len(data)

    def try_send(self, data: Buffer) -> int:
        if self.send_error is not None:
            raise self.send_error
        size = int(min(self.room, len(data)))
        self.room -= size
        if size:
            self.sent.append(bytes(data[:size]))
        return size

    def readable_within(self, seconds: float) -> bool:
        return bool(self.reads)

    async def wait_readable(self) -> None:
        while not self.reads and not self.closed:
            await self.moved.wait()
        if self.closed:
            raise trio.ClosedResourceError
        await trio.lowlevel.checkpoint()

    async def flush(self) -> None:
        await trio.lowlevel.checkpoint()
        while not self.room and not self.closed:
            await self.moved.wait()
        if self.closed:
            raise trio.ClosedResourceError

    def backlog(self) -> int | None:
        return self.held

    def close(self) -> None:
        self.closed = True
        self.change()


class TestSession:
    """A session that hands out what it gets, and ends with the stream or when told to."""

    __test__ = False

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.stage = self
        self.finished = False
        self.deferred = False
        self.growing = 0
        self.grows_by = 0  # with each receive
        self.deadline = math.inf
        self.expiries: list[float] = []
        self.error: Exception | None = None
        self.finish_on_expiry = False
        self.farewell = b""

    def start(self, now: float) -> None:
        pass

    def close(self) -> None:
        self.finished = True

    def receive(self, data: Buffer, now: float) -> list[bytes]:
        self.growing += self.grows_by
        if self.error is not None:
            raise self.error
        got = bytes(data)
        if self.deferred:
            self.deferred = False
            self.finished = True
            if self.farewell:
                self.outbox.put_control(self.farewell)
            return []
        self.deferred = got == b"last"
        if got.startswith(b"echo "):
            self.outbox.put(got[5:])
        self.finished = self.finished or got == b"bye"
        return [got]

    def receive_eof(self, now: float) -> None:
        self.finished = True

    def expire(self, now: float) -> list[str]:
        if self.error is not None:
            raise self.error
        self.expiries.append(now)
        self.deadline = math.inf
        self.finished = self.finished or self.finish_on_expiry
        return ["expired"]

    def next_deadline(self) -> float:
        return self.deadline


class Told:
    """An owner that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.finishes = 0
        self.ends: list[BaseException | None] = []

    def received(self, happened: list[Any]) -> None:
        self.events += happened

    def on_finish(self) -> None:
        self.finishes += 1

    def on_end(self, error: BaseException | None) -> None:
        self.ends.append(error)


class Story(Told):
    """A pump between both of them, and its owner."""

    def __init__(
        self,
        link: Link,
        *,
        write_timeout: float = 60,
        high_water: int = 1000,
        eager_wait: float = 0.0,
    ) -> None:
        super().__init__()
        self.link: Any = link
        self.session = TestSession()
        self.react: Callable[[], object] = lambda: None  # what the owner does with what came
        self.pump = Pump(
            link,
            self.session,
            self,
            write_timeout=write_timeout,
            high_water=high_water,
            eager_wait=eager_wait,
        )

    def received(self, happened: list[Any]) -> None:
        super().received(happened)
        self.react()

    def write(self, *frames: bytes) -> None:
        for frame in frames:
            self.session.outbox.put(frame)
            self.pump.write()
