"""How long things take: exact enough, and bounded in memory."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecore.errors import InvalidOption
from wirecore.session.latency import BOUNDS, Histogram, Latency

#: What percentiles may be off by.
ERROR = 0.008


def histogram_of(values: list[float]) -> Histogram:
    histogram = Histogram()
    histogram.record(values)
    return histogram


# --- percentiles --------------------------------------------------------------------------


@settings(max_examples=100)
@given(st.lists(st.floats(1e-6, 1e5), min_size=1), st.floats(0.01, 1))
def test_percentiles_are_as_exact_as_promised(values: list[float], part: float) -> None:
    [found] = histogram_of(values).percentiles([part])
    exact = sorted(values)[math.ceil(part * len(values)) - 1]
    assert found == pytest.approx(exact, rel=ERROR)


def test_percentiles_of_many() -> None:
    chance = random.Random(4)
    values = [chance.lognormvariate(-5, 1.5) for _ in range(20_000)]
    snapshot = histogram_of(values).snapshot()
    values.sort()
    assert snapshot.p50 == pytest.approx(values[9_999], rel=ERROR)
    assert snapshot.p95 == pytest.approx(values[18_999], rel=ERROR)
    assert snapshot.p99 == pytest.approx(values[19_799], rel=ERROR)
    assert (snapshot.count, snapshot.max) == (20_000, values[-1])
    assert snapshot.sum == pytest.approx(sum(values))
    for bound, count in snapshot.buckets:
        low = sum(value <= bound * (1 - ERROR) for value in values)
        high = sum(value <= bound * (1 + ERROR) for value in values)
        assert low <= count <= high
    assert tuple(bound for bound, _ in snapshot.buckets) == BOUNDS


def test_its_size_is_bounded_whatever_comes() -> None:
    values = [2.0**exponent * part for exponent in range(-60, 60) for part in (1, 1.3, 1.7)]
    histogram = histogram_of([*values, 0.0, -1.0])
    assert len(histogram.buckets) < 120
    assert min(histogram.buckets) >= 0
    assert max(histogram.buckets) < 2368
    assert histogram.count == len(values) + 2
    assert histogram.max == max(values)


def test_what_is_too_short_or_too_long_to_tell_apart() -> None:
    assert histogram_of([0.0, -1.0, 1e-9, 5.0]).percentiles([0.5, 1]) == [
        pytest.approx(1e-6, rel=0.1),
        pytest.approx(5.0, rel=ERROR),
    ]
    assert histogram_of([0.0]).snapshot().p99 == 0.0
    assert histogram_of([1e6, 1e7]).percentiles([0.5]) == [pytest.approx(2.0**17, rel=ERROR)]


def test_nothing_yet() -> None:
    snapshot = Histogram().snapshot()
    assert (snapshot.count, snapshot.sum, snapshot.p50, snapshot.p99) == (0, 0, 0, 0)
    assert {count for _, count in snapshot.buckets} == {0}


def test_no_percentile_is_above_the_longest() -> None:
    for value in (0.2501, 0.2519, 0.2537):  # at either end of a bucket, and within
        snapshot = histogram_of([value]).snapshot()
        assert snapshot.p50 == snapshot.p99 <= snapshot.max == value


# --- the window ---------------------------------------------------------------------------


def test_what_is_recent_moves_on_by_slices() -> None:
    latency = Latency(window=60, slices=6)
    latency.record([1.0], now=1000.0)
    latency.record([2.0], now=1009.9)
    latency.record([4.0], now=1031.0)
    total, recent = latency.snapshot(now=1059.9)
    assert (total.count, recent.count, recent.sum) == (3, 3, 7.0)
    total, recent = latency.snapshot(now=1060.0)
    assert (total.count, recent.count, recent.sum) == (3, 1, 4.0)
    total, recent = latency.snapshot(now=1e6)
    assert (total.count, total.sum, recent.count) == (3, 7.0, 0)
    latency.record([8.0], now=1e6)
    total, recent = latency.snapshot(now=1e6)
    assert (total.sum, total.max, recent.sum) == (15.0, 8.0, 8.0)


def test_its_memory_is_bounded_in_time() -> None:
    latency = Latency(window=60, slices=6)
    for now in range(0, 10_000, 3):
        latency.record([0.5], now)
    assert len(latency._recent) <= 6
    total, recent = latency.snapshot(9_999)
    assert total.count == 3334
    assert 17 <= recent.count <= 20


def test_a_window_that_makes_no_sense() -> None:
    with pytest.raises(InvalidOption, match="window must be above 0"):
        Latency(window=0)
    with pytest.raises(InvalidOption, match="slices"):
        Latency(slices=0)
