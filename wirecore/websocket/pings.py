"""Pings of the user's that wait for their pong: RFC 6455 sections 5.5.2 and 5.5.3."""

from __future__ import annotations

from typing import Final

from wirecore.constants import MAX_CONTROL_PAYLOAD
from wirecore.errors import InvalidOption, LocalLimitExceeded

#: Bound on pings without an answer yet, on one connection.
MAX_PENDING_PINGS: Final = 1024


class PendingPings:
    """The payloads of pings without an answer, in the order sent."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[bytes, None] = {}

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

    def answer(self, payload: bytes) -> list[bytes]:
        """A pong came: the payloads it answers, oldest first.

        That is the ping of its payload and all before it, for a peer may answer just the latest
        one; none where nobody waits for it.
        """
        if payload not in self._waiting:
            return []
        tokens = list(self._waiting)
        answered = tokens[: tokens.index(payload) + 1]
        for token in answered:
            del self._waiting[token]
        return answered


def check_payload(payload: bytes) -> None:
    """Raise :class:`~wirecore.errors.InvalidOption` unless *payload* fits a control frame."""
    if len(payload) > MAX_CONTROL_PAYLOAD:
        raise InvalidOption(
            f"a ping or pong holds at most {MAX_CONTROL_PAYLOAD} bytes, not {len(payload)}"
        )
