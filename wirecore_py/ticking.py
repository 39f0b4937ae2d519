"""The time on a run's clock, which is asked for with each message."""

from __future__ import annotations

from collections.abc import Callable


class Core:
    """The processor's core that this runs on, and a clock for how long others had it.

    *counter*: gives seconds. *give_way*: lets others have the core; None: nothing does here.
    *is_shared*: whether something does. *own*: they are ``time.perf_counter`` and
    ``os.sched_yield``, and the system may be asked directly.
    """

    __slots__ = ("_counter", "_give_way", "is_shared")

    def __init__(
        self,
        counter: Callable[[], float],
        give_way: Callable[[], object] | None,
        *,
        own: bool = False,
    ) -> None:
        self._counter = counter
        self._give_way = give_way
        self.is_shared = give_way is not None

    def now(self) -> float:
        """The time in seconds, of a clock that doesn't jump."""
        return self._counter()

    def give_way(self) -> None:
        """Let other processes, and threads of this one, have the core, where it *is_shared*."""
        assert self._give_way is not None
        self._give_way()


class Ticks:
    """The time of a clock that is *offset* seconds before *counter*, ``time.perf_counter``."""

    __slots__ = ("_counter", "_offset")

    def __init__(self, counter: Callable[[], float], offset: float) -> None:
        self._counter = counter
        self._offset = offset

    def now(self) -> float:
        """The time in seconds."""
        return self._offset + self._counter()
