"""Calls that wait for answers, by their ids: the pure twin of ``wirecore._calls``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from wirecore.errors import InvalidState, LocalLimitExceeded

_Id = TypeVar("_Id")
_C = TypeVar("_C")


class CallTable(Generic[_Id, _C]):
    """Pending calls in order of opening, and a short memory of those that have ended.

    *make_id* makes ids that don't come twice while one of them is pending. At most
    *max_pending* calls wait at once. Of the ids that were answered or forgotten at most
    *history* are remembered, and no less than half of that: counters tell them apart.

    *late* counts answers to ids that were forgotten, *duplicate* second answers, *unknown*
    answers to ids that were never given out or are no longer remembered.
    """

    __slots__ = (
        "_half",
        "_make_id",
        "_older",
        "_pending",
        "_recent",
        "duplicate",
        "late",
        "max_pending",
        "unknown",
    )

    def __init__(
        self, make_id: Callable[[], _Id], *, max_pending: int, history: int = 1024
    ) -> None:
        self._make_id = make_id
        self._pending: dict[_Id, _C] = {}
        # Ended ids, True once answered: two halves, the older is dropped when the newer is full.
        self._recent: dict[_Id, bool] = {}
        self._older: dict[_Id, bool] = {}
        self._half = history // 2
        self.max_pending = max_pending
        self.late = 0
        self.duplicate = 0
        self.unknown = 0

    def open(self, call: _C) -> _Id:
        """Add *call*, and return its new id.

        Raises :class:`~wirecore.errors.LocalLimitExceeded` where *max_pending* calls wait, and
        :class:`~wirecore.errors.InvalidState` where *make_id* gives only ids that are pending.
        """
        pending = self._pending
        size = len(pending)
        if size >= self.max_pending:
            raise LocalLimitExceeded("max_pending_calls", size + 1, self.max_pending)
        call_id = self._make_id()
        attempts = 0
        while call_id in pending:
            if attempts > size:
                raise InvalidState("make_id gives only ids of calls that are pending")
            attempts += 1
            call_id = self._make_id()
        pending[call_id] = call
        return call_id

    def get(self, call_id: _Id) -> _C | None:
        """The call that waits for *call_id*, and goes on waiting; None where none does."""
        return self._pending.get(call_id)

    def answer(self, call_id: _Id) -> _C | None:
        """Take out the call that an answer came for; None, and counted, where none waits."""
        try:
            call = self._pending.pop(call_id)
        except KeyError:
            self._count_miss(call_id)
            return None
        self._remember(call_id, answered=True)
        return call

    def forget(self, call_id: _Id) -> _C | None:
        """Take out a call that nobody waits for any longer; None where it isn't there."""
        try:
            call = self._pending.pop(call_id)
        except KeyError:
            return None
        self._remember(call_id, answered=False)
        return call

    def clear(self) -> list[tuple[_Id, _C]]:
        """Take out all calls, with their ids, in order of opening."""
        pending = list(self._pending.items())
        self._pending.clear()
        return pending

    def oldest(self) -> _C | None:
        """The call that was opened first; None where none waits."""
        return next(iter(self._pending.values()), None)

    def calls(self) -> Iterator[_C]:
        """The calls in order of opening; the table mustn't change meanwhile."""
        return iter(self._pending.values())

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, call_id: object) -> bool:
        return call_id in self._pending

    def _remember(self, call_id: _Id, *, answered: bool) -> None:
        if len(self._recent) >= self._half:
            if not self._half:
                return
            self._older = self._recent
            self._recent = {}
        self._recent[call_id] = answered

    def _count_miss(self, call_id: _Id) -> None:
        for ended in (self._recent, self._older):
            answered = ended.get(call_id)
            if answered is not None:
                if answered:
                    self.duplicate += 1
                else:
                    self.late += 1
                    ended[call_id] = True
                return
        self.unknown += 1
