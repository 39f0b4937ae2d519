"""Counts of calls, by path and provider."""

from __future__ import annotations

import dataclasses

import pytest

from wirecore.errors import InvalidOption
from wirecore.protocols.pool.statistics import FAILURES, PathStatistics
from wirecore.session.latency import Latency

#: What percentiles may be off by.
ERROR = 0.008


def test_a_path_and_its_providers() -> None:
    path = PathStatistics()
    ann, nobody = path.join("ann"), path.join(None)
    for _ in range(5):
        ann.begin()
    nobody.begin()
    ann.answer([0.25, 0.75], failed=1, now=11.0)
    ann.fail("lost")
    ann.queue_again()
    nobody.answer([0.5], failed=0, now=12.0)
    path.give_up("timeout")

    snapshot = path.snapshot(now=12.0, queued=3)
    assert snapshot.queued == 3
    calls, anns = snapshot.calls, snapshot.providers["ann"]
    assert (calls.answered, calls.again, calls.in_flight) == (2, 1, 1)
    assert calls.failed == {"error": 1, "lost": 1, "timeout": 1, "cancelled": 0}
    assert (calls.latency.count, calls.latency.sum) == (3, 1.5)
    assert (anns.answered, anns.again, anns.in_flight) == (1, 1, 1)
    assert anns.failed == {"error": 1, "lost": 1, "timeout": 0, "cancelled": 0}
    assert anns.recent.p99 == pytest.approx(0.75, rel=ERROR)
    assert set(snapshot.providers) == {"ann"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.queued = 0  # type: ignore[misc]
    with pytest.raises(TypeError):
        snapshot.providers["bob"] = anns  # type: ignore[index]


def test_a_snapshot_stays_as_it_was() -> None:
    path = PathStatistics()
    counts = path.join("ann")
    counts.begin()
    before = path.snapshot(now=1.0)
    counts.answer([0.5], failed=0, now=1.0)
    counts.begin()
    counts.fail("cancelled")
    assert before.calls.answered == 0
    assert before.calls.failed["cancelled"] == 0
    assert before.providers["ann"].latency.count == 0
    assert path.snapshot(now=1.0).calls.latency.count == 1


def test_connections_of_one_provider_count_together() -> None:
    path = PathStatistics()
    assert path.join("ann") is path.join("ann")
    path.leave("ann")
    path.leave("ann")
    assert path.join("ann") is path.join("ann")  # it came back, and goes on


def test_providers_that_left_long_ago_are_a_sum() -> None:
    path = PathStatistics(max_providers=2)
    for number, name in enumerate(("ann", "bob", "cat", "dan")):
        counts = path.join(name)
        counts.begin()
        counts.answer([0.5], failed=0, now=100.0 + 10 * number)
        path.leave(name)
    snapshot = path.snapshot(now=131.0)
    assert set(snapshot.providers) == {"cat", "dan"}
    assert snapshot.calls.answered == 4
    assert (snapshot.calls.latency.count, snapshot.calls.recent.count) == (4, 4)
    assert path.snapshot(now=175.0).calls.recent.count == 2


def test_recent_latencies_of_several_are_merged_by_time() -> None:
    one, other = Latency(window=60, slices=6), Latency(window=60, slices=6)
    one.record([1.0], now=5.0)
    one.record([1.0], now=25.0)
    other.record([2.0], now=15.0)
    other.record([2.0], now=25.0)
    one.merge(other)
    one.record([4.0], now=26.0)
    total, recent = one.snapshot(now=30.0)
    assert (total.count, total.sum, recent.count) == (5, 10.0, 5)
    assert one.snapshot(now=65.0)[1].count == 4
    assert one.snapshot(now=75.0)[1].count == 3
    assert other.snapshot(now=30.0)[0].count == 2  # as it was


def test_options_that_make_no_sense() -> None:
    with pytest.raises(InvalidOption):
        PathStatistics(max_providers=-1)
    assert set(FAILURES) == {"error", "lost", "timeout", "cancelled"}
