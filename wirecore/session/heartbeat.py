"""When to ping, and when a peer that doesn't answer is dead.

Only pongs count: data from the peer and its own pings don't prove that it reads what we send. But
whoever owns a heartbeat may count as a pong what shows that no pong can come yet.
"""

from __future__ import annotations

import math

from wirecore.constants import MAX_CONTROL_PAYLOAD
from wirecore.session.limits import check_at_most, check_seconds


class Heartbeat:
    """A ping every *interval* seconds from the start; dead *timeout* seconds after a pong.

    The first timeout counts from the start. None turns the one or the other off. *payload*: of
    each ping, at most 125 bytes. *now* is any monotonic clock's reading in seconds. Raises
    :class:`~wirecore.errors.InvalidOption` for an interval or timeout that isn't above 0, and for
    a longer payload.
    """

    __slots__ = (
        "_anchor",
        "_interval",
        "_next_ping",
        "_paused_at",
        "_started",
        "_timeout",
        "payload",
    )

    def __init__(self, interval: float | None, timeout: float | None, payload: bytes = b"") -> None:
        check_seconds("heartbeat interval", interval)
        check_seconds("heartbeat timeout", timeout)
        check_at_most("bytes of the heartbeat's payload", len(payload), MAX_CONTROL_PAYLOAD)
        self.payload = payload
        self._interval = math.inf if interval is None else interval
        self._timeout = math.inf if timeout is None else timeout
        self._started = math.inf
        self._next_ping = math.inf
        self._anchor = math.inf  # the last pong, or the start
        self._paused_at: float | None = None

    def start(self, now: float) -> None:
        """The connection begins. Nothing is ever due before."""
        self._started = now
        self._next_ping = now + self._interval
        self._anchor = now

    def pong(self, now: float) -> None:
        """A pong came, asked for or not."""
        self._anchor = now
        if self._paused_at is not None:
            self._paused_at = now

    def ping_due(self, now: float) -> bool:
        """Whether a ping is due; the next one is then an interval later.

        Pings that were missed because nobody asked in time are left out, not made up for.
        """
        if now < self._next_ping:
            return False
        beat = math.floor((now - self._started) / self._interval) + 1
        if self._started + beat * self._interval <= now:  # the quotient was rounded down
            beat += 1
        self._next_ping = self._started + beat * self._interval
        return True

    def expired(self, now: float) -> bool:
        """Whether the peer is dead: no pong within the timeout, pauses not counted."""
        return self._paused_at is None and now >= self._anchor + self._timeout

    def next_deadline(self) -> float:
        """When to ask again: the next ping or the timeout; ``math.inf`` for never."""
        if self._paused_at is not None:
            return self._next_ping
        return min(self._next_ping, self._anchor + self._timeout)

    def pause(self, now: float) -> None:
        """Nobody reads from now on, so no pong can be seen: the timeout stands still.

        Pings go on: they tell the peer and what lies between that this end lives.
        """
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> None:
        """Somebody reads again: the timeout has as much left as it had at the pause."""
        if self._paused_at is not None:
            self._anchor += now - self._paused_at
            self._paused_at = None
