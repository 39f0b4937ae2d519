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
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio

from wirecore._backend import default
from wirecore.session.limits import check_at_least, check_at_most

from ._idle import idle_loop, watch_pass
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


def _make() -> Rhythm:
    # A system without sched_yield doesn't say how to let another process have the core.
    core = Core(time.perf_counter, getattr(os, "sched_yield", None), own=True)
    return Rhythm(core, _ready_tasks(), idle_loop())


def _ready_tasks() -> Callable[[], int] | None:
    # trio's statistics have it too, and count all sockets for it each time.
    runner = getattr(trio.lowlevel.current_task(), "_runner", None)
    queue = getattr(runner, "runq", None)
    return getattr(queue, "__len__", None)


#: That of the running trio loop.
current_rhythm = OfRun("rhythm", _make)
