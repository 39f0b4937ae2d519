"""Waiting in place: for a moment, in the thread itself, where messages come that fast.

A pass of trio's loop takes longer than a peer on the same machine needs to answer. So where the
messages of one connection, and of no other in the run, follow each other closely, its reader
waits for the next one in a system call that ends as soon as it is there, and leaves the loop out.
Everybody else waits meanwhile, so that is bounded, and given up where it doesn't pay.

To be put to sleep and woken takes longer, too: on a virtual machine, from another core, longer
than all the rest of a call. So at first it doesn't sleep: it looks again and again, and lets other
processes have the core between.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore._backend import default
from wirecore.session.limits import check_at_least, check_at_most

from ._of_run import OfRun

if TYPE_CHECKING:
    from wirecore_py.rhythm import Rhythm
    from wirecore_py.ticking import Core
else:
    Core = default.ticking.Core
    Rhythm = default.rhythm.Rhythm

#: The longest that a wait in place may be, in seconds.
_LONGEST: Final = 0.01


def check_eager_wait(seconds: float) -> None:
    """Raise InvalidOption unless *seconds* is what the option ``eager_wait`` may be."""
    check_at_least("eager_wait", seconds, 0)
    check_at_most("eager_wait", seconds, _LONGEST)


async def take_turn(rhythm: Rhythm) -> None:
    """A checkpoint, as *rhythm* says that the loop's turn is due: then its task may read in place.

    To park until something comes would take the loop one pass more. Should the connection's
    reader run in this one, it leaves the next wait in place to the task, which may have to ask
    before anything can come.
    """
    pump = rhythm.pump
    pump.turning += 1
    watch_pass()
    try:
        await trio.lowlevel.checkpoint()
    finally:
        pump.turning -= 1
    rhythm.had_turn()


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


def _make() -> Rhythm:
    # A system without sched_yield doesn't say how to let another process have the core.
    core = Core(time.perf_counter, getattr(os, "sched_yield", None), own=True)
    return Rhythm(core, _ready_tasks(), _idle_loop())


def _ready_tasks() -> Callable[[], int] | None:
    # trio's statistics have it too, and count all sockets for it each time.
    runner = getattr(trio.lowlevel.current_task(), "_runner", None)
    queue = getattr(runner, "runq", None)
    return getattr(queue, "__len__", None)


def _idle_loop() -> Callable[[], bool] | None:
    # What a pass would look at: tasks that are ready, deadlines, and what it waits for in the
    # system, threads and signals included. As a guest it has to let its host go on besides.
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


_current_passes: Final = trio.lowlevel.RunVar[_Passes | None]("wirecore.passes", None)


def watch_pass() -> None:
    """Whoever calls it is about to let the loop have a turn, and goes on in the next pass."""
    passes = _current_passes.get()
    if passes is not None:
        passes.watch()


#: That of the running trio loop.
current_rhythm = OfRun("rhythm", _make)
