"""Where messages of several connections follow each other closely the watch looks for the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import Turns
from tests.transports.watch_story import Wired, end, settle, the_watch, wired
from wirecore._backend import default
from wirecore.moving_rules import AWAKE, FEWEST, INTERRUPTED, SLICE, TURN
from wirecore_trio import _rhythm, _watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.transports.conftest import Run

pytestmark = pytest.mark.skipif(_watch._epoll is None, reason="this system has no epoll")


class Time:
    """A core, on which time passes only as a test says: *on_way* is what others do with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, ready: bool = False) -> None:
        self.now = 100.0
        self.ways = 0
        self.on_way: Callable[[], object] = lambda: None
        core = default.ticking.Core(lambda: self.now, self._give_way)
        monkeypatch.setattr(_rhythm, "Core", lambda *_, **__: core)
        if not ready:
            monkeypatch.setattr(_rhythm, "_ready_tasks", lambda: None)
            monkeypatch.setattr(_rhythm, "idle_loop", lambda: None)

    def _give_way(self) -> None:
        self.ways += 1
        self.on_way()

    def pass_by(self, seconds: float = AWAKE) -> None:
        self.now += seconds


async def be_close(connections: list[Wired], times: int = FEWEST + 1) -> None:
    """Messages of several connections follow each other closely."""
    for number in range(times):
        connections[number % len(connections)].send()
        await settle()


def test_messages_that_follow_each_other_closely_are_looked_for(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=0.001)
            one, other = connections
            time.on_way = time.pass_by
            time.now += 1  # it was long ago
            await be_close(connections, FEWEST)
            assert time.ways == 0
            turns = Turns()
            nursery.start_soon(turns.run)
            sent: list[int] = []

            def send_next() -> None:
                if len(sent) == 5:
                    time.pass_by()
                    return
                sent.append(turns.count)
                (one if len(sent) % 2 else other).send(b"in place")

            time.on_way = send_next
            one.send()
            while len(sent) < 5:
                await trio.lowlevel.checkpoint()
            assert len(set(sent)) == 1  # nobody else had a turn between
            await trio.lowlevel.checkpoint()
            assert one.events.count(b"in place") + other.events.count(b"in place") == 5
            nursery.cancel_scope.cancel()
        end([one, other])

    run_sockets(story)


def test_who_alone_has_all_that_comes_reads_it_himself(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)
    time.on_way = time.pass_by

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            one, other = await wired(nursery, 2, eager_wait=0.001)
            other.send()  # what came before was another's
            await settle()
            for _ in range(FEWEST):
                assert one.sleeps
                one.send()
                await settle()
            reader = one.pump._watched
            assert reader is not None
            woken: list[trio.lowlevel.Task] = []
            reschedule = trio.lowlevel.reschedule

            def note(task: trio.lowlevel.Task, *more: Any) -> None:
                woken.append(task)
                reschedule(task, *more)

            monkeypatch.setattr(trio.lowlevel, "reschedule", note)
            task = reader._task
            one.send()
            await settle()
            assert woken == [task]
            end([one, other])

    run_sockets(story)


def test_looks_in_vain_are_short_and_become_seldom(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)
    time.on_way = lambda: time.pass_by(AWAKE / 3.9)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=0.001)
            time.now += 1
            await be_close(connections, FEWEST)
            assert time.ways == 0
            await be_close(connections, 1)
            assert time.ways == 4  # a tenth of a millisecond
            await be_close(connections, FEWEST + 1)
            assert time.ways == 4
            await be_close(connections, 4 * FEWEST)
            assert time.ways == 8
            end(connections)

    run_sockets(story)


def test_who_computes_on_the_core_is_left_alone_for_long(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)
    time.on_way = lambda: time.pass_by(2 * SLICE)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=0.001)
            await be_close(connections)
            assert time.ways == 1
            assert the_watch()._looking.needed == INTERRUPTED
            end(connections)

    run_sockets(story)


def test_the_loop_has_its_turn_in_time(run_sockets: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=0.001)
            time.on_way = time.pass_by
            time.now += 1
            await be_close(connections, FEWEST)
            turns = Turns()
            nursery.start_soon(turns.run)
            sent: list[int] = []

            def send_next() -> None:
                time.pass_by(TURN / 5)
                if len(sent) < 50:
                    sent.append(turns.count)
                    connections[len(sent) % 2].send()

            time.on_way = send_next
            connections[0].send()
            while len(sent) < 50:
                await trio.lowlevel.checkpoint()
            # Five in each turn, and tasks have theirs in any order.
            assert max(map(sent.count, sent)) <= 2 * 5
            assert len(set(sent)) >= 50 / (2 * 5)
            nursery.cancel_scope.cancel()
        end(connections)

    run_sockets(story)


def test_it_doesnt_look_while_others_are_at_work(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch, ready=True)
    time.on_way = time.pass_by

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=0.001)
            turns = Turns()
            nursery.start_soon(turns.run)
            for number in range(30):
                connections[number % 2].send()
                for _ in range(4):
                    await trio.lowlevel.checkpoint()
            assert sum(len(each.events) for each in connections) == 30
            assert time.ways == 0
            nursery.cancel_scope.cancel()
        end(connections)

    run_sockets(story)


def test_a_connection_whose_option_is_0_has_the_thread_not_held(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)
    time.on_way = time.pass_by

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2)
            await be_close(connections, 3 * FEWEST)
            assert time.ways == 0
            end(connections)

    run_sockets(story)


def test_the_shortest_option_of_those_that_were_read_bounds_a_look(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)
    time.on_way = lambda: time.pass_by(AWAKE / 39)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=AWAKE / 10)
            time.now += 1
            await be_close(connections)
            assert time.ways == 4
            end(connections)

    run_sockets(story)


def test_who_was_woken_has_his_turn_before_it_looks(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            connections = await wired(nursery, 2, eager_wait=0.001)
            one, _ = connections
            time.on_way = time.pass_by
            time.now += 1
            await be_close(connections, FEWEST)
            lot = trio.lowlevel.ParkingLot()
            order: list[str] = []

            async def wait() -> None:
                while True:
                    await lot.park()
                    order.append("woken")

            def wake() -> None:
                lot.unpark()
                one.pump.woke = True

            def look() -> None:
                order.append("looks")
                time.pass_by()

            nursery.start_soon(wait)
            await settle()
            one.react, time.on_way = wake, look
            for _ in range(5):
                time.now += 1
                await be_close(connections, 1)
                order.clear()
                for _ in range(8 * FEWEST):
                    one.send()
                    await settle()
                assert "looks" in order
                at = order.index("looks")
                assert order[at - 1] == "woken"
            nursery.cancel_scope.cancel()
        end(connections)

    run_sockets(story)
