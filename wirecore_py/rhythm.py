# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""How fast messages come, and whether to wait for the next in place.

``wirecore._rhythm`` is this file, compiled with the types that ``_rhythm.pxd`` declares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wirecore import moving_rules as rules

if TYPE_CHECKING:
    # A module, as its class's name is that of a type already where this is compiled.
    from wirecore_py import ticking

_AWAKE = rules.AWAKE
_CLOSE = rules.CLOSE
_CONTENDED = rules.CONTENDED
_FEWEST = rules.FEWEST
_IDLE_TURNS = rules.IDLE_TURNS
_INTERRUPTED = rules.INTERRUPTED
_IN_A_ROW = rules.IN_A_ROW
_MOST_IN_A_ROW = rules.MOST_IN_A_ROW
_POLITE = rules.POLITE
_SELDOM = rules.SELDOM
_SLICE = rules.SLICE
_TURN = rules.TURN


class Trial:
    """Whether to try what may be in vain: how many chances in a row are *needed* before that.

    At first *fewest*. After one in vain it takes *penalty* times as many, *most* at most, until
    *pay* of them weren't since the last that was.
    """

    __slots__ = (
        "_caution",
        "_chances",
        "_fewest",
        "_most",
        "_paid",
        "_pay",
        "_penalty",
        "_undisturbed",
        "needed",
    )

    def __init__(self, *, fewest: int, most: int, penalty: int, pay: int) -> None:
        self._fewest = fewest
        self._most = most
        self._penalty = penalty
        self._pay = pay
        self._chances = 0
        self._paid = 0
        self._caution = 0
        self._undisturbed = _SELDOM  # tries that paid since others had the core
        self.needed = fewest

    def due(self) -> bool:
        """There is a chance: whether to try."""
        self._chances += 1
        return self._chances >= self.needed

    def paid(self) -> None:
        """It wasn't in vain."""
        self._paid += 1
        self._undisturbed += 1
        if self._paid >= self._pay:
            self.needed = self._fewest

    def missed(self) -> None:
        """It was in vain."""
        self._chances = 0
        if self._paid >= self._pay:
            self.needed = self._fewest
        else:
            self.needed = min(self.needed * self._penalty, self._most)
        self._paid = 0

    def disturbed(self) -> None:
        """Others took the core for long meanwhile: the more often they do, the less it tries."""
        self.missed()
        if self._undisturbed >= _SELDOM:
            self._caution = _INTERRUPTED
        else:
            self._caution = min(self._caution * 4, _CONTENDED)
        self._undisturbed = 0
        self.needed = self._caution


class Rhythm:
    """How fast messages come, in a whole run: *pump* read last, at *at*, *close* in a row so fast.

    *core*: a backend's Core; where that isn't shared nobody looks without sleep. *at* is of the
    run's clock. *ready*: how many tasks of the run wait for nothing but their turn; *idle*: whether
    the loop has nothing to do at all; None: nothing tells.
    """

    __slots__ = (
        "_idle",
        "_idle_turns",
        "_in_a_row",
        "_left_at",
        "_looking",
        "_polite",
        "_ready",
        "_since",
        "_waiting",
        "at",
        "close",
        "core",
        "pump",
    )

    def __init__(
        self,
        core: ticking.Core,
        ready: Callable[[], int] | None = None,
        idle: Callable[[], bool] | None = None,
    ) -> None:
        self.core = core
        self._ready = ready
        self._idle = idle
        self._idle_turns = 0  # that were left out since the last
        self._polite = 0  # turns for which others of the run are taken to be at work
        self.pump: Any = None
        self.at = 0.0
        self.close = 0
        self._in_a_row = 0
        self._since = 0.0
        self._left_at = 0.0  # when the core was left to others; 0.0: nobody came since
        # Where a task answers that another one has woken, messages come as fast, and to wait for
        # them keeps it from its turn.
        self._waiting = Trial(fewest=_FEWEST, most=2**20, penalty=8, pay=64)
        # A peer that is further away isn't seen by looking; one that sleeps itself now and then is.
        self._looking = Trial(fewest=1, most=64, penalty=4, pay=4)

    def was_read(self, pump: Any, now: float) -> None:
        """*pump* has read at *now*."""
        if self.pump is pump and now - self.at < _CLOSE:
            self.close += 1
        else:
            self.pump = pump
            self.close = 0
        self.at = now

    def had_turn(self) -> None:
        """The loop has had its turn: who waited for it, or was woken by it, says so."""
        self._in_a_row = 0
        self._idle_turns = 0
        # In the middle of a pass some that are at work haven't come to it yet: it counts for more.
        if self._ready is not None and self._ready() > 0:
            self._polite = _POLITE
        elif self._polite:
            self._polite -= 1

    def pays(self) -> bool:
        """Whether *pump* may wait in place now."""
        if self.close < self._waiting.needed:
            return False
        if not self._in_a_row:
            self._since = self.at
        elif self.turn_is_due():
            return False
        self._in_a_row += 1
        return True

    def may_pay(self, pump: Any) -> bool:
        """Whether *pump* might wait in place now."""
        return self.pump is pump and self.close >= self._waiting.needed and not self.turn_is_due()

    def others_are_ready(self) -> bool:
        """Whether others of the run wait for nothing but their turn, or are taken to."""
        return self._polite > 0 or (self._ready is not None and self._ready() > 0)

    def turn_is_due(self) -> bool:
        """Whether nobody may wait in place until the loop has had its turn, whoever asks.

        While others of the run are at work that is behind each wait.
        """
        if self._polite:
            return self._in_a_row > 0
        if self._in_a_row < _IN_A_ROW:
            return False
        if self.at - self._since < _TURN and self._in_a_row < _MOST_IN_A_ROW:
            return False
        if self._idle is None or self._idle_turns >= _IDLE_TURNS or not self._idle():
            return True
        # It would find nothing to do: that is as good as had.
        self._idle_turns += 1
        self._in_a_row = 0
        self._since = self.at
        return False

    def looks(self) -> bool:
        """Whether a message that is waited for mostly is seen by looking."""
        return self.core.is_shared and self._looking.needed <= 1

    def give_way(self) -> None:
        """Let other processes have the core, where it :meth:`looks`."""
        core = self.core
        self._left_at = core.now()
        core.give_way()

    def came(self) -> None:
        """It was there without a :meth:`wait`, or when the core was ours again."""
        self._waiting.paid()
        self._looking.paid()
        left_at = self._left_at
        self._left_at = 0.0
        # The clock is asked again only where reads were so far apart that something was amiss.
        if not self.close and left_at and self.core.now() - left_at >= _SLICE:
            self._looking.disturbed()

    def wait(self, readable_within: Callable[[float], bool | None], seconds: float) -> bool:
        """Wait in place for *seconds*: what *readable_within*, which sleeps, says at last."""
        began = self.core.now()
        if self._sees(readable_within, began + min(seconds, _AWAKE)) or readable_within(
            max(began + seconds - self.core.now(), 0)
        ):
            self._waiting.paid()
            return True
        self._waiting.missed()
        self.close = 0
        return False

    def read_on(self) -> bool:
        """Read in place, where that pays, for who would park else: whether it has.

        Not where somebody was woken, who is to have his turn.
        """
        pump = self.pump
        if self.close < _FEWEST or pump is None or pump.woke:
            return False
        found: bool = pump.read_for_reader()
        return found

    def _sees(self, readable_within: Callable[[float], bool | None], until: float) -> bool:
        looking = self._looking
        core = self.core
        if not core.is_shared or not looking.due():
            return False
        while not (seen := readable_within(0)):
            if seen is None:
                return False
            core.give_way()
            now = core.now()
            if now >= until:
                if now >= until + _SLICE:
                    looking.disturbed()
                else:
                    looking.missed()
                return False
        looking.paid()
        return True
