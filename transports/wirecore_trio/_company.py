"""Whether this thread has its core to itself, as far as can be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ._of_run import OfRun

try:
    from resource import RUSAGE_THREAD, getrusage
except ImportError:  # Linux alone counts by thread
    _preempted: Callable[[], int] | None = None
else:

    def _preempted() -> int:
        """How often another thread took this one's core."""
        return getrusage(RUSAGE_THREAD).ru_nivcsw


#: Questions that are answered alike, and how often this thread may be preempted meanwhile: by a
#: peer on the same core it is four to forty times, else seldom ever.
_ALIKE: Final = 256
_MOST: Final = 2


class Company:
    """What a run knows of its core. *preempted*: how often it was taken; None: nobody knows."""

    __slots__ = ("_asked", "_before", "_is_alone", "_preempted")

    def __init__(self, preempted: Callable[[], int] | None) -> None:
        self._preempted = preempted
        self._before = 0 if preempted is None else preempted()
        self._is_alone = True
        self._asked = 0

    def is_alone(self) -> bool:
        """Whether nobody else took the core lately: ask now and then, while there is work."""
        self._asked += 1
        if self._asked >= _ALIKE:
            self._asked = 0
            if self._preempted is not None:
                now = self._preempted()
                self._is_alone = now - self._before <= _MOST
                self._before = now
        return self._is_alone


#: That of the running trio loop.
current_company = OfRun("company", lambda: Company(_preempted))
