"""Counts durations by buckets: twin of ``wirecore._histogram``."""

from __future__ import annotations

from collections.abc import Sequence
from math import frexp, ldexp
from typing import Final

from wirecore.histogram_rules import LEAST, MOST, PARTS

_OFFSET: Final = LEAST + 1

_SHORTEST: Final = ldexp(1, LEAST - 1)

_LAST: Final = (MOST - LEAST + 1) * PARTS - 1


class Counts:
    """How many durations there were in each bucket.

    *buckets*: by index, those that occur. *count*: of all, *sum* and *max* in seconds.
    """

    __slots__ = ("buckets", "count", "max", "sum")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.count = 0
        self.sum = 0.0
        self.max = 0.0

    def record(self, durations: Sequence[float]) -> None:
        """Count *durations*, finite seconds; those below 0 count as 0."""
        buckets = self.buckets
        for seconds in durations:
            index = 0
            if seconds > _SHORTEST:
                fraction, exponent = frexp(seconds)  # the fraction is from 1/2 to 1
                index = int(min((exponent - _OFFSET + 2 * fraction) * PARTS, _LAST))
            buckets[index] = buckets.get(index, 0) + 1
            self.count += 1
            if seconds > 0:
                self.sum += seconds
                self.max = max(self.max, seconds)
