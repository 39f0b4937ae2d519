"""What a provider tells of its connections: events in order, and what can be waited for."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

import trio

#: Events that wait to be asked for; the oldest is dropped for one more.
_MOST: Final = 1024


class Happening(Enum):
    """What happened; the original's signals."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Event:
    """*kind*: what happened to the connection number *connection* (from 0) to *url*.

    *error*: why an attempt failed, a connection was lost, or all came to its end; None where all
    is in order. The last event is CLOSED, of no one connection.
    """

    kind: Happening
    url: str = ""
    connection: int = 0
    error: Exception | None = None


class Listener:
    """The events from when it was made on, for ``async for``; CLOSED is the last."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._queue: deque[Event] = deque(maxlen=_MOST)

    def __aiter__(self) -> AsyncIterator[Event]:
        """Itself."""
        return self

    async def __anext__(self) -> Event:
        """The next event."""
        await trio.lowlevel.checkpoint()  # before it looks: another task may read, too
        while not self._queue:
            if self._events.over:
                raise StopAsyncIteration
            await self._events.wait()
        return self._queue.popleft()


class Events:
    """What happened, for any number of listeners."""

    def __init__(self) -> None:
        # Weak, as nobody says that he has stopped listening.
        self._listeners: weakref.WeakSet[Listener] = weakref.WeakSet()
        self._changed = trio.Event()
        #: CLOSED was told.
        self.over = False

    def tell(self, event: Event) -> None:
        """*event* happened."""
        self.over = self.over or event.kind is Happening.CLOSED
        for listener in self._listeners:
            listener._queue.append(event)
        self.change()

    def change(self) -> None:
        """Wake those who :meth:`wait`, who look for themselves what is new."""
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def wait(self) -> None:
        """Wait until anything more happens, or :meth:`change`."""
        await self._changed.wait()

    def listen(self) -> Listener:
        """The events from now on."""
        listener = Listener(self)
        self._listeners.add(listener)
        return listener
