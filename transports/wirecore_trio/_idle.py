"""Whether trio's loop has nothing to do: then a task that goes on keeps nobody waiting.

What a pass of the loop would look at is looked at without one, which is a tenth of the cost: who
else runs in this pass, the tasks that are ready, the next deadline, and what the loop waits for in
the system, threads and signals included.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any, Final

import trio

from ._of_run import OfRun


class _Loop(trio.abc.Instrument):
    """The loop of *runner*, trio's. Raises AttributeError where it isn't as it is known here.

    Those that are to run in a pass are trio's secret while it lasts: they have left the queue of
    those that are ready. So it is looked at before, in passes that were announced by :meth:`watch`;
    for others it costs nothing, as there is no instrument then.
    """

    def __init__(self, runner: Any) -> None:
        self._queue = runner.runq
        self._now = runner.clock.current_time
        self._deadline = runner.deadlines.next_deadline
        self._waits = select.poll()
        self._waits.register(runner.io_manager._epoll.fileno(), select.POLLIN)
        self._is_wanted = self._is_there = False
        self._alone = False  # whether the task that runs is the only one of this pass

    def watch(self) -> None:
        """The next pass counts: the task that says so runs in it."""
        self._is_wanted = True
        if not self._is_there:
            self._is_there = True
            trio.lowlevel.add_instrument(self)

    def after_io_wait(self, timeout: float) -> None:  # trio's signature
        """A pass begins: what came is in the queue, and whose time is up will be next."""
        self._alone = self._is_wanted and len(self._queue) <= 1 and not self._is_due()
        if not self._is_wanted:
            self._is_there = False
            trio.lowlevel.remove_instrument(self)
        self._is_wanted = False

    def is_idle(self) -> bool:
        """Whether nobody waits for the task that asks, as far as is known."""
        return self._alone and not (self._queue or self._is_due() or self._waits.poll(0))

    def _is_due(self) -> bool:
        due: bool = self._deadline() <= self._now()
        return due


def _make() -> _Loop | None:
    runner: Any = getattr(trio.lowlevel.current_task(), "_runner", None)
    try:
        return None if runner.is_guest else _Loop(runner)
    except AttributeError:
        return None


_current_loop: Final[OfRun[_Loop | None]] = OfRun("loop", _make)


def idle_loop() -> Callable[[], bool] | None:
    """What says whether the running loop has nothing to do but the task that asks.

    None: nothing does, as here trio has no ``epoll``, is a guest, whose host has to go on besides,
    or is another than those that are known.
    """
    loop = _current_loop()
    return None if loop is None else loop.is_idle


def watch_pass() -> None:
    """Whoever calls it is about to let the loop have a turn, and goes on in the next pass."""
    loop = _current_loop()
    if loop is not None:
        loop.watch()
