"""Which provider takes which call, and what becomes of calls that nobody takes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.pool.world import Echo, OpenPool, Worker, World
from wirecore import errors
from wirecore_trio import pool


async def who(world: World, times: int = 1, **wishes: Any) -> list[str]:
    """The names of those who took so many calls."""
    call = world.server.call
    return [await call("Worker.Who", "", str, **wishes) for _ in range(times)]


def test_idle_providers_take_turns(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            for name in "abc":
                await world.provide(Worker(name))
            turns = await who(world, 6)
            assert turns[:3] == turns[3:]
            assert set(turns) == set("abc")

    run_sockets(main)


def test_the_least_busy_provider_takes_the_next(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool(balancing="least_outstanding") as world:
            busy, idle = Worker("busy"), Worker("idle")
            await world.provide(busy, name="busy")
            await world.provide(idle)
            pending = world.server.submit("Worker.Work", "", str, provider="busy")
            await busy.wait_begun()
            assert await who(world, 3) == ["idle"] * 3
            busy.go_on.set()
            await pending.wait()
            assert Counter(await who(world, 4)) == {"busy": 2, "idle": 2}

    run_sockets(main)


def test_a_call_waits_for_a_provider(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            pending = world.server.submit("Worker.Who", "", str)
            await trio.sleep(30)
            assert not pending.done
            await world.provide(Worker("late"))
            assert await pending.wait() == "late"

    run_sockets(main)


def test_a_call_that_nobody_takes(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool(call_timeout=7) as world:
            before = trio.current_time()
            with pytest.raises(pool.NoProvider, match=r"no provider is connected at /pool.* 7 s"):
                await world.server.call("Worker.Who", "")
            assert 7 <= trio.current_time() - before < 8
            with pytest.raises(pool.NoProvider, match=r"within 2 s"):
                await world.server.call("Worker.Who", "", timeout=2)
            # It doesn't wait any longer, so nobody who comes gets it.
            worker = Worker()
            await world.provide(worker, concurrency=1)
            busy = world.server.submit("Worker.Work", "", str)
            await worker.wait_begun()
            with pytest.raises(pool.NoProvider, match=r"no provider at /pool was free"):
                await world.server.call("Worker.Who", "", timeout=2)
            worker.go_on.set()
            assert await busy.wait() == " by worker"
            assert len(worker.begun) == 1

    run_sockets(main)


def test_a_cancelled_call_leaves_the_queue(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool(max_queue=1) as world:
            with trio.move_on_after(1) as scope:
                await world.server.call("Worker.Work", "cancelled")
            assert scope.cancelled_caught
            pending = world.server.submit("Worker.Work", "queued", str)  # there is room
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(errors.LocalLimitExceeded, match=r"max_queue"):
                await world.server.call("Worker.Work", "one too many")
            worker = Worker()
            worker.go_on.set()
            await world.provide(worker)
            assert await pending.wait() == "queued by worker"
            assert worker.begun == ["queued"]

    run_sockets(main)


def test_a_provider_gets_no_more_calls_than_it_wants(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool(max_provider_calls=3) as world:
            worker = Worker()
            await world.provide(worker, concurrency=2)
            assert world.server.providers[0].capacity == 2
            calls = [world.server.submit("Worker.Work", f"{n}", str) for n in range(5)]
            await worker.wait_begun(2)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert sorted(worker.begun) == ["0", "1"]
            assert world.server.providers[0].outstanding == 2
            worker.go_on.set()
            assert [await call.wait() for call in calls] == [f"{n} by worker" for n in range(5)]
            assert sorted(worker.begun) == [f"{n}" for n in range(5)]

    run_sockets(main)


def test_a_call_that_nobody_waits_for_any_longer_still_counts(
    open_pool: OpenPool, run_sockets: Run
) -> None:
    """Its provider is still at it: so one that takes one call at a time gets no second."""

    async def main() -> None:
        async with open_pool() as world:
            worker = Worker()
            await world.provide(worker, concurrency=1)
            with pytest.raises(
                errors.CallTimeout, match=r"no answer of .* to Worker.Work within 3"
            ):
                await world.server.call("Worker.Work", "slow", timeout=3)
            [connection] = world.server.providers
            assert connection.outstanding == 1
            pending = world.server.submit("Worker.Who", "", str)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert not pending.done
            worker.go_on.set()
            assert await pending.wait() == "worker"
            assert connection.outstanding == 0

    run_sockets(main)


def test_a_call_names_its_provider(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            await world.provide(Worker("a"), name="a", labels=["cpu", "region=eu"])
            await world.provide(Worker("b"), name="b", labels=["gpu", "region=eu"])
            await world.provide(Worker("c"), name="c", labels=["gpu", "region=us"])
            assert await who(world, 2, provider="b") == ["b", "b"]
            assert set(await who(world, 4, labels=["gpu"])) == {"b", "c"}
            assert await who(world, 2, labels=["gpu", "region=us"]) == ["c", "c"]
            assert await who(world, 2, labels={"region=eu"}, provider="a") == ["a", "a"]
            with pytest.raises(pool.NoProvider, match=r"that is 'd' is connected at /pool"):
                await who(world, provider="d", timeout=1)
            with pytest.raises(pool.NoProvider, match=r"has the labels cpu, gpu is connected"):
                await who(world, labels=["gpu", "cpu"], timeout=1)
            assert {each.identity: each.labels for each in world.server.providers} == {
                "a": {"cpu", "region=eu"},
                "b": {"gpu", "region=eu"},
                "c": {"gpu", "region=us"},
            }

    run_sockets(main)


def test_the_same_key_meets_the_same_provider(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            servings = {name: await world.provide(Worker(name), name=name) for name in "abc"}
            keys = [f"user {n}" for n in range(12)]
            before = {key: (await who(world, 2, key=key)) for key in keys}
            assert all(first == second for first, second in before.values())
            assert len({first for first, _ in before.values()}) == 3
            await servings["b"].close()
            after = {key: (await who(world, key=key))[0] for key in keys}
            for key in keys:
                if before[key][0] != "b":
                    assert after[key] == before[key][0]
                else:
                    assert after[key] in "ac"

    run_sockets(main)


def test_many_calls_over_several_connections(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            await world.provide(Echo(), connections=3)
            assert len(world.server.providers) == 3
            got: list[int] = []

            async def ask(number: int) -> None:
                got.append(await world.server.call("Echo.Number", number, int))

            async with trio.open_nursery() as nursery:
                for number in range(300):
                    nursery.start_soon(ask, number)
            assert sorted(got) == list(range(300))

    run_sockets(main)
