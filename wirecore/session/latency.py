"""How long things take: histograms of bounded size whose percentiles err by 0.8 % at most."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ldexp
from typing import TYPE_CHECKING, Final

from wirecore._backend import default
from wirecore.histogram_rules import LEAST, PARTS
from wirecore.session.limits import check_above, check_at_least

#: Upper ends, in seconds, of the few coarse buckets that go to those who collect metrics.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


if TYPE_CHECKING:
    from wirecore_py.histogram import Counts as _Counts
else:
    _Counts = default.histogram.Counts


@dataclass(frozen=True, slots=True)
class LatencySnapshot:
    """Durations, in seconds; the percentiles are off by 0.8 % at most, and 0 where *count* is.

    *sum* and *max* are exact. *buckets*: upper ends (:data:`BOUNDS`), and how many durations
    were no longer, as exact as percentiles.
    """

    count: int
    sum: float
    max: float
    p50: float
    p95: float
    p99: float
    buckets: tuple[tuple[float, int], ...]


class Histogram(_Counts):
    """Counts durations by buckets: 2,368 at most, and only those that occur take memory."""

    __slots__ = ()

    def merge(self, other: Histogram) -> None:
        """Count here too what *other* counts."""
        for index, count in other.buckets.items():
            self.buckets[index] = self.buckets.get(index, 0) + count
        self.count += other.count
        self.sum += other.sum
        self.max = max(self.max, other.max)

    def percentiles(self, parts: Sequence[float]) -> list[float]:
        """For each of *parts*, rising numbers from 0 to 1: so long were that part at most."""
        found: list[float] = []
        seen = 0
        for index, count in sorted(self.buckets.items()):
            seen += count
            while len(found) < len(parts) and seen >= parts[len(found)] * self.count:
                # Never above the longest: that one is known exactly.
                found.append(min(_middle(index), self.max))
        return found or [0.0] * len(parts)

    def cumulative(self, bounds: Sequence[float]) -> list[int]:
        """For each of *bounds*, in rising order: how many were no longer."""
        found = [0] * len(bounds)
        for index, count in self.buckets.items():
            middle = _middle(index)
            for position in range(len(bounds) - 1, -1, -1):
                if middle > bounds[position]:
                    break
                found[position] += count
        return found

    def snapshot(self) -> LatencySnapshot:
        """What is counted, as it is now."""
        p50, p95, p99 = self.percentiles((0.5, 0.95, 0.99))
        buckets = tuple(zip(BOUNDS, self.cumulative(BOUNDS), strict=True))
        return LatencySnapshot(self.count, self.sum, self.max, p50, p95, p99, buckets)


class Latency:
    """Durations since the start, and those of the last *window* seconds.

    The window is made of *slices*: the oldest is dropped whole, so it spans between all of its
    seconds and all but one slice. *now* is any monotonic clock's reading in seconds.

    Raises :class:`~wirecore.errors.InvalidOption` for a window that isn't above 0, and for less
    than 1 slice.
    """

    __slots__ = ("_current", "_number", "_past", "_recent", "_slices", "_width")

    def __init__(self, window: float = 60.0, slices: int = 6) -> None:
        check_above("window", window, 0)
        check_at_least("slices", slices, 1)
        self._slices = slices
        self._width = window / slices
        self._past = Histogram()  # all but what is in the slices
        self._recent: deque[tuple[int, Histogram]] = deque()  # with their numbers, oldest first
        self._current: Histogram | None = None
        self._number = 0

    def record(self, durations: Sequence[float], now: float) -> None:
        """What took these seconds, be it nothing, has ended."""
        if not durations:
            return
        number = int(now // self._width)
        current = self._current
        if current is None or number > self._number:
            self._drop_old(number)
            current = self._current = Histogram()
            self._number = number
            self._recent.append((number, current))
        current.record(durations)

    def merge(self, other: Latency) -> None:
        """Count here too what *other*, of the same window, counts."""
        self._past.merge(other._past)
        slices = dict(self._recent)
        for number, histogram in other._recent:
            slices.setdefault(number, Histogram()).merge(histogram)
        self._recent = deque(sorted(slices.items(), key=_number))
        if self._recent:
            self._number, self._current = self._recent[-1]

    def snapshot(self, now: float) -> tuple[LatencySnapshot, LatencySnapshot]:
        """All, and those of the window."""
        self._drop_old(int(now // self._width))
        recent = Histogram()
        for _, histogram in self._recent:
            recent.merge(histogram)
        total = Histogram()
        total.merge(self._past)
        total.merge(recent)
        return total.snapshot(), recent.snapshot()

    def _drop_old(self, number: int) -> None:
        while self._recent and self._recent[0][0] <= number - self._slices:
            _, histogram = self._recent.popleft()
            self._past.merge(histogram)
            if histogram is self._current:
                self._current = None


def _number(numbered: tuple[int, Histogram]) -> int:
    return numbered[0]


def _middle(index: int) -> float:
    octave, part = divmod(index, PARTS)
    return ldexp(1 + (part + 0.5) / PARTS, octave + LEAST - 1)
