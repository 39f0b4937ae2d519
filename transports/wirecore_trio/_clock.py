"""One heap of deadlines for a run, and the one task that watches it.

Pings, pongs, write and close timeouts of every connection sit here: a connection costs a timer
object while it has a deadline, and no task, scope or lock.
"""

from __future__ import annotations

import heapq
import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio

from wirecore._backend import default

from ._of_run import OfRun

if TYPE_CHECKING:
    from wirecore_py.ticking import Ticks
else:
    Ticks = default.ticking.Ticks

logger = logging.getLogger("wirecore.clock")

#: Cancelled timers stay in the heap until they are due; past this many, and being the greater
#: part, they are swept out.
_SWEEP_FROM: Final = 1024

#: Callbacks in a row before others of the run get their turn: thousands of connections that
#: were opened together are to be pinged together.
_CALLS_IN_A_ROW: Final = 64


#: Seconds that two readings of one clock, right after each other, may be apart.
_APART: Final = 0.1


def _ticks_of(clock: trio.abc.Clock) -> Ticks | None:
    # Of no use for a clock that does anything else than trio's own, which isn't public.
    offset = getattr(clock, "offset", None)
    if type(clock).__name__ != "SystemClock" or type(offset) is not float:
        return None
    ticks = Ticks(time.perf_counter, offset)
    return ticks if abs(ticks.now() - clock.current_time()) < _APART else None


class Timer:
    """One deadline; ``cancel`` makes it forget what it would have called."""

    __slots__ = ("callback", "clock", "deadline", "order")

    def __init__(
        self, clock: Clock, deadline: float, order: int, callback: Callable[[float], None]
    ) -> None:
        self.clock = clock
        self.deadline = deadline
        self.order = order
        self.callback: Callable[[float], None] | None = callback

    def __lt__(self, other: Timer) -> bool:
        return (self.deadline, self.order) < (other.deadline, other.order)

    def cancel(self) -> None:
        """The callback won't be called (any more). Idempotent."""
        if self.callback is not None:
            self.callback = None
            self.clock.forget_one()


class Clock:
    """The deadlines of one run; get the run's own with :func:`current_clock`.

    *now* gives the run's time in seconds, as ``trio.current_time`` does in three times the time.
    *ticks*: the same as the backend has it; None where the run's clock isn't trio's usual one.
    """

    def __init__(self) -> None:
        clock = trio.lowlevel.current_clock()
        self.ticks = _ticks_of(clock)
        self.now: Callable[[], float]
        self.now = clock.current_time if self.ticks is None else self.ticks.now
        self._heap: list[Timer] = []
        self._count = 0
        self._cancelled = 0
        self._scope: trio.CancelScope | None = None

    def call_at(self, deadline: float, callback: Callable[[float], None]) -> Timer:
        """Call *callback* with the time, once, at *deadline* (in trio's time, seconds).

        It is called in the clock's own task: it must not block, and what it raises is logged.
        """
        self._count += 1
        timer = Timer(self, deadline, self._count, callback)
        heapq.heappush(self._heap, timer)
        if self._heap[0] is timer and self._scope is not None:
            self._scope.deadline = deadline
        return timer

    def forget_one(self) -> None:
        """A timer in the heap was cancelled."""
        self._cancelled += 1
        if self._cancelled > _SWEEP_FROM and self._cancelled * 2 > len(self._heap):
            self._heap = [timer for timer in self._heap if timer.callback is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    async def run(self) -> None:
        """Call what is due, for ever."""
        while True:
            deadline = self._heap[0].deadline if self._heap else math.inf
            # A checkpoint also where the deadline has passed already.
            with trio.CancelScope(deadline=deadline) as self._scope:
                await trio.sleep_forever()
            self._fire(self.now())

    def _fire(self, now: float) -> None:
        for _ in range(_CALLS_IN_A_ROW):
            if not self._heap or self._heap[0].deadline > now:
                return
            timer = heapq.heappop(self._heap)
            callback, timer.callback = timer.callback, None
            if callback is None:
                self._cancelled -= 1
                continue
            try:
                callback(now)
            except Exception:
                # One connection's fault must not stop the deadlines of all the others.
                logger.exception("a timer's callback failed; this is a defect in wirecore")


def _start() -> Clock:
    clock = Clock()
    trio.lowlevel.spawn_system_task(clock.run, name="wirecore clock")
    return clock


#: The clock of the running trio loop, started when first asked for.
current_clock = OfRun("clock", _start)
