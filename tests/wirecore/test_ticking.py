"""The time of a run, as it is asked for with each message."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wirecore._backend import Backend


def test_it_is_the_counters_time_and_the_offset(backend: Backend) -> None:
    ticks = backend.ticking.Ticks(time.perf_counter, 1000.0)
    before = time.perf_counter()
    now = ticks.now()
    after = time.perf_counter()
    assert before + 1000.0 <= now <= after + 1000.0
    assert type(now) is float


def test_it_never_goes_back(backend: Backend) -> None:
    ticks = backend.ticking.Ticks(time.perf_counter, 12345.678)
    times = [ticks.now() for _ in range(1000)]
    assert times == sorted(times)


def test_the_offset_is_a_number(backend: Backend) -> None:
    wrong: Any = "an hour"
    with pytest.raises(TypeError):
        backend.ticking.Ticks(time.perf_counter, wrong).now()
