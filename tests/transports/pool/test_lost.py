"""Providers that vanish, leave, and are cut off; pools that stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.pool.world import Echo, OpenPool, Worker, World
from wirecore import errors
from wirecore_trio import pool


@asynccontextmanager
async def at_work(
    world: World, worker: Worker, **keywords: Any
) -> AsyncIterator[pool.PendingCall[str]]:
    """A call that *worker* has begun, who dials only once."""
    await world.provide(worker, name=worker.name, options={"max_attempts": 1})
    pending = world.server.submit("Worker.Work", "job", str, **keywords)
    await worker.wait_begun()
    yield pending


def of(world: World, name: str) -> pool.ProviderConnection:
    """The connection of the provider *name*."""
    [found] = [each for each in world.server.providers if each.identity == name]
    return found


def test_a_call_that_may_have_run_fails(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world, at_work(world, Worker("first")) as pending:
            second = Worker("second")
            await world.provide(second)
            of(world, "first").close()
            with pytest.raises(errors.CallLost) as caught:
                await pending.wait()
            assert caught.value.execution == "maybe_executed"
            assert second.begun == []

    run_sockets(main)


@pytest.mark.parametrize("how", ["idempotent", "always"])
def test_a_call_that_may_run_twice_is_queued_again(
    open_pool: OpenPool, run_sockets: Run, how: str
) -> None:
    async def main() -> None:
        lost = "always" if how == "always" else "safe"
        keywords = {"idempotent": True} if how == "idempotent" else {}
        async with (
            open_pool(lost=lost) as world,
            at_work(world, Worker("first"), **keywords) as pending,
        ):
            of(world, "first").close()
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert not pending.done
            second = Worker("second")
            second.go_on.set()
            await world.provide(second)
            assert await pending.wait() == "job by second"

    run_sockets(main)


@pytest.mark.parametrize("end", ["its time", "the pool"])
def test_what_may_have_run_is_never_told_as_not_sent(
    open_pool: OpenPool, run_sockets: Run, end: str
) -> None:
    async def main() -> None:
        async with (
            open_pool() as world,
            at_work(world, Worker("first"), idempotent=True, timeout=5) as pending,
        ):
            of(world, "first").close()
            await trio.testing.wait_all_tasks_blocked(0.05)
            if end == "its time":
                with pytest.raises(errors.CallTimeout, match="after the one was lost") as late:
                    await pending.wait()
                assert not isinstance(late.value, pool.NoProvider)
            else:
                await world.server.close()
                with pytest.raises(errors.CallLost, match="shut down") as lost:
                    await pending.wait()
                assert lost.value.execution == "maybe_executed"

    run_sockets(main)


def test_never_twice(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with (
            open_pool(lost="never") as world,
            at_work(world, Worker("first"), idempotent=True) as pending,
        ):
            of(world, "first").close()
            with pytest.raises(errors.CallLost):
                await pending.wait()

    run_sockets(main)


def test_a_provider_that_leaves_finishes_what_it_has(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            worker, other = Worker("leaving"), Worker("other")
            serving = await world.provide(worker, name="leaving")
            pending = world.server.submit("Worker.Work", "job", str)
            await worker.wait_begun()
            await world.provide(other)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serving.drain)
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert of(world, "leaving").leaving
                for _ in range(3):
                    assert await world.server.call("Worker.Who", "", str) == "other"
                assert not serving.closed
                worker.go_on.set()
            assert await pending.wait() == "job by leaving"
            assert serving.closed
            assert serving.error is None
            assert len(world.server.providers) == 1

    run_sockets(main)


def test_a_connection_is_drained_by_the_pool(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            worker = Worker("old")
            serving = await world.provide(worker, name="old")
            pending = world.server.submit("Worker.Work", "job", str)
            await worker.wait_begun()
            old = of(world, "old")
            old.drain()
            with pytest.raises(pool.NoProvider):
                await world.server.call("Worker.Who", "", timeout=1)
            worker.go_on.set()
            assert await pending.wait() == "job by old"
            await old.wait_closed()
            await serving.wait_connected()  # it dials again, as nobody told it not to
            assert await world.server.call("Worker.Who", "", str) == "old"

    run_sockets(main)


def test_a_call_that_ends_each_provider_fails_at_last_and_is_counted_once(
    open_pool: OpenPool, run_sockets: Run
) -> None:
    async def main() -> None:
        async with open_pool(lost="always") as world:

            class Deadly:
                @pool.exported
                async def work(self, _: str) -> None:
                    for provider in world.server.providers:
                        provider.close()
                    await trio.sleep_forever()

            await world.provide(Deadly(), options={"delay": 0, "max_delay": 0})
            with pytest.raises(errors.CallLost):
                await world.server.call("Deadly.Work", "", timeout=None)
            [path] = world.server.state().paths.values()
            counts = path.calls.calls
            assert (counts.again, counts.failed["lost"], counts.in_flight) == (9, 1, 0)

    run_sockets(main)


@pytest.mark.parametrize("submitted", [False, True])
def test_a_pool_that_stops_does_not_wait_for_what_was_given_up(
    open_pool: OpenPool, run_sockets: Run, submitted: bool
) -> None:
    async def main() -> None:
        worker = Worker()
        async with trio.open_nursery() as nursery, open_pool() as world:
            await world.provide(worker)
            await world.server.call("Worker.Who", "", str)
            scope = trio.CancelScope()

            async def call() -> None:
                with scope:
                    await world.server.call("Worker.Work", "job", str)

            if submitted:
                pending = world.server.submit("Worker.Work", "job", str)
            else:
                nursery.start_soon(call)
            await worker.wait_begun()
            nursery.start_soon(world.server.drain, None)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert len(world.server.providers) == 1
            if submitted:
                pending.cancel()
            else:
                scope.cancel()
            await world.server.wait_closed()

    run_sockets(main)


def test_a_pool_stops_when_all_is_answered(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        worker = Worker()
        async with open_pool() as world, at_work(world, worker) as pending:
            queued = world.server.submit("Worker.Work", "queued", str, provider="late")
            await trio.testing.wait_all_tasks_blocked(0.05)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.server.drain, None)
                await trio.testing.wait_all_tasks_blocked(0.05)
                with pytest.raises(errors.InvalidState, match="shut down"):
                    await world.server.call("Worker.Who", "")
                assert (await world.http("/pool"))[0] == "HTTP/1.1 503 Service Unavailable"
                worker.go_on.set()
                assert await pending.wait() == "job by worker"
                assert len(world.server.providers) == 1  # somebody still waits
                queued.cancel()
            await world.server.wait_closed()
            with pytest.raises(errors.InvalidState, match="shut down"):
                await world.server.serve("127.0.0.1", 0)

    run_sockets(main)


def test_the_grace_of_a_pool_ends(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world, at_work(world, Worker()) as pending:
            before = trio.current_time()
            await world.server.drain(4)
            assert 4 <= trio.current_time() - before < 5
            with pytest.raises((errors.CallLost, errors.InvalidState)):
                await pending.wait()

    run_sockets(main)


def test_a_pool_that_comes_back(open_pool: OpenPool, run_sockets: Run, backend: object) -> None:
    async def main() -> None:
        async with open_pool() as world:
            serving = await world.provide(Echo())
            events = serving.events()
            world.server.providers[0].close()
            kinds = [(await anext(events)).kind for _ in range(2)]
            assert kinds == [pool.Happening.DISCONNECTED, pool.Happening.CONNECTED]
            assert await world.server.call("Echo.Text", "again", str) == "again"

    run_sockets(main)
