"""A connection in memory: two ways, on each of which things may go wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import trio

from .._arguments import require_int

if TYPE_CHECKING:
    from ._faults import Direction

#: Bytes that a way takes before a sender waits for the reader, as the buffers of a socket do.
CAPACITY: Final = 256 * 1024

#: Largest piece that is read at once where nobody says how large.
_READ: Final = 64 * 1024


class Way:
    """One direction of a connection: what was sent, and when it arrives.

    *direction*: whose faults it has. *name*: what its random numbers depend on, besides the seed.
    A chunk is read as it was sent, or in pieces, but never two at once: what a reader gets doesn't
    depend on when it reads.
    """

    def __init__(self, direction: Direction, name: str, capacity: int) -> None:
        self._direction = direction
        self._capacity = capacity
        self._queue: deque[tuple[float, memoryview]] = deque()
        self._size = 0  # of what is queued
        self._latest = 0.0  # arrival of the last chunk
        self._waiting = trio.lowlevel.ParkingLot()
        self._ended = False  # nothing is sent any more: an empty chunk is the last one
        self._deaf = False  # what is sent goes nowhere
        self._broken = False
        self._unread = False  # nobody reads any more
        self.name = name
        #: Bytes that were sent so far.
        self.sent = 0
        self.connection: Connection
        direction.begin(self)

    def __repr__(self) -> str:
        return f"<Way {self.name}, {self.sent} bytes>"

    # --- what faults and connections do ---------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether nothing can happen on it any more."""
        return self._broken or self._unread or (self._ended and not self._size)

    def wake(self) -> None:
        """Have those who wait look again."""
        self._waiting.unpark_all()

    def end(self) -> None:
        """The end of the stream comes behind what was sent. Idempotent."""
        if not self._ended:
            self._ended = True
            self._queue.append((max(self._latest, self._arrival(b"")), memoryview(b"")))
        self.wake()

    def end_unnoticed(self) -> None:
        """The same, and the sender doesn't know: what it sends goes nowhere."""
        self.end()
        self._deaf = True

    def break_off(self) -> None:
        """Either end finds it broken from now on; what wasn't read is lost."""
        self._broken = True
        self._queue.clear()
        self.wake()

    def _arrival(self, data: bytes) -> float:
        return self._direction.arrival(self, data, trio.current_time())

    # --- sending --------------------------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        """Send *data*, or wait until some could be. Raises trio.BrokenResourceError."""
        while True:
            if self._hopeless:
                raise trio.BrokenResourceError("the peer has closed the connection, or it broke")
            room = self._capacity - self._size
            if room <= 0:
                await self._waiting.park()
                continue
            if data:
                self._pass_on(data[:room])
                data = data[room:]
            if not data:
                return

    @property
    def _hopeless(self) -> bool:
        return self._broken or self._unread or (self._ended and not self._deaf)

    def _pass_on(self, data: bytes) -> None:
        passed, struck = self._direction.admit(self, data)
        begun = self.sent
        self.sent += len(data)
        for chunk in self._direction.changed(self, begun, passed) if not self._deaf else ():
            self._latest = max(self._latest, self._arrival(chunk))
            self._queue.append((self._latest, memoryview(chunk)))
            self._size += len(chunk)
        for fault in struck:
            fault.strike(self)
        self.wake()

    # --- receiving ------------------------------------------------------------------------------

    async def receive(self, most: int) -> bytes:
        """Some bytes, b"" at the end. Raises trio.BrokenResourceError, trio.ClosedResourceError."""
        while True:
            if self._unread:
                raise trio.ClosedResourceError("this end was closed")
            if self._broken:
                raise trio.BrokenResourceError("the connection was reset")
            if not self._queue or self._direction.holds:
                await self._waiting.park()
                continue
            arrival, data = self._queue[0]
            if arrival <= trio.current_time():
                return self._take(data, most)
            with trio.move_on_at(arrival):
                await self._waiting.park()

    def _take(self, data: memoryview, most: int) -> bytes:
        if not data:
            return b""  # the end stays
        size = min(most, self._direction.piece or most)
        arrival, _ = self._queue.popleft()
        taken, left = bytes(data[:size]), data[size:]
        if left:
            self._queue.appendleft((arrival, left))
        self._size -= len(taken)
        self.wake()
        return taken

    def stop_reading(self) -> None:
        """Nobody reads any more. Idempotent."""
        self._unread = True
        self._queue.clear()
        self.wake()


class MemoryStream(trio.abc.HalfCloseableStream):
    """One end of a connection in memory. *peer*: the address of the other end, for logs."""

    def __init__(self, outgoing: Way, incoming: Way, peer: object) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._sending = False
        self._receiving = False
        self._said_all = False
        self._closed = False
        self.peer = peer

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with self._alone_sending():
            await trio.lowlevel.checkpoint()
            self._check()
            if self._said_all:
                raise trio.ClosedResourceError("send_eof was called")
            await self._outgoing.send(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        with self._alone_sending():
            await trio.lowlevel.checkpoint()
            self._check()
            try:
                await self._outgoing.send(b"")
            except trio.BrokenResourceError:
                self._check()  # send_all tells

    async def send_eof(self) -> None:
        with self._alone_sending():
            await trio.lowlevel.checkpoint()
            self._check()
            self._said_all = True
            self._outgoing.end()

    @contextmanager
    def _alone_sending(self) -> Iterator[None]:
        if self._sending:
            raise trio.BusyResourceError("another task is using this stream for sending")
        self._sending = True
        try:
            yield
        except trio.BrokenResourceError:
            self._check()  # it was closed meanwhile
            raise
        finally:
            self._sending = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if max_bytes is not None:
            require_int("max_bytes", max_bytes)
            if max_bytes < 1:
                raise ValueError("max_bytes is at least 1")
        if self._receiving:
            raise trio.BusyResourceError("another task is using this stream for receiving")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint()
            self._check()
            return await self._incoming.receive(max_bytes or _READ)
        finally:
            self._receiving = False

    async def aclose(self) -> None:
        self._close()
        await trio.lowlevel.checkpoint()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._outgoing.end()
            self._incoming.stop_reading()

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this end was closed")

    @property
    def connection(self) -> Connection:
        """What it is an end of."""
        return self._outgoing.connection


class Connection:
    """A connection in memory, as it looks from above: both of its ends, and how it may fail.

    *number*: counted from 1, in the order in which connections were made.
    """

    def __init__(
        self,
        number: int,
        directions: tuple[Direction, Direction],
        *,
        target: object = "memory",
        capacity: int = CAPACITY,
    ) -> None:
        to_server, to_client = directions
        self.number = number
        #: Where it was dialled to.
        self.target = target
        self.to_server = Way(to_server, f"{number} to server", capacity)
        self.to_client = Way(to_client, f"{number} to client", capacity)
        self.to_server.connection = self.to_client.connection = self
        #: The end of who dialled.
        self.client = MemoryStream(self.to_server, self.to_client, target)
        #: The end of who listened.
        self.server = MemoryStream(self.to_client, self.to_server, ("memory", number))
        for way in (self.to_server, self.to_client):
            way._direction.begun(way)

    def __repr__(self) -> str:
        return f"<Connection {self.number}, {'over' if self.over else 'open'}>"

    @property
    def over(self) -> bool:
        """Whether nothing can happen on it any more."""
        return self.to_server.over and self.to_client.over

    def cut(self) -> None:
        """End it both ways, behind what was sent, as if either end had closed it. Idempotent."""
        self.to_server.end()
        self.to_client.end()

    def reset(self) -> None:
        """Break it: what wasn't read is lost, and whoever uses it is told so. Idempotent."""
        self.to_server.break_off()
        self.to_client.break_off()
