"""Connecting until it works: what ends the retrying, and the exact schedule of the attempts."""

from __future__ import annotations

import errno
import gc
import logging
import weakref
from typing import TYPE_CHECKING

import pytest
import trio

from wirecore import errors
from wirecore.session import Backoff
from wirecore_trio._supervise import Redial, RetryPolicy, dial_until_open

if TYPE_CHECKING:
    from tests.transports.conftest import Run

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "connection refused")


def steady(spread: float = 0.5) -> Backoff:
    """1, 2, 4, 8, 8, ... seconds; *spread* 0 to 1 is where in the jitter each delay falls."""
    return Backoff(1, 2, 0.5, 8, random=lambda: spread)


class Dialled:
    """Attempts that fail with *failures*, then succeed; *times* of the attempts are kept."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.times: list[float] = []

    async def attempt(self) -> str:
        self.times.append(trio.current_time())
        if self.failures:
            raise self.failures.pop(0)
        return "open"

    @property
    def delays(self) -> list[float]:
        return [b - a for a, b in zip(self.times, self.times[1:], strict=False)]


def test_attempts_follow_the_schedule(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        dialled = Dialled(*[REFUSED] * 5)
        policy = RetryPolicy(backoff=steady)
        assert await dial_until_open(dialled.attempt, policy, what="the peer") == "open"
        assert dialled.delays == [1, 2, 4, 8, 8]
        # The next series begins anew.
        dialled = Dialled(REFUSED)
        await dial_until_open(dialled.attempt, policy, what="the peer")
        assert dialled.delays == [1]

    run(story)
    assert "connecting to the peer failed (ConnectionRefusedError" in caplog.text
    assert "attempt 6 in 8.00 s" in caplog.text


@pytest.mark.parametrize(("spread", "delays"), [(0.0, [0.5, 1, 2]), (1.0, [1.5, 3, 6])])
def test_jitter_spreads_every_delay(run: Run, spread: float, delays: list[float]) -> None:
    async def story() -> None:
        dialled = Dialled(*[REFUSED] * 3)
        policy = RetryPolicy(backoff=lambda: steady(spread))
        await dial_until_open(dialled.attempt, policy, what="the peer")
        assert dialled.delays == delays

    run(story)


def test_a_schedule_begun_before_goes_on_and_the_owner_hears_of_it(run: Run) -> None:
    async def story() -> None:
        schedule = steady()
        schedule.next_delay()
        heard: list[tuple[Exception, float]] = []
        dialled = Dialled(REFUSED, REFUSED)
        await dial_until_open(
            dialled.attempt,
            RetryPolicy(),
            what="the peer",
            backoff=schedule,
            on_failure=lambda error, delay: heard.append((error, delay)),
        )
        assert heard == [(REFUSED, 2), (REFUSED, 4)]

    run(story)


def test_the_last_attempts_error_is_raised(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        last = TimeoutError("not connected within 10 s")
        dialled = Dialled(REFUSED, last, REFUSED)
        with pytest.raises(TimeoutError) as caught:
            await dial_until_open(
                dialled.attempt, RetryPolicy(backoff=steady, attempts=2), what="the peer"
            )
        assert caught.value is last
        assert len(dialled.times) == 2

    run(story)
    assert "connecting to the peer failed for good" in caplog.text


def test_an_error_drags_no_earlier_attempts_along(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "wirecore.connect")  # a record would hold its error

    class Refused(OSError):
        """Can be watched by a weak reference."""

    gone: list[weakref.ref[Refused]] = []
    gc.disable()  # a cycle of references must not be what is cleaned up

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        error = Refused(f"attempt {len(gone) + 1}")
        gone.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    async def story() -> None:
        with pytest.raises(Refused, match="attempt 3") as caught:
            await dial_until_open(fail, RetryPolicy(backoff=steady, attempts=3), what="x")
        assert caught.value.__context__ is None
        assert [one() for one in gone] == [None, None, caught.value]

    try:
        run(story)
    finally:
        gc.enable()


PASSING = [
    REFUSED,
    OSError("no such name"),
    TimeoutError(),
    trio.BrokenResourceError(),
    errors.HandshakeError("not HTTP"),
    *(errors.UpgradeRejected(status) for status in (408, 425, 429, 500, 502, 503, 504)),
]
FATAL = [
    errors.PeerRefused("an unknown key"),
    *(errors.UpgradeRejected(status) for status in (301, 308, 400, 401, 403, 404, 426)),
]


def name(error: Exception) -> str:
    return f"{type(error).__name__}{getattr(error, 'status', '')}"


@pytest.mark.parametrize("error", PASSING, ids=name)
def test_what_may_pass_is_tried_again(run: Run, error: Exception) -> None:
    async def story() -> None:
        dialled = Dialled(error)
        assert await dial_until_open(dialled.attempt, RetryPolicy(), what="x") == "open"

    run(story)


@pytest.mark.parametrize("error", FATAL, ids=name)
def test_a_server_that_says_no_is_asked_once_unless_the_policy_persists(
    run: Run, error: Exception
) -> None:
    async def story() -> None:
        dialled = Dialled(error)
        with pytest.raises(type(error)):
            await dial_until_open(dialled.attempt, RetryPolicy(), what="x")
        assert len(dialled.times) == 1
        dialled = Dialled(error)
        await dial_until_open(dialled.attempt, RetryPolicy(persist=True), what="x")
        assert len(dialled.times) == 2

    run(story)


def test_statuses_can_be_chosen(run: Run) -> None:
    async def story() -> None:
        policy = RetryPolicy(fatal_statuses={503})
        dialled = Dialled(errors.UpgradeRejected(404), errors.UpgradeRejected(503))
        with pytest.raises(errors.UpgradeRejected, match="503"):
            await dial_until_open(dialled.attempt, policy, what="x")
        assert len(dialled.times) == 2

    run(story)


@pytest.mark.parametrize(
    "error", [errors.InvalidOption("a wrong URL"), ValueError("not one of ours")]
)
def test_the_programs_own_mistakes_arrive_at_once(run: Run, error: Exception) -> None:
    async def story() -> None:
        with pytest.raises(type(error)) as caught:
            await dial_until_open(Dialled(error).attempt, RetryPolicy(persist=True), what="x")
        assert caught.value is error

    run(story)
    assert RetryPolicy(persist=True).is_fatal(errors.LocalError())


def test_waiting_for_the_next_attempt_can_be_cancelled(run: Run) -> None:
    async def story() -> None:
        dialled = Dialled(*[REFUSED] * 100)
        with trio.move_on_after(10) as scope:
            await dial_until_open(dialled.attempt, RetryPolicy(backoff=steady), what="x")
        assert scope.cancelled_caught
        assert len(dialled.times) == 4

    run(story)


def test_a_policy_needs_an_attempt() -> None:
    with pytest.raises(errors.InvalidOption, match="attempts must be at least 1, not 0"):
        RetryPolicy(attempts=0)


def test_a_connection_that_lasted_is_followed_at_once_by_the_next(run: Run) -> None:
    async def story() -> None:
        redial = Redial(RetryPolicy(backoff=steady))
        for _ in range(3):
            redial.opened()
            await trio.sleep(1)
            begun = trio.current_time()
            await redial.pause()
            assert trio.current_time() == begun

    run(story)


def test_a_server_that_breaks_off_at_once_is_not_dialled_in_a_tight_loop(run: Run) -> None:
    async def story() -> None:
        redial = Redial(RetryPolicy(backoff=steady))
        waited = []
        for _ in range(5):
            redial.opened()
            begun = trio.current_time()
            await trio.sleep(0.25)  # the life of the connection counts
            await redial.pause()
            waited.append(trio.current_time() - begun)
        assert waited == [1, 2, 4, 8, 8]
        redial.opened()
        await trio.sleep(1)
        await redial.pause()
        redial.opened()
        begun = trio.current_time()
        await redial.pause()
        assert trio.current_time() - begun == 1, "the schedule began anew"

    run(story)
