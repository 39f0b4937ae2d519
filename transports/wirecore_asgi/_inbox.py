"""What came for the application and wasn't taken yet.

Messages wait as the decoder made them; the ASGI event is made when the application takes one.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Collection
from typing import Any, Final, TypeAlias

from wirecore.events import Message

Event: TypeAlias = dict[str, Any]

#: Input that may have come, in bytes, while messages are unread.
_HELD: Final = 64 * 1024


class Inbox:
    """The receiving side of one connection, :meth:`receive` being the ``receive`` of ASGI.

    *max_messages*: as many unread messages make it :attr:`full`, None for no such bound.
    *on_empty* is called within :meth:`receive` when nothing is left, where :attr:`held` is set.
    """

    __slots__ = ("_held", "_last", "_loop", "_max", "_on_empty", "_waiters", "held", "unread")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        max_messages: int | None,
        on_empty: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._max = math.inf if max_messages is None else max_messages
        self._on_empty = on_empty
        self._held = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._last: Event | None = None
        #: Whether the reader waits for the application.
        self.held = False
        #: Oldest first; what is neither text nor bytes is an event.
        self.unread: deque[Message | Event] = deque()

    def put(self, messages: Collection[Message], size: int) -> bool:
        """Queue *messages*, of a read of *size* bytes; whether reading is to stop.

        It never is for what one read brought alone: an application that keeps up takes that
        before the next one, and to stop and to go on costs two system calls.
        """
        unread = self.unread
        behind = bool(unread)
        self._held = self._held + size if behind else size
        if messages:
            unread.extend(messages)
            if self._waiters:
                self._wake()
        return behind and (len(unread) >= self._max or self._held >= _HELD)

    def put_event(self, event: Event) -> None:
        """Queue *event* behind the messages."""
        self.unread.append(event)
        self._wake()

    def end(self, event: Event) -> None:
        """Nothing more comes: whoever receives what isn't there gets *event*, every time."""
        self._last = event
        self._wake()

    def size(self) -> int:
        """How much is unread: bytes, and characters of text."""
        return sum(len(item) for item in self.unread if not isinstance(item, dict))

    async def receive(self) -> Event:
        """The next event; waits for one."""
        unread = self.unread
        while not unread:
            if self._last is not None:
                return dict(self._last)
            await self._wait()
        item = unread.popleft()
        if self.held and not unread:
            self._on_empty()
        if isinstance(item, str):
            return {"type": "websocket.receive", "text": item}
        if isinstance(item, bytes):
            return {"type": "websocket.receive", "bytes": item}
        return item

    async def _wait(self) -> None:
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
