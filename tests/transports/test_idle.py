"""Whether trio's loop has nothing to do, and who is asked for that."""

from __future__ import annotations

import asyncio
import math
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore_trio._idle import idle_loop, watch_pass

if TYPE_CHECKING:
    from tests.transports.conftest import Run


async def have_turn() -> None:
    """As who reads in place, when nobody else has anything to do."""
    await trio.testing.wait_all_tasks_blocked()
    watch_pass()
    await trio.lowlevel.checkpoint()


needs_epoll = pytest.mark.skipif(sys.platform != "linux", reason="trio uses epoll on Linux alone")


@needs_epoll
def test_a_loop_says_whether_its_turn_would_find_anything_to_do(run_sockets: Run) -> None:
    async def story() -> None:
        idle = idle_loop()
        assert idle is not None
        assert not idle()  # who else runs in this pass isn't known
        await have_turn()
        assert idle()
        ours, theirs = socket.socketpair()
        with ours, theirs, trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.lowlevel.wait_readable, ours)
                assert not idle()  # a task is to begin
                await have_turn()
                assert idle()
                theirs.send(b"x")
                assert not idle()  # what somebody waits for is there
                await have_turn()
                assert idle()
                scope.deadline = trio.current_time() + 1
                assert idle()
                scope.deadline = trio.current_time()
                assert not idle()  # somebody's time is up
                scope.deadline = math.inf
                token = trio.lowlevel.current_trio_token()
                token.run_sync_soon(lambda: None)
                assert not idle()  # a thread, or a signal's handler, wants something
                await have_turn()
                assert idle()

    run_sockets(story)


@needs_epoll
def test_others_that_are_to_run_in_this_pass_are_something_to_do(run_sockets: Run) -> None:
    async def story() -> None:
        idle = idle_loop()
        assert idle is not None
        answers: list[bool] = []

        async def look() -> None:
            await have_turn()
            answers.append(idle())

        async with trio.open_nursery() as nursery:
            for _ in range(3):  # whoever is first: the others have left trio's queue by then
                nursery.start_soon(look)
        assert answers == [False] * 3
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await have_turn()
            assert idle()
            nursery.cancel_scope.deadline = trio.current_time()
            watch_pass()
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
                assert not idle()  # somebody's time was up as the pass began

    run_sockets(story)


@needs_epoll
def test_passes_are_watched_where_somebody_says_so_and_no_longer(run_sockets: Run) -> None:
    async def story() -> None:
        runner: Any = trio.lowlevel.current_task()._runner
        idle = idle_loop()
        assert idle is not None
        for _ in range(2):
            await have_turn()
            assert idle()
            assert "after_io_wait" in runner.instruments
            await trio.lowlevel.checkpoint()
            assert not idle()
            assert "after_io_wait" not in runner.instruments

    run_sockets(story)


def test_a_guests_loop_doesnt_say_so() -> None:
    seen: list[object] = []

    async def main() -> None:
        seen.append(idle_loop())

    async def host() -> None:
        over = asyncio.get_running_loop().create_future()
        trio.lowlevel.start_guest_run(
            main,
            run_sync_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe,
            done_callback=over.set_result,
        )
        (await over).unwrap()

    asyncio.run(host())
    assert seen == [None]
