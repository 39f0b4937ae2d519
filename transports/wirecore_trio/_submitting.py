"""What is submitted over one connection: no task waits for it, its reader settles it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any

from wirecore._backend import default

from ._calling import Calling
from ._clock import current_clock
from ._pending import Pending
from ._waiter import Callers

if TYPE_CHECKING:
    from wirecore_py.submitting import Submitter
else:
    Submitter = default.submitting.Submitter

#: Stands for the time that the options give to each.
DEFAULT: Any = object()


class Submitting(Calling):
    """A :class:`Calling` that takes what was submitted, too.

    Who derives calls :meth:`_submits_by`. Who submits does, in this order: the submitter's
    ``queue`` and ``send``, and :meth:`_has_time` for what has a time of its own.
    """

    __slots__ = ("_submitter", "_submitters")

    _submitter: Submitter

    def __init__(self, call_timeout: float | None, forget: Callable[[Any], object]) -> None:
        super().__init__(call_timeout, forget)
        self._submitters = Callers(self.failed, self.forget, None, get_ident)

    def _submits_by(self, queue: str, high_water: int) -> None:
        """Calls go by the session's method *queue*, over the pump that is there; see Submitter."""
        self._submitters.mover = self._pump
        self._submitter = Submitter(
            self._pump,
            self._submitters,
            queue,
            self._call_timeout,
            high_water,
            askers=self._callers,
        )

    def _has_time(self, pending: Pending[Any], now: float, seconds: float | None) -> None:
        """*pending*, sent at *now*, has so many *seconds*, None for any number."""
        pending._seconds = seconds
        pending.started = math.inf
        if seconds is not None and not pending.done:
            late = partial(self._time_is_up, pending)
            pending._way = current_clock().call_at(now + seconds, late)

    def _time_is_up(self, pending: Pending[Any], _: float) -> None:
        self.forget(pending)
        pending.finish(self._too_late(pending))

    def _too_late(self, pending: Pending[Any]) -> Exception:
        """What *pending* fails with where its own time was up."""
        raise NotImplementedError

    def failed(self, pending: Pending[Any], error: BaseException | None) -> None:
        """*pending* has no result; no *error*: it was given up."""
        pending._fail(error)

    def _tell_woken(self) -> None:
        """Who was woken by what was read has a turn before more is read in place."""
        if self._callers.woken or self._submitters.woken:
            self._submitters.woken = 0
            self._pump.woke = True
