"""From a connection's outbox into an asyncio transport: few writes, and senders that wait.

A message that is sent alone leaves at once. Those that are sent while others of the same read
wait for their answers, or in a row, leave together at the end of the loop's pass: a write is a
system call, which costs more than the message.
"""

from __future__ import annotations

import asyncio
from typing import Final

from wirecore.session.outbox import Outbox

#: Bytes that may wait for the end of the pass until senders wait for it too, so that one who
#: never waits for anything else doesn't keep the loop from everybody else.
_CROWDED: Final = 256 * 1024

#: Seconds that a peer gets to take the last bytes before the connection is broken off.
_LAST_FLUSH: Final = 10.0


class Outlet:
    """The sending side of one connection."""

    __slots__ = (
        "_abort",
        "_loop",
        "_paused",
        "_scheduled",
        "_transport",
        "_waiters",
        "blocked",
        "closed",
        "outbox",
        "wrote",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._abort: asyncio.TimerHandle | None = None
        self._paused = False
        self._scheduled = False
        self._waiters: list[asyncio.Future[None]] = []
        #: Where frames wait; a connection's own from its handshake on.
        self.outbox = Outbox()
        #: Whether senders have to :meth:`wait`.
        self.blocked = False
        #: Whether nothing more can be sent.
        self.closed = False
        #: Whether something left since the last read: the next to come then waits for others.
        self.wrote = False

    def write(self, data: bytes) -> None:
        """Send *data*, which isn't a frame, at once."""
        if not self.closed:
            self._transport.write(data)

    def push(self, *, more: bool) -> None:
        """Something was queued; *more* is likely to follow before the pass ends."""
        if self._scheduled:
            if self.outbox.pending >= _CROWDED:
                self.blocked = True
        elif more or self.wrote:
            self._scheduled = True
            self._loop.call_soon(self._end_pass)
        else:
            self.wrote = True
            self.flush()

    def flush(self) -> None:
        """Send what is queued, as far as the transport takes it."""
        if not self._paused:
            self._drain()

    async def wait(self) -> None:
        """Until senders may go on, or the connection is lost."""
        while self.blocked:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)

    def pause(self) -> None:
        """The transport's buffer is full."""
        self._paused = self.blocked = True

    def resume(self) -> None:
        """The transport's buffer has room again."""
        self._paused = False
        self._drain()
        self._unblock()

    def close(self) -> None:
        """Send all that is queued, then end the stream.

        A peer that takes nothing of it holds the connection no longer than a while.
        """
        if self.closed:
            return
        self._drain(whole=True)
        self.closed = True
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._abort = self._loop.call_later(_LAST_FLUSH, self._transport.abort)

    def lost(self) -> None:
        """The connection is gone: whoever waits learns it."""
        self.closed = True
        self._paused = False
        self.outbox.clear()
        if self._abort is not None:
            self._abort.cancel()
        self._unblock()

    def _end_pass(self) -> None:
        self._scheduled = self.wrote = False
        self.flush()
        self._unblock()

    def _drain(self, *, whole: bool = False) -> None:
        outbox = self.outbox
        while outbox.pending and not self.closed and (whole or not self._paused):
            data = outbox.take(_CROWDED)
            self._transport.write(data)
            outbox.sent(len(data))

    def _unblock(self) -> None:
        self.blocked = self._paused
        if not self.blocked:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
