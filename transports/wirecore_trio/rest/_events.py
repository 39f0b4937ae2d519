"""What happens to a server's connections: received, closed, failed."""

from __future__ import annotations

import enum
import weakref
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from ._connection import Connection

#: Events that one listener may leave unread.
_MOST = 10_000


class Kind(enum.Enum):
    """Of events; the names are the original's."""

    RECEIVED = "ConnectionReceived"
    CLOSED = "ConnectionClosed"
    FAILED = "ConnectionFailure"


@dataclass(frozen=True, slots=True)
class ConnectionEvent:
    """*connection* came or has ended.

    *kind*: CLOSED by this server; FAILED where the peer has ended it, however it did that, or it
    broke. *clean*: whether the peer said goodbye. *missed*: how many events before this one were
    left out, as the listener was too slow.
    """

    kind: Kind
    connection: Connection
    clean: bool = False
    missed: int = 0

    @property
    def connection_id(self) -> str:
        """The connection's id."""
        return self.connection.id


class Listener:
    """The events from now on, for ``async for``; it ends with its server."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._waiting: deque[ConnectionEvent] = deque()
        self._missed = 0
        self._changed = trio.Event()
        self._over = False

    def __aiter__(self) -> AsyncIterator[ConnectionEvent]:
        return self

    async def __anext__(self) -> ConnectionEvent:
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self._over:
                raise StopAsyncIteration
            await self._changed.wait()
        return self._waiting.popleft()

    def close(self) -> None:
        """No more events are wanted. Idempotent."""
        self._events._listeners.discard(self)
        self._end()

    def _put(self, event: ConnectionEvent) -> None:
        if len(self._waiting) >= _MOST:
            self._missed += 1
            return
        if self._missed:
            event = ConnectionEvent(event.kind, event.connection, event.clean, self._missed)
            self._missed = 0
        self._waiting.append(event)
        self._wake()

    def _end(self) -> None:
        self._over = True
        self._wake()

    def _wake(self) -> None:
        # A new one for the next time: several tasks may read, and each waits for the same.
        changed, self._changed = self._changed, trio.Event()
        changed.set()


class Events:
    """Who listens to a server's connections."""

    def __init__(self) -> None:
        # Weak, as who stops listening need not say so.
        self._listeners: weakref.WeakSet[Listener] = weakref.WeakSet()

    def listen(self) -> Listener:
        """A new listener."""
        listener = Listener(self)
        self._listeners.add(listener)
        return listener

    def tell(self, kind: Kind, connection: Connection, *, clean: bool = False) -> None:
        """It happened."""
        for listener in self._listeners:
            listener._put(ConnectionEvent(kind, connection, clean))

    def end(self) -> None:
        """Nothing more will happen."""
        for listener in self._listeners:
            listener._end()
        self._listeners.clear()
