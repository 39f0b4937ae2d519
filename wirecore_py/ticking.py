"""The time on a run's clock, which is asked for with each message."""

from __future__ import annotations

from collections.abc import Callable


class Ticks:
    """The time of a clock that is *offset* seconds before *counter*, ``time.perf_counter``."""

    __slots__ = ("_counter", "_offset")

    def __init__(self, counter: Callable[[], float], offset: float) -> None:
        self._counter = counter
        self._offset = offset

    def now(self) -> float:
        """The time in seconds."""
        return self._offset + self._counter()
