"""One heap of deadlines for a run: order, cancelling, faults, and room for others."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore_trio import _clock
from wirecore_trio._clock import Clock, current_clock

if TYPE_CHECKING:
    from tests.transports.conftest import Run


def test_a_run_has_one_clock_and_one_task_for_it(run: Run) -> None:
    async def story() -> None:
        assert current_clock() is current_clock()

    run(story)
    run(story)  # the next run has its own, or this would hang


def test_callbacks_come_in_the_order_of_their_deadlines(run: Run) -> None:
    async def story() -> None:
        clock = current_clock()
        start = trio.current_time()
        called: list[tuple[str, float]] = []

        def at(delay: float, name: str) -> None:
            clock.call_at(start + delay, lambda now: called.append((name, now - start)))

        at(2, "second")
        at(1, "first")  # nearer than the one the clock waits for
        at(2, "third")  # at the same time: in the order of asking
        at(30, "last")
        await trio.sleep(10)
        assert called == [("first", 1), ("second", 2), ("third", 2)]
        at(1, "late")  # its time is over already
        await trio.testing.wait_all_tasks_blocked()
        assert called[3:] == [("late", 10)]
        await trio.sleep(25)
        assert called[4:] == [("last", 30)]

    run(story)


def test_a_callback_may_ask_for_the_next(run: Run) -> None:
    async def story() -> None:
        clock = current_clock()
        times: list[float] = []

        def tick(now: float) -> None:
            times.append(now)
            clock.call_at(now + 1, tick)

        clock.call_at(trio.current_time() + 1, tick)
        start = trio.current_time()
        await trio.sleep(4.5)
        assert times == [start + 1, start + 2, start + 3, start + 4]
        times.clear()

    run(story)


def test_a_cancelled_timer_is_silent(run: Run) -> None:
    async def story() -> None:
        clock = current_clock()
        called: list[float] = []
        timer = clock.call_at(trio.current_time() + 1, called.append)
        other = clock.call_at(trio.current_time() + 1, called.append)
        timer.cancel()
        timer.cancel()
        await trio.sleep(2)
        assert len(called) == 1
        other.cancel()  # too late, and no matter
        assert clock._heap == []
        assert clock._cancelled == 0

    run(story)


def test_cancelled_timers_are_swept_out(run: Run) -> None:
    async def story() -> None:
        clock = current_clock()
        kept = [clock.call_at(math.inf, lambda _: None) for _ in range(3)]
        for _ in range(100):
            timers = [clock.call_at(1e9, lambda _: None) for _ in range(100)]
            for timer in timers:
                timer.cancel()
            assert len(clock._heap) <= _clock._SWEEP_FROM + 103
        assert set(kept) <= set(clock._heap)

    run(story)


def test_a_callback_that_fails_is_logged_and_the_others_are_called(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        clock = current_clock()
        called: list[float] = []

        def fail(_: float) -> None:
            raise ValueError("a bug")

        clock.call_at(1, fail)
        clock.call_at(1, called.append)
        clock.call_at(2, called.append)
        await trio.sleep(3)
        assert called == [1, 2]

    run(story)
    assert "a timer's callback failed" in caplog.text
    assert "a bug" in caplog.text


@pytest.mark.parametrize("deadline", [0.0, -math.inf])
def test_a_callback_that_comes_again_at_once_leaves_room_for_others(
    run: Run, deadline: float
) -> None:
    async def story() -> None:
        clock = current_clock()
        calls = 0

        def again(_: float) -> None:
            nonlocal calls
            calls += 1
            if calls < 10_000:
                clock.call_at(deadline, again)

        clock.call_at(deadline, again)
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        assert 0 < calls < 1000
        await trio.testing.wait_all_tasks_blocked()
        assert calls == 10_000

    run(story)


def test_a_clock_that_isnt_started_yet_keeps_what_it_is_told(run: Run) -> None:
    async def story() -> None:
        clock = Clock()
        called: list[float] = []
        clock.call_at(trio.current_time() + 1, called.append)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clock.run)
            await trio.sleep(2)
            nursery.cancel_scope.cancel()
        assert len(called) == 1

    run(story)


def test_the_time_is_trios_whichever_clock_that_has() -> None:
    async def close() -> tuple[bool, float]:
        clock = current_clock()
        before = trio.current_time()
        now = clock.now()
        assert before <= now <= trio.current_time()
        return clock.ticks is not None, now

    class Halved(trio.abc.Clock):
        """A clock of a program's own, with what trio's happens to have."""

        offset = 5.0

        def start_clock(self) -> None:
            pass

        def current_time(self) -> float:
            return time.perf_counter() / 2

        def deadline_to_sleep_time(self, deadline: float) -> float:
            return 2 * (deadline - self.current_time())

    class SystemClock(Halved):
        """One that is called as trio's is, too."""

    # What the backend counts by itself is trio's own clock alone.
    assert trio.run(close)[0]
    for clock in (Halved(), SystemClock(), trio.testing.MockClock()):
        counted, now = trio.run(close, clock=clock)
        assert not counted
        assert now < 1e6
