"""The open connections of a server by their peers' keys, and the stream of their changes."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import trio

ConnectionT = TypeVar("ConnectionT")


@dataclass(frozen=True, slots=True)
class Change:
    """What has changed since the last one: whose connections came, and whose went.

    A key in both has lost a connection and has another one now.
    """

    connected: frozenset[bytes]
    disconnected: frozenset[bytes]


class Changes:
    """The changes of a server's connections: ``async for change in server.changes(): ...``.

    The first names those that are connected already, if there are any. Who is slow misses no
    outcome: what happens meanwhile is one change, and a connection that came and went in it isn't
    told of. The iteration ends when the server has closed. One task may iterate at a time:
    trio.BusyResourceError for another.
    """

    __slots__ = ("__weakref__", "_came", "_ended", "_something", "_waiting", "_went")

    def __init__(self, connected: Iterator[bytes], *, ended: bool) -> None:
        self._came = set(connected)
        self._went: set[bytes] = set()
        self._something = trio.Event()
        self._waiting = False
        self._ended = ended

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        if self._waiting:
            raise trio.BusyResourceError("another task is waiting for the changes")
        self._waiting = True
        try:
            await trio.lowlevel.checkpoint()
            while not (self._came or self._went):
                if self._ended:
                    raise StopAsyncIteration
                self._something = trio.Event()
                await self._something.wait()
        finally:
            self._waiting = False
        change = Change(frozenset(self._came), frozenset(self._went))
        self._came.clear()
        self._went.clear()
        return change

    def _connected(self, key: bytes) -> None:
        self._came.add(key)
        self._something.set()

    def _disconnected(self, key: bytes) -> None:
        if key in self._came:
            self._came.discard(key)  # nobody has heard of it
        else:
            self._went.add(key)
            self._something.set()

    def _end(self) -> None:
        self._ended = True
        self._something.set()


class Connections(Generic[ConnectionT]):
    """At most one connection for each key. Every change is told before a method returns."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, ConnectionT] = {}
        # Weak, as nobody says that he has stopped listening.
        self._listening: weakref.WeakSet[Changes] = weakref.WeakSet()
        self._closed = trio.Event()

    def __len__(self) -> int:
        return len(self._by_key)

    def __contains__(self, key: bytes) -> bool:
        return key in self._by_key

    @property
    def keys(self) -> list[bytes]:
        """Whose connections are open, the oldest first."""
        return list(self._by_key)

    @property
    def all(self) -> list[ConnectionT]:
        """The open connections, the oldest first."""
        return list(self._by_key.values())

    def get(self, key: bytes) -> ConnectionT | None:
        """The connection of *key*, None where it has none."""
        return self._by_key.get(key)

    def add(self, key: bytes, connection: ConnectionT) -> None:
        """*connection* is open, and takes the place of the one that *key* may have had."""
        if self._by_key.pop(key, None) is not None:
            self._tell_gone(key)
        self._by_key[key] = connection
        for changes in self._listening:
            changes._connected(key)

    def remove(self, key: bytes, connection: ConnectionT | None = None) -> ConnectionT | None:
        """The connection of *key* is gone; it is returned. With *connection* only if it is that.

        An old connection's end must not unregister a newer one of the same key.
        """
        found = self._by_key.get(key)
        if found is None or (connection is not None and found is not connection):
            return None
        del self._by_key[key]
        self._tell_gone(key)
        return found

    def _tell_gone(self, key: bytes) -> None:
        for changes in self._listening:
            changes._disconnected(key)

    def changes(self) -> Changes:
        """What changes from now on, beginning with what is open."""
        changes = Changes(iter(self._by_key), ended=self._closed.is_set())
        self._listening.add(changes)
        return changes

    def close(self) -> None:
        """No connection will be added any more: whoever listens gets to the end."""
        self._closed.set()
        for changes in self._listening:
            changes._end()

    async def wait_closed(self) -> None:
        """Wait until :meth:`close` was called."""
        await self._closed.wait()
