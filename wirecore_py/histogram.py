"""Sorts durations into buckets: twin of ``wirecore._histogram``."""

from __future__ import annotations

from collections.abc import Sequence
from math import frexp, ldexp
from typing import Final

from wirecore.histogram_rules import LEAST, MOST, PARTS

_OFFSET: Final = LEAST + 1

_SHORTEST: Final = ldexp(1, LEAST - 1)

_LAST: Final = (MOST - LEAST + 1) * PARTS - 1


def count(buckets: dict[int, int], durations: Sequence[float]) -> tuple[float, float]:
    """Count *durations*, finite seconds, in *buckets*; those below 0 count as 0.

    Returned are their sum and the longest of them, 0 where there is none.
    """
    total = longest = 0.0
    for seconds in durations:
        index = 0
        if seconds > _SHORTEST:
            fraction, exponent = frexp(seconds)  # the fraction is from 1/2 to 1
            index = min(int((exponent - _OFFSET + 2 * fraction) * PARTS), _LAST)
        buckets[index] = buckets.get(index, 0) + 1
        if seconds > 0:
            total += seconds
            longest = max(longest, seconds)
    return total, longest
