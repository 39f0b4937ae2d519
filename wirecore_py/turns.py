# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""Connections that calls are given to, and whose turn it is where all take turns.

``wirecore._turns`` is this file, compiled with the types that ``_turns.pxd`` declares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # A module, as its class's name is that of a type already where this is compiled.
    from wirecore_py import submitting


class Slot:
    """What a dispatcher knows of a connection; see ``wirecore.protocols.pool.slots``."""

    __slots__ = (
        "_before",
        "_behind",
        "_most",
        "blocked",
        "capacity",
        "counts",
        "identity",
        "labels",
        "leaving",
        "outstanding",
        "ready",
        "since",
        "submitter",
        "target",
    )

    def __init__(
        self, target: Any, identity: str | None, labels: frozenset[str], capacity: int | None
    ) -> None:
        self.target = target
        self.identity = identity
        self.labels = labels
        self.capacity = capacity
        self._most = 0 if capacity is None else capacity  # 0, which no count comes to: no bound
        self.outstanding = 0
        self.leaving = False
        self.blocked = False
        self.ready = False
        #: What sends its calls, and counts them: for who submits any.
        self.submitter: Any = None
        self.counts: Any = None
        # Those beside it, while it waits for its turn.
        self._before: Slot | None = None
        self._behind: Slot | None = None
        self.since = 0  # a number that grows: of slots that are else equal the smallest is first

    def submit(self, pending: Any, result: Any) -> float:
        """Send *pending*, which it was taken for, and is told what comes of it, read as *result*.

        Returned is when that was. Raises as its submitter.
        """
        submitter: submitting.Submitter = self.submitter
        self.counts.in_flight += 1
        now = submitter.queue(pending, result, None, pending._subject, pending._value, Any)
        if submitter.send(pending, now):
            self.target._crowded()
        return now


class LongestWaiting:
    """Slots in the order in which they began to wait. Each knows those beside it."""

    __slots__ = ("_first", "_last", "_turns")

    def __init__(self) -> None:
        self._first: Slot | None = None
        self._last: Slot | None = None
        self._turns = 0

    def put(self, slot: Slot) -> None:
        """See Order."""
        self._turns += 1
        slot.since = self._turns
        last = self._last
        slot._before = last
        if last is None:
            self._first = slot
        else:
            last._behind = slot
        self._last = slot

    def drop(self, slot: Slot) -> None:
        """See Order."""
        before, behind = slot._before, slot._behind
        if before is None:
            if slot is not self._first:
                raise KeyError(slot)
            self._first = behind
        else:
            before._behind = behind
        if behind is None:
            self._last = before
        else:
            behind._before = before
        slot._before = slot._behind = None

    def taken(self, slot: Slot) -> None:
        """See Order."""
        self.drop(slot)
        self.put(slot)

    def released(self, slot: Slot, count: int) -> None:
        """It waits as before."""

    def turn(self) -> Slot | None:
        """See Order."""
        slot = self._first
        if slot is not None:
            slot.outstanding += 1
            if slot.outstanding == slot._most:
                slot.ready = False
                self.drop(slot)
            else:
                self.taken(slot)
        return slot

    def first(self) -> Slot | None:
        """See Order."""
        return self._first

    def best(self, slots: Iterable[Slot]) -> Slot | None:
        """See Order."""
        return min(slots, key=since_when, default=None)

    def __iter__(self) -> Iterator[Slot]:
        slot = self._first
        while slot is not None:
            yield slot
            slot = slot._behind


def since_when(slot: Slot) -> int:
    """Since when it waits."""
    return slot.since
