"""A WebSocket library of a test's own: what comes and fails is the test's to say."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import trio

from wirecore_trio.engine import AlreadyConnected, ConnectionClosed, Message, NotConnected


class Line:
    """One connection of :class:`Scripted`."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent: list[Message] = []
        self._coming: deque[Message | Exception] = deque()
        self._news = trio.Event()
        self.closed: tuple[int, str] | None = None
        self.ended = False

    def bring(self, *coming: Message | Exception) -> None:
        """The next ``receive`` gives them; an error is raised."""
        self._coming.extend(coming)
        self._news.set()

    def lose(self, code: int = 1006, reason: str = "") -> None:
        """The peer closes, behind what came before."""
        self.bring(ConnectionClosed(code, reason))

    async def next(self) -> Message:
        """What comes next; cancelled, nothing is lost."""
        while not self._coming:
            if self.ended:
                raise NotConnected("read failed because no connection is already up")
            self._news = trio.Event()
            await self._news.wait()
        coming = self._coming.popleft()
        if isinstance(coming, Exception):
            raise coming.with_traceback(None)
        return coming

    def come(self) -> list[Message]:
        """What has come, up to the next error."""
        messages: list[Message] = []
        while self._coming and not isinstance(self._coming[0], Exception):
            messages.append(self._coming.popleft())  # type: ignore[arg-type] # it is none
        return messages

    def end(self) -> None:
        """Whoever receives hears that it is closed."""
        self.ended = True
        self._coming.clear()
        self._news.set()


class Scripted:
    """An adapter. *on_dial*: is called at each dial; may wait, and raise."""

    def __init__(self, on_dial: Callable[[Line], Any] | None = None) -> None:
        self._on_dial = on_dial
        self.lines: list[Line] = []
        self.line: Line | None = None
        self.close_error: Exception | None = None
        self.close_seconds = 0.0
        self.receiving = 0

    async def dial(self, url: str) -> Any:
        """See Adapter."""
        await trio.lowlevel.checkpoint()
        if self.line is not None:
            raise AlreadyConnected
        line = Line(len(self.lines) + 1)
        self.lines.append(line)
        if self._on_dial is not None:
            waits = self._on_dial(line)
            if waits is not None:
                await waits
        self.line = line
        return f"answer {line.number}"

    async def close(self, code: int, reason: str) -> None:
        """See Adapter."""
        line, self.line = self.line, None
        if line is None:
            raise NotConnected("close failed because no connection is already up")
        line.closed = (code, reason)
        line.end()
        await trio.sleep(self.close_seconds)
        if self.close_error is not None:
            raise self.close_error

    async def ping(self) -> Any:
        """See Adapter."""
        await trio.lowlevel.checkpoint()
        return 0.0

    async def receive(self) -> Message:
        """See Adapter."""
        line = self.line
        if line is None:
            raise NotConnected("read failed because no connection is already up")
        assert not self.receiving, "two tasks receive"
        self.receiving += 1
        try:
            return await line.next()
        except ConnectionClosed:
            line.end()
            if self.line is line:
                self.line = None
            raise
        finally:
            self.receiving -= 1

    async def send(self, message: Message) -> None:
        """See Adapter."""
        await trio.lowlevel.checkpoint()
        if self.line is None:
            raise NotConnected("write failed because no connection is already up")
        self.line.sent.append(message)

    @property
    def underlying(self) -> Any:
        """See Adapter."""
        return self.line


class ScriptedMany(Scripted):
    """The same, which gives all messages that have come at once."""

    async def receive_many(self) -> list[Message]:
        """See ReceivesMany."""
        first = await self.receive()
        return [first] if self.line is None else [first, *self.line.come()]


class Diary:
    """What callbacks were called, and when, in whole tenths of a second."""

    def __init__(self) -> None:
        self.entries: list[tuple[float, str]] = []
        self._begun = math.nan

    def note(self, what: str) -> None:
        """Write it down."""
        now = trio.current_time()
        if math.isnan(self._begun):
            self._begun = now
        self.entries.append((round(now - self._begun, 1), what))

    @property
    def what(self) -> list[str]:
        """The entries without their times."""
        return [what for _, what in self.entries]
