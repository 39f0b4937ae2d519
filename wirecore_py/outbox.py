"""What waits to be sent, in two lanes, and how much of it has left: twin of ``wirecore._outbox``.

The control lane goes first, between whole data frames; the data lane counts bytes, so that it
is a fact and no guess whether a message has left when the connection breaks.
"""

from __future__ import annotations

from typing import Protocol

from wirecore.errors import InvalidState
from wirecore.long_frame import LongFrame


class Taker(Protocol):
    """As much of a link as an outbox needs."""

    def try_send(self, data: bytes | memoryview, /) -> int:
        """How many bytes of *data* were taken, 0 if none can be now."""


class Outbox:
    """A queue of encoded frames.

    Offsets count the bytes of the data lane from the connection's start. *queued*: all that was
    put. *flushed*: up to here bytes may have left; beyond it certainly none has. Between
    ``take`` and ``sent`` all that was taken counts, for the link may have it; after ``sent`` it
    is exact. *pending*: bytes of both lanes that haven't left, those taken included.
    """

    # Lists, as an empty one is a tenth of an empty deque and most connections are idle: _data
    # takes what comes, and is turned into _ready, last frame first, when that has run out.
    __slots__ = (
        "_control",
        "_data",
        "_left",
        "_long",
        "_longs",
        "_ready",
        "_taken",
        "_taken_control",
        "flushed",
        "pending",
        "queued",
    )

    def __init__(self) -> None:
        self.queued = 0
        self.flushed = 0
        self.pending = 0
        self._control: list[bytes] = []
        self._data: list[bytes | LongFrame] = []
        self._ready: list[bytes | LongFrame] = []
        self._longs = 0  # how many of these are long frames
        self._long: LongFrame | None = None  # the one under way: nothing goes in between
        self._left = 0  # bytes of the data lane that have left
        self._taken: bytes | memoryview = b""  # handed out and not yet sent
        self._taken_control = 0  # how many of its first bytes are control frames

    def put(self, frames: bytes | LongFrame) -> int:
        """Queue one or more whole data frames, or a long one; their end offset in the data lane."""
        self._data.append(frames)
        if isinstance(frames, LongFrame):
            self._longs += 1
        size = len(frames)
        self.pending += size
        self.queued += size
        return self.queued

    def put_control(self, frame: bytes) -> None:
        """Queue a whole control frame: it goes before all data that isn't taken yet."""
        self._control.append(frame)
        self.pending += len(frame)

    def take(self, limit: int) -> bytes | memoryview:
        """What to send next; ``b""`` where there is nothing.

        First what is owed of the last one; else all control frames and behind them data frames
        up to *limit* bytes in all. Data longer than *limit* in one ``put`` comes alone and
        whole, as a memoryview; a long frame comes alone and in its own pieces, with nothing
        between them. The same again until :meth:`sent` was told.
        """
        if not self._taken:
            self._taken = self._next(limit) if self._long is None else self._go_on()
        self.flushed = self._left + len(self._taken) - self._taken_control
        return self._taken

    def _next(self, limit: int) -> bytes | memoryview:
        parts, self._control = self._control, []
        self._taken_control = sum(map(len, parts))
        if self.pending <= limit and not self._ready and not self._longs:
            parts += self._data  # type: ignore[arg-type]  # no long ones are among them
            self._data = []
        else:
            if not self._ready:
                self._ready, self._data = self._data, []
                self._ready.reverse()
            ready = self._ready
            room = limit - self._taken_control
            while ready:
                frames = ready[-1]
                if isinstance(frames, LongFrame):
                    if not parts:
                        self._long = frames
                        self._longs -= 1
                        ready.pop()
                        return self._go_on()
                    break
                if len(frames) > room:
                    if not parts:
                        ready.pop()
                        return memoryview(frames)
                    break
                room -= len(frames)
                parts.append(frames)
                ready.pop()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _go_on(self) -> bytes | memoryview:
        assert self._long is not None
        self._taken_control = 0
        piece = self._long.next()
        if not self._long:
            self._long = None
        return piece

    def sent(self, n: int) -> None:
        """*n* bytes of what was taken last have left; the rest is owed.

        Raises :class:`~wirecore.errors.InvalidState` for more than was taken.
        """
        size = len(self._taken)
        if not 0 <= n <= size:
            raise InvalidState(f"{n} bytes can't have left of {size} that were taken")
        control = min(n, self._taken_control)
        self._taken_control -= control
        self._left += n - control
        self.flushed = self._left
        self.pending -= n
        if n == size:
            self._taken = b""
        elif n:
            self._taken = memoryview(self._taken)[n:]

    def offer(self, link: Taker, limit: int, most: int) -> None:
        """Give *link* what waits, until it takes less than it could or has *most* bytes.

        Its ``try_send`` gets what :meth:`take` gives, with this *limit*, and returns how many bytes
        of it have left; taking *limit* (1 or more) of a longer one is all that is asked of it. What
        it raises goes through; what it had taken before is counted.
        """
        while self.pending and most > 0:
            data = self.take(limit)
            size = len(data)
            taken = link.try_send(data)
            self.sent(taken)
            if taken < size and taken < limit:
                return
            most -= taken

    def clear(self) -> None:
        """Forget all that waits, as nothing more will be sent. Offsets stay as they are."""
        self._control = []
        self._data = []
        self._ready = []
        self._longs = 0
        self._long = None
        self._taken = b""
        self._taken_control = 0
        self.pending = 0
