"""Calls that are submitted: in no task where a provider is free, and told where they are done."""

from __future__ import annotations

import gc
import weakref
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run, Turns, Unread
from tests.transports.pool.world import Echo, OpenPool, Worker, World
from wirecore import errors
from wirecore_trio import pool
from wirecore_trio.pool._calling_channel import CallingChannel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def usual(world: World, *methods: str) -> None:
    """Call *methods* once: what comes next is usual, and has no task where a provider is free."""
    for method in methods:
        await world.server.call(method, "usual", str)


def tasks_of(server: pool.PoolServer) -> int:
    """How many submitted calls run in tasks."""
    assert server._calls is not None
    return len(server._calls.child_tasks)


def counts_of(world: World) -> Any:
    """The calls of the only path."""
    [path] = world.server.state().paths.values()
    return path.calls.calls


@asynccontextmanager
async def echoing(open_pool: OpenPool, **options: Any) -> AsyncIterator[World]:
    """A pool whose provider echoes, and was called before."""
    async with open_pool(**options) as world:
        await world.provide(Echo())
        await usual(world, "Echo.Text")
        yield world


@asynccontextmanager
async def working(
    open_pool: OpenPool, provider: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[World, Worker]]:
    """A pool whose provider was called before, and works on what comes until it is to go on."""
    async with open_pool(**options) as world:
        worker = Worker()
        worker.go_on.set()
        await world.provide(worker, options=provider)
        await usual(world, "Worker.Work")
        worker.go_on = trio.Event()
        yield world, worker


# --- where they are done --------------------------------------------------------------------------


def test_many_at_a_time_without_a_task(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with echoing(open_pool) as world:
            done: pool.Done[str] = pool.Done()
            left = iter(range(500))
            submitted = 0

            def submit() -> None:
                nonlocal submitted
                for number in left:
                    world.server.submit("Echo.Text", str(number), str, done=done)
                    submitted += 1
                    break

            for _ in range(64):
                submit()
            assert tasks_of(world.server) == 0
            answers: list[str] = []
            while len(answers) < submitted:
                for call in await done.receive_many():
                    assert call.done
                    assert call.method == "Echo.Text"
                    assert call.result() == call.argument == await call.wait()
                    answers.append(call.result())
                    submit()
            assert sorted(answers, key=int) == [str(number) for number in range(500)]
            assert len(done) == 0
            assert counts_of(world).answered == 501

    run_sockets(main)


def test_in_the_order_in_which_they_end(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            slow, quick = Worker("slow"), Worker("quick")
            quick.go_on.set()
            slow.go_on.set()
            for worker in (slow, quick):
                await world.provide(worker, name=worker.name)
                await usual(world, "Worker.Work")
            await usual(world, "Worker.Work", "Worker.Work")
            slow.go_on = trio.Event()
            done: pool.Done[str] = pool.Done()
            calls = [world.server.submit("Worker.Work", str(n), str, done=done) for n in range(4)]
            quick_ones = [await done.receive(), await done.receive()]
            assert {call.result()[5:] for call in quick_ones} == {"quick"}
            slow.go_on.set()
            slow_ones = [call async for call in _first(done, 2)]
            assert {call.result()[5:] for call in slow_ones} == {"slow"}
            assert set(quick_ones + slow_ones) == set(calls)
            assert repr(done) == "<pool.Done with 0 calls>"

    run_sockets(main)


async def _first(done: pool.Done[str], number: int) -> AsyncIterator[pool.PendingCall[str]]:
    async for call in done:
        yield call
        number -= 1
        if not number:
            return


def test_failures_are_told_there_too(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with echoing(open_pool) as world:
            done: pool.Done[Any] = pool.Done()
            for _ in range(2):  # in a task, and without one
                unknown = world.server.submit("Echo.Nothing", "", str, done=done)
                assert await done.receive() is unknown
                with pytest.raises(errors.RpcError, match="can't find method"):
                    unknown.result()
            unsendable = world.server.submit("Echo.Text", {"a": int}, str, done=done)
            assert unsendable.done  # at once: nothing was sent
            assert await done.receive() is unsendable
            for _ in range(2):
                with pytest.raises(errors.InvalidGobType):
                    unsendable.result()
                with pytest.raises(errors.InvalidGobType):
                    await unsendable.wait()
            other = world.server.submit("Echo.Text", "a", int, done=done)
            assert await done.receive() is other
            with pytest.raises(errors.InvalidValue):
                other.result()
            nobody = world.server.submit("Echo.Text", "", provider="no", timeout=0.01, done=done)
            assert await done.receive() is nobody
            with pytest.raises(pool.NoProvider):
                nobody.result()
            assert counts_of(world).in_flight == 0

    run_sockets(main)


@pytest.mark.parametrize("own", [False, True])
def test_a_call_without_an_answer_in_time(open_pool: OpenPool, run_sockets: Run, own: bool) -> None:
    async def main() -> None:
        async with working(open_pool, call_timeout=60 if own else 0.05) as (world, worker):
            done: pool.Done[str] = pool.Done()
            keywords: Any = {"timeout": 0.05} if own else {}
            late = world.server.submit("Worker.Work", "late", str, done=done, **keywords)
            assert tasks_of(world.server) == 0
            assert await done.receive() is late
            with pytest.raises(errors.CallTimeout):
                late.result()
            assert counts_of(world).failed["timeout"] == 1
            worker.go_on.set()

    run_sockets(main)


def test_a_result_that_is_not_there_yet(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with echoing(open_pool) as world:
            pending = world.server.submit("Echo.Text", "a", str)
            with pytest.raises(errors.InvalidState, match="is under way: await"):
                pending.result()
            assert await pending.wait() == "a"
            wrong: Any = []
            with pytest.raises(TypeError, match="done must be"):
                world.server.submit("Echo.Text", "a", str, done=wrong)

    run_sockets(main)


def test_one_task_receives_and_loses_nothing_when_it_is_cancelled(
    open_pool: OpenPool, run_sockets: Run
) -> None:
    async def main() -> None:
        async with echoing(open_pool) as world:
            done: pool.Done[str] = pool.Done()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(done.receive)
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(trio.BusyResourceError):
                    await done.receive_many()
                nursery.cancel_scope.cancel()
            for cancelled in (done.receive, done.receive_many):
                call = world.server.submit("Echo.Text", "kept", str, done=done)
                with trio.CancelScope() as scope:
                    scope.cancel()
                    await cancelled()
                assert scope.cancelled_caught
                assert await done.receive() is call

    run_sockets(main)


def test_what_another_task_has_taken_meanwhile_is_waited_for_anew(
    open_pool: OpenPool, run_sockets: Run
) -> None:
    async def main() -> None:
        async with echoing(open_pool) as world:
            done: pool.Done[str] = pool.Done()

            def end_one() -> pool.PendingCall[str]:
                """A call that ends at once: it can't be sent."""
                return world.server.submit("Echo.Text", {"a": int}, str, done=done)

            for receive in (done.receive, done.receive_many):
                taken: list[object] = []

                async def take(receive: Any = receive, taken: list[object] = taken) -> None:
                    taken.append(await receive())

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(take)
                    await trio.testing.wait_all_tasks_blocked()
                    first = end_one()  # wakes the other task
                    assert await done.receive() is first
                    await trio.testing.wait_all_tasks_blocked()
                    assert not taken
                    second = end_one()
                assert taken in ([second], [[second]])

    run_sockets(main)


def test_who_only_ever_takes_what_is_there_lets_others_run(
    open_pool: OpenPool, run_sockets: Run
) -> None:
    async def main() -> None:
        async with echoing(open_pool) as world:
            done: pool.Done[str] = pool.Done()
            turns = Turns()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(turns.run)
                await trio.lowlevel.checkpoint()
                turns.count = 0
                for receive in (done.receive, done.receive_many) * 320:
                    world.server.submit("Echo.Text", {"a": int}, str, done=done)  # ends at once
                    await receive()
                assert 5 <= turns.count <= 30
                nursery.cancel_scope.cancel()

    run_sockets(main)


# --- what becomes of them -------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["safe", "always"])
def test_calls_whose_provider_is_lost(open_pool: OpenPool, run_sockets: Run, lost: str) -> None:
    async def main() -> None:
        async with open_pool(lost=lost) as world:
            first, second = Worker("first"), Worker("second")
            first.go_on.set()
            await world.provide(first, name="first", options={"max_attempts": 1})
            await usual(world, "Worker.Work")
            first.go_on = trio.Event()
            done: pool.Done[str] = pool.Done()
            submit = world.server.submit
            calls = [submit("Worker.Work", str(n), str, done=done) for n in range(2)]
            calls += [submit("Worker.Work", "2", str, done=done, timeout=50)]
            assert tasks_of(world.server) == 0
            await first.wait_begun(4)
            second.go_on.set()
            await world.provide(second, name="second")
            world.server.disconnect("first")
            ended = {await done.receive() for _ in calls}
            assert ended == set(calls)
            if lost == "always":
                assert {call.result() for call in calls} == {f"{n} by second" for n in range(3)}
            else:
                for call in calls:
                    with pytest.raises(errors.CallLost) as caught:
                        call.result()
                    assert caught.value.execution == "maybe_executed"
                assert second.begun == []
            assert counts_of(world).in_flight == 0
            assert counts_of(world).again == (3 if lost == "always" else 0)

    run_sockets(main)


@pytest.mark.parametrize("how", ["drain", "cancel"])
def test_more_than_are_ended_at_once_when_the_pool_stops(
    open_pool: OpenPool, run_sockets: Run, how: str
) -> None:
    async def main() -> None:
        many = {"max_attempts": 1, "max_handlers": 5000}
        async with working(open_pool, many, lost="always", max_pending_calls=5000) as (world, _):
            done: pool.Done[str] = pool.Done()
            calls = {world.server.submit("Worker.Work", "", str, done=done) for _ in range(2500)}
            if how == "drain":
                await world.server.drain(0)
        assert {await done.receive() for _ in calls} == calls
        for call in calls:
            with pytest.raises((errors.CallLost, errors.InvalidState)):
                call.result()
        assert len(done) == 0
        counts = counts_of(world)
        assert counts.in_flight == 0
        assert counts.again == 2500
        assert sum(counts.failed.values()) == 2500

    run_sockets(main)


@pytest.mark.parametrize("how", ["call", "submit"])
def test_an_interrupt_while_it_is_sent(open_pool: OpenPool, run_sockets: Run, how: str) -> None:
    @dataclass
    class Args:
        text: str

        def __getattribute__(self, name: str) -> Any:
            if name == "text":
                raise KeyboardInterrupt
            return super().__getattribute__(name)

    async def main() -> None:
        async with echoing(open_pool) as world:
            args = Args("is written")
            if how == "call":
                with pytest.raises(KeyboardInterrupt):
                    await world.server.call("Echo.Text", args, str)
            else:
                with pytest.raises(KeyboardInterrupt):
                    world.server.submit("Echo.Text", args, str)
            assert counts_of(world).in_flight == 0
            [provider] = world.server.providers
            assert provider.outstanding == 0
            assert await world.server.call("Echo.Text", "next", str) == "next"

    run_sockets(main)


def test_whom_a_failure_wakes_has_a_turn_before_it_is_read_on(
    open_pool: OpenPool, run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with echoing(open_pool) as world:
            with pytest.raises(errors.RpcError):
                await world.server.call("Echo.Fail", "usual", str)
            said: list[bool] = []
            received = CallingChannel.received

            def note(channel: CallingChannel, happened: Any) -> None:
                channel._pump.woke = False
                received(channel, happened)
                said.append(channel._pump.woke)

            monkeypatch.setattr(CallingChannel, "received", note)
            done: pool.Done[str] = pool.Done()
            world.server.submit("Echo.Fail", "nobody waits", str, done=done)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert (len(done), said) == (1, [False])
            await done.receive()
            world.server.submit("Echo.Fail", "one waits", str, done=done)
            await done.receive()
            pending = world.server.submit("Echo.Fail", "one waits", str)
            with pytest.raises(errors.RpcError):
                await pending.wait()
            assert said == [False, True, True]

    run_sockets(main)


def test_one_that_is_given_up(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with working(open_pool) as (world, worker):
            done: pool.Done[str] = pool.Done()
            pending = world.server.submit("Worker.Work", "job", str, done=done)
            await worker.wait_begun(2)
            async with trio.open_nursery() as nursery:

                async def wait() -> None:
                    with pytest.raises(errors.InvalidState, match="cancelled"):
                        await pending.wait()

                for _ in range(3):
                    nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                pending.cancel()
                pending.cancel()  # once is enough
            assert len(done) == 1
            assert await done.receive() is pending
            assert counts_of(world).failed["cancelled"] == 1
            [provider] = world.server.providers
            assert provider.outstanding == 1  # it is still at it
            worker.go_on.set()
            assert await world.server.call("Worker.Work", "next", str) == "next by worker"
            assert provider.outstanding == 0
            assert pending.done

    run_sockets(main)


def test_none_overtakes_those_that_wait(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool(max_provider_calls=1) as world:
            worker = Worker()
            worker.go_on.set()
            await world.provide(worker)
            await usual(world, "Worker.Work")
            done: pool.Done[str] = pool.Done()
            for number in range(20):
                keywords: Any = {"idempotent": True} if number % 3 == 1 else {}  # it has a task
                world.server.submit("Worker.Work", str(number), str, done=done, **keywords)
            ended = [await done.receive() for _ in range(20)]
            assert worker.begun == ["usual", *(str(number) for number in range(20))]
            assert [call.argument for call in ended] == worker.begun[1:]

    run_sockets(main)


@pytest.mark.parametrize("how", ["drain", "cancel"])
def test_a_pool_that_stops(open_pool: OpenPool, run_sockets: Run, how: str) -> None:
    async def main() -> None:
        async with working(open_pool) as (world, worker):
            pending = world.server.submit("Worker.Work", "job", str)
            await worker.wait_begun(2)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.server.drain, None if how == "drain" else 0)
                await trio.testing.wait_all_tasks_blocked(0.01)
                assert pending.done == (how == "cancel")
                worker.go_on.set()
            if how == "drain":
                assert await pending.wait() == "job by worker"
            else:
                with pytest.raises((errors.CallLost, errors.InvalidState)):
                    await pending.wait()

    run_sockets(main)


def test_call_backs_are_submitted_alike(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        def prepare(server: pool.PoolServer) -> None:
            server.bind("/pool")
            server.serve_callbacks("/back", Echo())

        async with (
            open_pool(prepare) as world,
            pool.Provider().connect_callbacks(world.url("/back"), wait=True) as client,
        ):
            tasks = len(client._nursery.child_tasks)
            done: pool.Done[str] = pool.Done()
            calls = [client.submit("Echo.Text", str(n), str, done=done) for n in range(50)]
            given_up = client.submit("Echo.Text", "no", str, done=done)
            unsendable = client.submit("Echo.Text", {"a": int}, str, done=done)
            assert len(client._nursery.child_tasks) == tasks
            given_up.cancel()
            ended = [await done.receive() for _ in range(52)]
            assert set(ended[:2]) == {given_up, unsendable}
            assert ended[2:] == calls
            assert [call.result() for call in calls] == [str(n) for n in range(50)]
            with pytest.raises(errors.InvalidState):
                given_up.result()
            with pytest.raises(errors.InvalidGobType):
                unsendable.result()
            with pytest.raises(TypeError, match="done must be"):
                client.submit("Echo.Text", "a", done=[])  # type: ignore[call-overload]

    run_sockets(main)


def test_who_waits_for_one_at_a_time_reads_it_in_place(
    open_pool: OpenPool, run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with echoing(open_pool) as world:
            rhythm = Unread(monkeypatch)
            done: pool.Done[str] = pool.Done()
            for number in range(3):
                world.server.submit("Echo.Text", str(number), str, done=done)
                assert (await done.receive()).result() == str(number)
            assert rhythm.asked >= 3
            rhythm.asked = 0
            assert await world.server.submit("Echo.Text", "alone", str).wait() == "alone"
            assert rhythm.asked

    run_sockets(main)


class Unsendable:
    """No value of gob or JSON."""


@pytest.mark.parametrize("how", ["call", "submit"])
def test_a_call_that_cant_be_sent_holds_nothing(
    open_pool: OpenPool, run_sockets: Run, how: str
) -> None:
    async def main() -> None:
        async with echoing(open_pool) as world:
            await usual(world, "Echo.Text")
            argument = Unsendable()
            gone = weakref.ref(argument)
            gc.disable()
            try:
                if how == "call":
                    with suppress(errors.LocalError):
                        await world.server.call("Echo.Text", argument, str)
                else:
                    pending = world.server.submit("Echo.Text", argument, str)
                    assert pending.done
                    del pending
                del argument
                assert gone() is None
            finally:
                gc.enable()
            assert world.server.providers[0].outstanding == 0

    run_sockets(main)
