"""Pings of the user's that wait for their pong: RFC 6455 sections 5.5.2 and 5.5.3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wirecore.constants import MAX_CONTROL_PAYLOAD, CloseCode
from wirecore.errors import InvalidOption, LocalLimitExceeded
from wirecore.events import Failure
from wirecore.session.outbox import Outbox

#: Bound on pings without an answer yet, on one connection.
MAX_PENDING_PINGS: Final = 1024

#: Bytes of pongs that may wait for a peer that pings and doesn't read: more than one read of
#: pings ever makes.
MAX_QUEUED_PONGS: Final = 1024 * 1024


class PendingPings:
    """The payloads of pings without an answer, in the order sent.

    *on_pong* is called with the payload of each answered ping and the time. Without it they
    are left in *pongs*, oldest first, for the owner to take out.
    """

    __slots__ = ("_on_pong", "_waiting", "pongs")

    def __init__(self, on_pong: Callable[[bytes, float], object] | None) -> None:
        self._on_pong = on_pong
        self._waiting: dict[bytes, None] = {}
        self.pongs: list[bytes] = []

    def add(self, payload: bytes) -> None:
        """A ping with *payload*, 1 to 125 bytes that no other one here has, is sent.

        Raises :class:`~wirecore.errors.InvalidOption` for another payload, and
        :class:`~wirecore.errors.LocalLimitExceeded` where 1024 wait already.
        """
        check_payload(payload)
        if not payload:
            raise InvalidOption("an empty ping can't be told from the heartbeat's")
        if payload in self._waiting:
            raise InvalidOption("a ping with this payload has no answer yet")
        count = len(self._waiting) + 1
        if count > MAX_PENDING_PINGS:
            raise LocalLimitExceeded("max_pending_pings", count, MAX_PENDING_PINGS)
        self._waiting[payload] = None

    def answer(self, payload: bytes, now: float) -> None:
        """A pong came: it answers the ping of its payload and all before it.

        A peer may answer just the latest one; none is answered where nobody waits for it.
        """
        if payload not in self._waiting:
            return
        tokens = list(self._waiting)
        for token in tokens[: tokens.index(payload) + 1]:
            del self._waiting[token]
            if self._on_pong is None:
                self.pongs.append(token)
            else:
                self._on_pong(token, now)


def pongs_behind(outbox: Outbox, behind: int, pong: int) -> int:
    """Bytes of pongs over the bound on those that wait, 0 below it.

    *behind*: what this gave for the last pong. *pong*: the size of the next one's frame.
    """
    # What waits and isn't data is control frames. While a transport holds data it has taken the
    # figure is too high, hence the second look at what has come since.
    if outbox.pending - (outbox.queued - outbox.flushed) <= MAX_QUEUED_PONGS:
        return 0
    return behind + pong


def pings_unread(behind: int) -> Failure | None:
    """The failure of a peer that pings and leaves *behind* bytes of pongs over the bound unread."""
    if behind <= MAX_QUEUED_PONGS:
        return None
    return Failure(
        CloseCode.POLICY_VIOLATION,
        "pings without reading the pongs",
        "max_queued_pongs",
        behind,
        MAX_QUEUED_PONGS,
    )


def check_payload(payload: bytes) -> None:
    """Raise :class:`~wirecore.errors.InvalidOption` unless *payload* fits a control frame."""
    if len(payload) > MAX_CONTROL_PAYLOAD:
        raise InvalidOption(
            f"a ping or pong holds at most {MAX_CONTROL_PAYLOAD} bytes, not {len(payload)}"
        )
