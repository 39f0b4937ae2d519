"""What is submitted over one connection: no task waits for it, its reader settles it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._calling import Calling
from ._pending import Pending
from ._waiter import Callers, Waiter


class Submitting(Calling):
    """A :class:`Calling` that takes what was submitted, too.

    Who submits does, in this order: a :class:`Waiter` of its ``_submitters``, the session's call,
    and :meth:`_submit`.
    """

    __slots__ = ("_submitters",)

    def __init__(self, call_timeout: float | None, forget: Callable[[Any], object]) -> None:
        super().__init__(call_timeout, forget)
        answer: Any = Pending._answered
        self._submitters = Callers(answer, self.forget, None)

    def _submit(self, pending: Pending[Any], waiter: Waiter, now: float) -> None:
        """*waiter*'s call, which *pending* is, is queued: send it, and tell *pending* how it ends.

        Where it has no result, :meth:`failed` is told.
        """
        pending._channel = self
        pending._way = waiter
        waiter.task = pending  # type: ignore[assignment]
        self._pump.hold()  # who submits one will submit more
        self._asked_now(waiter, now, waits=False)

    def give_up(self, pending: Pending[Any], waiter: Waiter) -> None:
        """Nobody wants *pending*, whose call is *waiter*, any longer."""
        waiter.task = None
        self.forget(waiter)
        self.failed(pending, waiter, None)

    def failed(self, pending: Pending[Any], waiter: Waiter, error: Exception | None) -> None:
        """*pending*, whose call was *waiter*, has no result; no *error*: it was given up."""
        pending._fail(error)

    def woke(self) -> None:
        """Somebody is to have his turn before it is read on in place."""
        self._pump.woke = True
