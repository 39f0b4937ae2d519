"""Waiting in place: for a moment, in the thread itself, where messages come that fast.

A pass of trio's loop takes longer than a peer on the same machine needs to answer. So where the
messages of one connection, and of no other in the run, follow each other closely, its reader
waits for the next one in a system call that ends as soon as it is there, and leaves the loop out.
Everybody else waits meanwhile, so that is bounded, and given up where it doesn't pay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wirecore.session.limits import check_at_least, check_at_most

from ._of_run import OfRun

if TYPE_CHECKING:
    from ._pump import Pump

#: Seconds between two reads of one connection that count as close.
CLOSE: Final = 0.0004

#: Waits in a row before trio's loop has its turn, whatever comes.
_IN_A_ROW: Final = 8

#: Reads that must have been close before the first wait. After one for nothing it takes so many
#: times more, up to the last, unless as many as pay for it found something: where a task answers
#: that another one has woken, messages come as fast, and waiting for them keeps it from its turn.
_FEWEST: Final = 8
_PENALTY: Final = 8
_MOST: Final = 2**20
_PAY: Final = 64

#: The longest that a wait in place may be, in seconds.
_LONGEST: Final = 0.01


def check_eager_wait(seconds: float) -> None:
    """Raise InvalidOption unless *seconds* is what the option ``eager_wait`` may be."""
    check_at_least("eager_wait", seconds, 0)
    check_at_most("eager_wait", seconds, _LONGEST)


class Rhythm:
    """How fast messages come, in the whole run: who read last, when, and how often that fast.

    The pump that has read is to set *pump* and *at*, and to count *close*; see there.
    """

    __slots__ = ("_found", "_left", "_needed", "at", "close", "pump")

    def __init__(self) -> None:
        self.pump: Pump | None = None
        self.at = 0.0
        self.close = 0
        self._needed = _FEWEST
        self._left = _IN_A_ROW
        self._found = 0

    def pays(self) -> bool:
        """Whether *pump* may wait in place now."""
        if self.close < self._needed:
            return False
        if not self._left:
            self._left = _IN_A_ROW
            return False
        self._left -= 1
        return True

    def found(self) -> None:
        """The wait was over in time."""
        self._found += 1

    def missed(self) -> None:
        """It wasn't."""
        self.close = 0
        self._needed = _FEWEST if self._found >= _PAY else min(self._needed * _PENALTY, _MOST)
        self._found = 0


current_rhythm = OfRun("rhythm", Rhythm)
