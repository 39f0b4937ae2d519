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


class _Passes(trio.abc.Instrument):
    """Whether the task that runs is the only one of this pass of the loop.

    Those that are to run in a pass are trio's secret while it lasts: they have left the queue of
    those that are ready. So it is looked at before, in passes that were announced by :meth:`watch`;
    for others it costs nothing, as there is no instrument then.
    """

    def __init__(self, queue: Any, is_due: Callable[[], bool]) -> None:
        self.alone = False
        self._queue = queue
        self._is_due = is_due
        self._is_wanted = self._is_there = False

    def watch(self) -> None:
        """The next pass counts: the task that says so runs in it."""
        self._is_wanted = True
        if not self._is_there:
            self._is_there = True
            trio.lowlevel.add_instrument(self)

    def after_io_wait(self, timeout: float) -> None:  # trio's signature
        """A pass begins: what came is in the queue, and whose time is up will be next."""
        self.alone = self._is_wanted and len(self._queue) <= 1 and not self._is_due()
        if not self._is_wanted:
            self._is_there = False
            trio.lowlevel.remove_instrument(self)
        self._is_wanted = False


_current_passes: Final = trio.lowlevel.RunVar[_Passes | None]("wirecore.passes", None)


def idle_loop() -> Callable[[], bool] | None:
    """What says whether the running loop has nothing to do but the task that asks.

    None: nothing does, as here trio has no ``epoll``, is a guest, whose host has to go on besides,
    or is another than those that are known.
    """
    runner: Any = getattr(trio.lowlevel.current_task(), "_runner", None)
    try:
        if runner.is_guest:
            return None
        queue, now = runner.runq, runner.clock.current_time
        deadline = runner.deadlines.next_deadline
        waits = select.poll()
        waits.register(runner.io_manager._epoll.fileno(), select.POLLIN)
    except AttributeError:
        return None
    passes = _Passes(queue, lambda: deadline() <= now())
    _current_passes.set(passes)

    def idle() -> bool:
        return passes.alone and not (queue or deadline() <= now() or waits.poll(0))

    return idle


def watch_pass() -> None:
    """Whoever calls it is about to let the loop have a turn, and goes on in the next pass."""
    passes = _current_passes.get()
    if passes is not None:
        passes.watch()
