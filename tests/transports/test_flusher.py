"""What is written after a connection's first send of a pass leaves together in the next batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

from wirecore_trio._flusher import current_flusher

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from wirecore_trio._pump import Pump


class FakePump:
    """Counts what the flusher does to it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.pushed = 0
        self.ended_with: BaseException | None = None

    def push_late(self) -> None:
        self.pushed += 1
        if self.error is not None:
            raise self.error

    def end(self, error: BaseException | None) -> None:
        self.ended_with = error


def add(*pumps: FakePump) -> None:
    for pump in pumps:
        current_flusher().add(cast("Pump", pump))


def test_all_that_came_in_a_batch_is_pushed_in_the_next(run: Run) -> None:
    async def story() -> None:
        one, other = FakePump(), FakePump()
        await trio.testing.wait_all_tasks_blocked()
        add(one, other)
        assert (one.pushed, other.pushed) == (0, 0)
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        assert (one.pushed, other.pushed) == (1, 1)
        await trio.testing.wait_all_tasks_blocked()
        assert (one.pushed, other.pushed) == (1, 1)
        add(one)
        await trio.testing.wait_all_tasks_blocked()
        assert (one.pushed, other.pushed) == (2, 1)

    run(story)


def test_who_adds_no_more_has_it_pushed_now(run: Run) -> None:
    async def story() -> None:
        one, bad = FakePump(), FakePump(ValueError("a bug"))
        await trio.testing.wait_all_tasks_blocked()
        add(bad, one)
        current_flusher().flush()
        assert (bad.pushed, one.pushed) == (1, 1)
        await trio.testing.wait_all_tasks_blocked()
        assert (bad.pushed, one.pushed) == (1, 1)

    run(story)


def test_a_run_has_one_flusher_of_its_own(run: Run) -> None:
    async def story() -> None:
        assert current_flusher() is current_flusher()
        pump = FakePump()
        add(pump)  # before its task has begun
        await trio.testing.wait_all_tasks_blocked()
        assert pump.pushed == 1

    run(story)
    run(story)


def test_a_push_that_fails_ends_its_connection_and_nothing_else(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        error = ValueError("a bug")
        bad, good = FakePump(error), FakePump()
        add(bad, good)
        await trio.testing.wait_all_tasks_blocked()
        assert bad.ended_with is error
        assert (good.pushed, good.ended_with) == (1, None)

    run(story)
    assert "a push failed" in caplog.text
