"""A protocol of its own for these tests, without WebSocket: lines of bytes, and an idle timeout."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import trio

from wirecore import Outbox
from wirecore_trio import Owner, Running


class Lines:
    """A session: each line that came is told; nothing for *idle* seconds after one ends it.

    What a test sets: *error*, to be raised by the next ``receive``; *closes*: whether ``close``
    ends it.
    """

    deferred = False
    growing = 0

    def __init__(self, idle: float = math.inf) -> None:
        self.outbox = Outbox()
        self.stage = self
        self.finished = False
        self.closes = True
        self.error: Exception | None = None
        self.started: float | None = None
        self._idle = idle
        self._deadline = math.inf
        self._rest = b""

    def send(self, line: bytes) -> None:
        self.outbox.put(line + b"\n")

    def start(self, now: float) -> None:
        self.started = now

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[bytes]:
        if self.error is not None:
            raise self.error
        if self.finished:
            return []
        *lines, self._rest = (self._rest + bytes(data)).split(b"\n")
        if lines:
            self._deadline = now + self._idle
        return lines

    def receive_eof(self, now: float) -> None:
        self.finished = True

    def expire(self, now: float) -> list[bytes]:
        if now < self._deadline or self.finished:
            return []
        self._deadline = math.inf
        self.finished = True
        return [b"(idle)"]

    def next_deadline(self) -> float:
        return self._deadline

    def close(self) -> None:
        if self.closes and not self.finished:
            self.send(b"bye")
            self.finished = True


class Reader(Owner[list[bytes]]):
    """An owner that keeps what it is told; *react* is what a test does with each line."""

    def __init__(
        self, running: Running[Any], react: Callable[[Reader, bytes], object] | None = None
    ) -> None:
        self.running = running
        self.lines: list[bytes] = []
        self.ends: list[BaseException | None] = []
        self.finishes = 0
        self._react = react
        self._changed = trio.Event()

    def received(self, happened: list[bytes]) -> None:
        self.lines += happened
        if self._react is not None:
            for line in happened:
                self._react(self, line)
        self._tell()

    def on_finish(self) -> None:
        self.finishes += 1

    def on_end(self, error: BaseException | None) -> None:
        self.ends.append(error)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def send(self, line: bytes) -> None:
        self.running.session.send(line)
        self.running.write()

    async def until(self, count: int) -> list[bytes]:
        """Wait for so many lines."""
        while len(self.lines) < count and not self.ends:
            await self._changed.wait()
        return self.lines
