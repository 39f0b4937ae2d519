"""The time of a run, as it is asked for with each message."""

from __future__ import annotations

import os
import sys
import threading
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


def test_a_core_is_left_to_others_and_has_a_clock(backend: Backend) -> None:
    given: list[bool] = []
    core = backend.ticking.Core(lambda: 5.0, lambda: given.append(True))
    assert core.is_shared
    assert core.now() == 5.0
    core.give_way()
    assert given == [True]
    assert not backend.ticking.Core(time.perf_counter, None).is_shared


def test_the_systems_own_core_has_its_time(backend: Backend) -> None:
    core = backend.ticking.Core(time.perf_counter, getattr(os, "sched_yield", None), own=True)
    before = time.perf_counter()
    now = core.now()
    assert before <= now <= time.perf_counter()
    if core.is_shared:
        core.give_way()  # nobody else wants it, or comes back
    assert core.now() >= now


def test_what_a_clock_or_a_yield_raises_comes_through(backend: Backend) -> None:
    def fail() -> float:
        raise LookupError

    core = backend.ticking.Core(fail, fail)
    with pytest.raises(LookupError):
        core.now()
    with pytest.raises(LookupError):
        core.give_way()


def test_a_core_is_left_to_a_thread_of_this_process_too(backend: Backend) -> None:
    core = backend.ticking.Core(time.perf_counter, getattr(os, "sched_yield", None), own=True)
    if not core.is_shared:
        pytest.skip("this system has no sched_yield")
    may_run, has_run = threading.Lock(), False

    def run() -> None:
        nonlocal has_run
        with may_run:
            has_run = True

    before = sys.getswitchinterval()
    thread = threading.Thread(target=run)
    with may_run:
        thread.start()
        sys.setswitchinterval(60)  # nobody has to let it have the interpreter
    try:
        for _ in range(1_000_000):
            core.give_way()
            if has_run:
                break
        assert has_run
    finally:
        sys.setswitchinterval(before)
        thread.join()
