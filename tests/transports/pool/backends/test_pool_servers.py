"""Several pool servers that are one: providers of one are called by way of another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from tests.transports.pool.world import Echo, OpenPool, Worker, World, until
from tests.transports.redis_server import RedisServer
from wirecore import gob
from wirecore.errors import (
    CallLost,
    CallTimeout,
    InvalidOption,
    InvalidValue,
    LocalLimitExceeded,
    RpcError,
)
from wirecore_trio import pool
from wirecore_trio.pool.backends import BackendUnavailable, RedisBackend

# coredis leaves the buffers of a connection that couldn't be opened to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed <MemoryObject:ResourceWarning",
    "ignore:Exception ignored in. <function MemoryObject:pytest.PytestUnraisableExceptionWarning",
)


@dataclass
class Square:
    side: int


@dataclass
class Drawing:
    """With an interface, in which a square goes under its registered name."""

    name: str
    shapes: list[Any]


def shapes() -> gob.Registry:
    """What the two ends of a call know."""
    names = gob.Registry()
    names.register("example.Square", Square)
    return names


class Drawings:
    """Gives back what it gets, and does what it mustn't."""

    @pool.exported
    def copy(self, drawing: Drawing) -> Drawing:
        return drawing

    @pool.exported
    def tear(self, drawing: Drawing) -> str:
        raise RpcError(f"{drawing.name} is torn")


Story: TypeAlias = Callable[[World, World], Awaitable[None]]
Two: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[World, World]]]


@pytest.fixture
def two(open_pool: OpenPool, prefix: str) -> Two:
    """``async with two(redis) as (here, there)``: two servers of one pool."""

    @asynccontextmanager
    async def opened(
        redis: RedisServer, codec: Any = "gob", **options: Any
    ) -> AsyncIterator[tuple[World, World]]:
        def prepare(server: pool.PoolServer) -> None:
            server.bind("/pool", codec=codec)

        def backend() -> RedisBackend:
            return RedisBackend(redis.url, prefix=prefix, lease=1.0)

        async with (
            open_pool(prepare, nodes=backend(), **options) as here,
            open_pool(prepare, nodes=backend(), **options) as there,
            AsyncExitStack() as stack,
        ):
            here.stack = there.stack = stack  # scopes end in the reverse order
            await until(lambda: all(world.server._node.is_joined for world in (here, there)))
            yield here, there

    return opened


async def knows(world: World, *identities: str) -> None:
    """Wait until *world* knows these providers of other nodes."""

    def known() -> list[str]:
        others = world.server.state().others
        return sorted(each.identity for paths in others.values() for each in paths.get("/pool", ()))

    await until(lambda: known() == sorted(identities))


@pytest.mark.parametrize("codec", ["gob", "json"])
def test_a_call_goes_over_two_servers(
    two: Two, run_real: Run, redis_for_all: RedisServer, codec: str
) -> None:
    kind = pool.Gob(shapes()) if codec == "gob" else codec

    async def main() -> None:
        async with two(redis_for_all, kind) as (here, there):
            await there.provide(Drawings(), Echo(), codec=kind, name="there")
            await knows(here, "there")
            call = here.server.call
            drawing = Drawing("d", [Square(3), "text", 2.5, None])
            copied = await call("Drawings.Copy", drawing, Drawing)
            if codec == "gob":
                assert copied == drawing
            else:  # which has no names for what is in an interface
                assert copied == Drawing("d", [{"Side": 3}, "text", 2.5, None])
            assert await call("Echo.Number", 7, int) == 7
            with pytest.raises(RpcError, match=r"^d is torn$"):
                await call("Drawings.Tear", drawing, str)
            with pytest.raises(RpcError, match=r"can't find method Echo\.None"):
                await call("Echo.None", 7, int)
            with pytest.raises(InvalidValue):
                await call("Echo.Number", 7, str)
            # Who has the provider counts its calls.
            path = there.server.state().paths["/pool"]
            assert (path.outstanding, path.calls.calls.in_flight) == (0, 0)
            assert path.calls.providers["there"].answered == 3
            assert path.calls.providers["there"].failed["error"] == 2

    run_real(main)


def test_who_is_called_is_chosen_among_all(
    two: Two, run_real: Run, redis_for_all: RedisServer
) -> None:
    async def main() -> None:
        async with two(redis_for_all) as (here, there):
            for world, name, label in (
                (here, "a", "cpu"),
                (here, "b", "gpu"),
                (there, "c", "gpu"),
                (there, "d", "cpu"),
            ):
                await world.provide(Worker(name), name=name, labels=[label])
            await knows(here, "c", "d")
            await knows(there, "a", "b")

            async def who(world: World, **wishes: Any) -> str:
                found: str = await world.server.call("Worker.Who", "", str, **wishes)
                return found

            for world in (here, there):
                for name in "abcd":
                    assert await who(world, provider=name) == name
                assert await who(world, labels=["gpu"], key="k") in "bc"
            # The same key meets the same provider, whoever asks.
            keys = [f"user {number}" for number in range(12)]
            met = {key: await who(here, key=key) for key in keys}
            assert met == {key: await who(there, key=key) for key in keys}
            assert len(set(met.values())) > 2

    run_real(main)


@pytest.mark.parametrize("leaver", ["here", "there"])
def test_a_key_whose_provider_leaves_goes_to_another(
    two: Two, run_real: Run, redis_for_all: RedisServer, leaver: str
) -> None:
    """Also a call that waits for it, as it has no place free."""

    async def main() -> None:
        async with two(redis_for_all, max_provider_calls=1) as (here, there):
            worlds = {"here": here, "there": there}
            workers = {name: Worker(name) for name in worlds}
            leaving = await worlds[leaver].provide(
                workers[leaver], name=leaver, options={"max_attempts": 1}
            )
            if leaver == "there":
                await knows(here, "there")
            calls = [here.server.submit("Worker.Work", f"{n}", str, key="k") for n in range(2)]
            await workers[leaver].wait_begun()
            other = ({*worlds} - {leaver}).pop()
            workers[other].go_on.set()
            await worlds[other].provide(workers[other], name=other)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(leaving.drain)
                assert await calls[1].wait() == f"1 by {other}"
                workers[leaver].go_on.set()
            assert await calls[0].wait() == f"0 by {leaver}"

    run_real(main)


def test_a_call_waits_where_all_see_it(two: Two, run_real: Run, redis_for_all: RedisServer) -> None:
    async def main() -> None:
        async with two(redis_for_all) as (here, there):
            waiting = here.server.submit("Worker.Who", "", str)
            cancelled = here.server.submit("Worker.Work", "cancelled")
            with pytest.raises(pool.NoProvider, match="no provider at /pool of any node"):
                await here.server.call("Worker.Work", "late", timeout=0.3)
            cancelled.cancel()
            worker = Worker("late")
            await there.provide(worker, name="late", concurrency=1)
            assert await waiting.wait() == "late"
            first = here.server.submit("Worker.Work", "1", str)
            await worker.wait_begun()
            second = there.server.submit("Worker.Work", "2", str)
            with trio.move_on_after(0.2):
                await second.wait()
            assert worker.begun == ["1"]  # one at a time, whoever asks
            worker.go_on.set()
            assert [await first.wait(), await second.wait()] == ["1 by late", "2 by late"]
            assert worker.begun == ["1", "2"]

    run_real(main)


@pytest.mark.parametrize(
    ("idempotent", "lost_is"), [(False, "safe"), (True, "safe"), (True, "never")]
)
def test_a_provider_of_another_node_is_lost(
    two: Two, run_real: Run, redis_for_all: RedisServer, idempotent: bool, lost_is: str
) -> None:
    async def main() -> None:
        async with two(redis_for_all, lost=lost_is) as (here, there):
            lost, other = Worker("lost"), Worker("other")
            await there.provide(lost, name="lost", options={"max_attempts": 1})
            await knows(here, "lost")
            pending = here.server.submit("Worker.Work", "job", str, idempotent=idempotent)
            await lost.wait_begun()
            other.go_on.set()
            await here.provide(other, name="other")
            there.server.providers[0].close()
            if idempotent and lost_is != "never":
                assert await pending.wait() == "job by other"
            else:
                with pytest.raises(CallLost) as caught:
                    await pending.wait()
                assert caught.value.execution == "maybe_executed"
                assert other.begun == []

    run_real(main)


def test_a_server_that_drains_takes_no_more_calls_of_others(
    two: Two, run_real: Run, redis_for_all: RedisServer
) -> None:
    async def main() -> None:
        async with two(redis_for_all) as (here, there):
            leaving, other = Worker("leaving"), Worker("other")
            await there.provide(leaving, name="leaving", options={"max_attempts": 1})
            await knows(here, "leaving")
            first = here.server.submit("Worker.Work", "first", str)
            await leaving.wait_begun()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(there.server.drain)
                await trio.testing.wait_all_tasks_blocked(0.05)
                second = here.server.submit("Worker.Work", "second", str)
                await trio.testing.wait_all_tasks_blocked(0.05)
                leaving.go_on.set()
                assert await first.wait() == "first by leaving"
            other.go_on.set()
            await here.provide(other, name="other")
            assert await second.wait() == "second by other"
            assert leaving.begun == ["first"]

    run_real(main)


def test_local_providers_go_on_while_redis_is_away(
    two: Two, run_real: Run, redis: RedisServer
) -> None:
    async def main() -> None:
        async with two(redis) as (here, there):
            await here.provide(Echo(), Worker("here"), name="here")
            await there.provide(Worker("there"), name="there")
            await knows(here, "there")
            redis.stop()
            for _ in range(20):
                assert await here.server.call("Echo.Text", "local", str) == "local"
            with pytest.raises((pool.NoProvider, BackendUnavailable)):
                await here.server.call("Worker.Who", "", str, provider="there", timeout=0.5)
            redis.start()
            assert await here.server.call("Worker.Who", "", str, provider="there") == "there"

    run_real(main)


def test_what_waits_goes_to_local_providers_while_redis_is_away(
    two: Two, run_real: Run, redis: RedisServer
) -> None:
    """What Redis has may be with another node by now: of that only what may be made twice."""

    async def main() -> None:
        async with two(redis) as (here, _):
            worker = Worker("here")
            await here.provide(worker, name="here", concurrency=1)
            first = here.server.submit("Worker.Work", "1", str)
            await worker.wait_begun()
            backend: Any = here.server._node._backend  # type: ignore[union-attr]
            twice = here.server.submit("Worker.Work", "2", str, idempotent=True)
            once = here.server.submit("Worker.Work", "3", str)
            calls = backend._submitter._pending
            await until(lambda: [each.entry is not None for each in calls.values()] == [True] * 2)
            redis.stop()
            await until(lambda: not backend._commands.is_open)
            after = here.server.submit("Worker.Work", "4", str)
            await until(lambda: len(calls) == 3)
            worker.go_on.set()
            for pending, job in ((first, "1"), (twice, "2"), (after, "4")):
                assert await pending.wait() == f"{job} by here"
            assert await here.server.call("Worker.Work", "5", str, key="k") == "5 by here"
            assert worker.begun == ["1", "2", "4", "5"]
            once.cancel()
            redis.start()
            await until(lambda: backend._commands.is_open)
            assert await here.server.call("Worker.Work", "6", str) == "6 by here"
            assert worker.begun == ["1", "2", "4", "5", "6"]

    run_real(main)


def test_a_server_that_cannot_reach_its_backend_yet(
    open_pool: OpenPool, run_real: Run, redis: RedisServer, prefix: str
) -> None:
    async def main() -> None:
        redis.stop()

        async with open_pool(nodes=RedisBackend(redis.url, prefix=prefix)) as world:
            waiting = world.server.submit("Echo.Text", "waits", str)
            await trio.sleep(0.1)
            await world.provide(Echo(), name="here")
            assert await waiting.wait() == "waits"
            assert world.server.state().others == {}

    run_real(main)


def test_a_call_that_was_early_goes_elsewhere_too(
    open_pool: OpenPool, run_real: Run, redis: RedisServer, prefix: str
) -> None:
    """It was made before the other nodes could be asked."""

    async def main() -> None:
        redis.stop()

        def backend() -> RedisBackend:
            return RedisBackend(redis.url, prefix=prefix)

        async with (
            open_pool(nodes=backend()) as here,
            open_pool(nodes=backend()) as there,
            AsyncExitStack() as stack,
        ):
            here.stack = there.stack = stack
            waiting = here.server.submit("Worker.Who", "", str)
            keyed = here.server.submit("Worker.Who", "", str, key="k")
            await trio.sleep(0.1)
            await there.provide(Worker("there"), name="there")
            redis.start()
            assert [await waiting.wait(), await keyed.wait()] == ["there", "there"]
            assert here.server.state().paths["/pool"].calls.calls.failed["cancelled"] == 0

    run_real(main)


def test_calls_that_wait_for_other_nodes_are_counted_and_bounded(
    open_pool: OpenPool, run_real: Run, redis: RedisServer, prefix: str
) -> None:
    async def main() -> None:
        nodes = RedisBackend(redis.url, prefix=prefix, max_waiting=3)
        async with open_pool(nodes=nodes) as world:
            await until(lambda: world.server._node is not None and world.server._node.is_joined)
            redis.stop()
            await until(lambda: not nodes._commands.is_open)
            submit = partial(world.server.submit, "Echo.Text", "x", timeout=0.5)
            waiting = [submit() for _ in range(3)]
            await trio.sleep(0.05)
            assert world.server.state().paths["/pool"].elsewhere == 3
            with pytest.raises(LocalLimitExceeded, match="max_waiting"):
                await submit().wait()
            waiting.pop().cancel()
            await trio.sleep(0.05)
            waiting.append(submit())
            for each in waiting:
                with pytest.raises(BackendUnavailable):
                    await each.wait()
            path = world.server.state().paths["/pool"]
            assert path.elsewhere == 0
            failed = path.calls.calls.failed
            assert (failed["lost"], failed["cancelled"]) == (3, 1)
            assert 'wirecore_pool_elsewhere_calls{path="/pool"} 0' in world.server.metrics()

    run_real(main)


def test_what_another_node_may_have_run_is_not_told_as_not_sent(
    two: Two, run_real: Run, redis_for_all: RedisServer
) -> None:
    async def main() -> None:
        async with two(redis_for_all) as (here, there):
            lost = Worker("lost")
            await there.provide(lost, name="lost", options={"max_attempts": 1})
            await knows(here, "lost")
            pending = here.server.submit("Worker.Work", "job", str, idempotent=True, timeout=2)
            await lost.wait_begun()
            there.server.providers[0].close()
            with pytest.raises(CallTimeout) as caught:
                await pending.wait()
            assert not isinstance(caught.value, pool.NoProvider)

    run_real(main)


def test_a_backend_that_is_none() -> None:
    with pytest.raises(TypeError, match="backend must be a pool's Backend, not str"):
        pool.PoolServer(backend="redis://localhost")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption):
        pool.PoolServer(backend=RedisBackend("http://localhost"))
