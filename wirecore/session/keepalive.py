"""Go's rule of when a peer is dead: so many pings without an answer, and no other sign counts."""

from __future__ import annotations

from typing import Final

from wirecore.session.heartbeat import Heartbeat
from wirecore.session.limits import check_at_least

#: Seconds between the pings of a provider.
PING_INTERVAL: Final = 5.0

#: Pings that may be without an answer.
MAX_PINGS: Final = 2


class UnansweredPings(Heartbeat):
    """A ping every *interval* seconds; dead at the tick after *max_pings* that had no answer.

    Any pong answers all that were sent before it. By default that is 15 s after the start, or
    within 15 s of a pong. *interval* None: no pings, and nobody is dead. *payload*: see the base.

    Raises :class:`~wirecore.errors.InvalidOption` for an interval that isn't above 0, for
    *max_pings* below 1, and as the base for the payload.
    """

    __slots__ = ("_max_pings", "_unanswered")

    def __init__(
        self,
        interval: float | None = PING_INTERVAL,
        max_pings: int = MAX_PINGS,
        payload: bytes = b"",
    ) -> None:
        super().__init__(interval, None, payload)
        check_at_least("max_pings", max_pings, 1)
        self._max_pings = max_pings
        self._unanswered = 0

    def pong(self, now: float) -> None:
        """A pong came, asked for or not."""
        super().pong(now)
        self._unanswered = 0

    def ping_due(self, now: float) -> bool:
        """Whether a ping is due, which then is one more without an answer.

        While nobody reads none is counted: its answer couldn't be seen.
        """
        due = super().ping_due(now)
        if due and self._paused_at is None:
            self._unanswered += 1
        return due

    def expired(self, now: float) -> bool:
        """Whether the peer is dead: it is time for a ping, and too many have no answer."""
        return (
            self._unanswered >= self._max_pings
            and now >= self._next_ping
            and self._paused_at is None
        )
