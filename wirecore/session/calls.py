"""Calls that wait for an answer: when they end without one, and what is then known of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wirecore.errors import Execution
from wirecore.session.limits import check_seconds
from wirecore.session.outbox import Outbox

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable


class Call:
    """What a caller waits on; transports add how it is woken.

    *call_id*: its id on the wire, None before it is opened. *end*: where its request ends in
    the outbox's data lane. *started*: when it was opened, in the clock's seconds; ``math.inf``
    where its caller sees to its time himself.
    """

    __slots__ = ("call_id", "end", "started")

    call_id: Any
    end: int
    started: float

    def __init__(self) -> None:
        self.call_id = None
        self.end = 0
        self.started = 0.0


class PendingCalls:
    """The calls of one connection, over a table of either backend.

    One *call_timeout* (seconds, None for none) holds for all, so the order of opening is the
    order of deadlines. Raises :class:`~wirecore.errors.InvalidOption` for one not above 0.
    """

    __slots__ = ("_call_timeout", "_not_before", "_outbox", "table")

    def __init__(
        self, table: CallTable[Any, Any], outbox: Outbox, call_timeout: float | None
    ) -> None:
        check_seconds("call_timeout", call_timeout)
        self.table = table
        self._outbox = outbox
        self._call_timeout = math.inf if call_timeout is None else call_timeout
        # No call's deadline is before this. Answers don't move it: to find the oldest call
        # after each would cost more than to wake up once too often.
        self._not_before = math.inf

    def open(self, call: Call, now: float) -> Any:
        """Give *call* an id, and return it; the caller sets ``call.end`` once it is queued.

        Raises :class:`~wirecore.errors.LocalLimitExceeded` where too many wait already.
        """
        call.call_id = call_id = self.table.open(call)
        call.started = now
        call.end = 0
        if len(self.table) == 1:
            self.begin(now)
        return call_id

    def begin(self, now: float) -> None:
        """The next call that is put into *table* is the only one: for who does that himself."""
        self._not_before = now + self._call_timeout

    def answer(self, call_id: Any) -> Call | None:
        """The call that waits for *call_id*, which waits no longer; None where none does."""
        found: Call | None = self.table.answer(call_id)
        return found

    def forget(self, call: Call) -> bool:
        """*call* waits no longer, and a late answer is dropped; False where it didn't wait."""
        return self.table.forget(call.call_id) is not None

    def lost(self) -> list[tuple[Call, Execution]]:
        """End all calls, as the connection is gone: each, oldest first, with what is known.

        ``"not_sent"`` where the last byte of the request certainly never left this process.
        """
        flushed = self._outbox.flushed
        return [
            (call, "not_sent" if call.end > flushed else "maybe_executed")
            for _, call in self.table.clear()
        ]

    def expire(self, now: float) -> list[Call]:
        """End the calls whose time is over, oldest first."""
        if now < self._not_before:
            return []
        over: list[Call] = []
        self._not_before = now + self._call_timeout  # of what is opened from now on
        for call in self.table.calls():
            deadline = call.started + self._call_timeout
            if deadline <= now:
                over.append(call)
            elif deadline < math.inf:
                self._not_before = deadline
                break
        for call in over:
            self.table.forget(call.call_id)
        return over

    def next_deadline(self) -> float:
        """A time no later than the next deadline of a call; ``math.inf`` where none waits."""
        return self._not_before if len(self.table) else math.inf
