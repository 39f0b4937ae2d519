"""A timer that is set often and seldom fires early."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class Deadline:
    """Calls *callback* at a time that may be put off at no cost.

    It may be called before the time that was set last: whoever it calls looks at the clock and
    sets it again.
    """

    __slots__ = ("_callback", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        self._loop = loop
        self._callback = callback
        self._timer: asyncio.TimerHandle | None = None

    def set(self, when: float) -> None:
        """No later than *when*, by the loop's clock; ``math.inf`` for never."""
        if math.isinf(when):
            self.cancel()
        elif self._timer is None or when < self._timer.when():
            self.cancel()
            self._timer = self._loop.call_at(when, self._fire)

    def cancel(self) -> None:
        """Never, unless it is set again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        self._callback()
