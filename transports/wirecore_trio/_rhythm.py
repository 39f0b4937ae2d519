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

from wirecore.session.limits import check_at_least, check_at_most

from ._of_run import OfRun

if TYPE_CHECKING:
    from ._pump import Pump

#: Seconds between two reads of one connection that count as close.
CLOSE: Final = 0.0004

#: Waits in a row before trio's loop has its turn, whatever comes.
IN_A_ROW: Final = 8

#: Seconds of a wait in which it looks and doesn't sleep.
AWAKE: Final = 0.0001

#: Seconds more than that which only a process takes that computes on this core, and waits before
#: the next that looks where one does.
_SLICE: Final = 0.001
_CONTENDED: Final = 256

#: Reads that must have been close before the first wait.
FEWEST: Final = 8

#: The longest that a wait in place may be, in seconds.
_LONGEST: Final = 0.01


def check_eager_wait(seconds: float) -> None:
    """Raise InvalidOption unless *seconds* is what the option ``eager_wait`` may be."""
    check_at_least("eager_wait", seconds, 0)
    check_at_most("eager_wait", seconds, _LONGEST)


class _Trial:
    """Whether to try what may be in vain: how many chances in a row are *needed* before that.

    At first *fewest*. After one in vain it takes *penalty* times as many, *most* at most, unless
    *pay* of them weren't since the last that was. Who tries counts those in *found*.
    """

    __slots__ = ("_chances", "_fewest", "_most", "_pay", "_penalty", "found", "needed")

    def __init__(self, *, fewest: int, most: int, penalty: int, pay: int) -> None:
        self._fewest = fewest
        self._most = most
        self._penalty = penalty
        self._pay = pay
        self._chances = 0
        self.needed = fewest
        self.found = 0

    def due(self) -> bool:
        """There is a chance: whether to try."""
        self._chances += 1
        return self._chances >= self.needed

    def missed(self) -> None:
        """It was in vain."""
        self._chances = 0
        if self.found >= self._pay:
            self.needed = self._fewest
        else:
            self.needed = min(self.needed * self._penalty, self._most)
        self.found = 0


class Rhythm:
    """How fast messages come, in the whole run: who read last, when, and how often that fast.

    The pump that has read is to set *pump* and *at*, and to count *close*; see there.
    """

    __slots__ = ("_looking", "_waiting", "at", "close", "left", "pump")

    def __init__(self) -> None:
        self.pump: Pump | None = None
        self.at = 0.0
        self.close = 0
        # Where a task answers that another one has woken, messages come as fast, and to wait for
        # them keeps it from its turn.
        self._waiting = _Trial(fewest=FEWEST, most=2**20, penalty=8, pay=64)
        #: Waits before trio's loop is to have its turn: who was woken by it sets that anew.
        self.left = IN_A_ROW
        # A peer that is further away isn't seen by looking; one that sleeps itself now and then is.
        self._looking = _Trial(fewest=1, most=64, penalty=4, pay=4)

    def pays(self) -> bool:
        """Whether *pump* may wait in place now."""
        if not self.left or self.close < self._waiting.needed:
            return False
        self.left -= 1
        return True

    def wait(self, readable_within: Callable[[float], bool | None], seconds: float) -> bool:
        """Wait in place for *seconds*: what *readable_within*, which sleeps, says at last."""
        began = time.perf_counter()
        if self._sees(readable_within, began + min(seconds, AWAKE)) or readable_within(
            max(began + seconds - time.perf_counter(), 0)
        ):
            self._waiting.found += 1
            return True
        self._waiting.missed()
        self.close = 0
        return False

    def read_on(self) -> bool:
        """Read in place, where that pays, for who would park else: whether it has.

        Not where somebody was woken, who is to have his turn.
        """
        pump = self.pump
        return (
            self.close >= FEWEST and pump is not None and not pump.woke and pump.read_for_reader()
        )

    def _sees(self, readable_within: Callable[[float], bool | None], until: float) -> bool:
        looking = self._looking
        if _give_way is None or not looking.due():
            return False
        while not (seen := readable_within(0)):
            if seen is None:
                return False
            _give_way()
            now = time.perf_counter()
            if now >= until:
                looking.missed()
                if now >= until + _SLICE:
                    looking.needed = _CONTENDED
                return False
        looking.found += 1
        return True


#: Lets another process have the core; None: this system doesn't say how, and nobody looks.
_give_way: Callable[[], None] | None = getattr(os, "sched_yield", None)


current_rhythm = OfRun("rhythm", Rhythm)
