"""What crosses between two loops in two threads: calls, cancellation, ends, in every order."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import trio

from wirecore_trio._asyncio_thread import AsyncioThread
from wirecore_trio._bridge import AsyncioSide, TrioSide
from wirecore_trio._crossing import Crossing, CutOff, Inbox
from wirecore_trio._trio_thread import TrioThread

PATIENCE = 30.0


async def returns(value: Any) -> Any:
    return value


async def raises(error: BaseException) -> Any:
    raise error


# --- the inbox ------------------------------------------------------------------------------------


class Loop:
    """A loop that turns when it is told to."""

    def __init__(self) -> None:
        self.woken: list[Callable[[], None]] = []
        self.over = False
        self.inbox = Inbox("the loop", self._wake, lambda: self.over)

    def _wake(self, drain: Callable[[], None]) -> None:
        if self.over:
            raise RuntimeError("it has ended")
        self.woken.append(drain)

    def turn(self) -> None:
        woken, self.woken = self.woken, []
        for drain in woken:
            drain()


def test_one_wakeup_for_all_that_is_there() -> None:
    loop = Loop()
    done: list[int] = []
    for number in range(3):
        loop.inbox.put(partial(done.append, number))
    assert len(loop.woken) == 1
    loop.turn()
    assert done == [0, 1, 2]
    loop.inbox.put(partial(done.append, 3))
    assert len(loop.woken) == 1
    loop.turn()
    assert done == [0, 1, 2, 3]


def test_what_is_put_by_a_call_has_a_wakeup_of_its_own() -> None:
    loop = Loop()
    done: list[int] = []
    loop.inbox.put(lambda: loop.inbox.put(partial(done.append, 1)))
    loop.turn()
    assert done == []
    loop.turn()
    assert done == [1]


def test_a_wakeup_may_put_something_as_well() -> None:
    """As what the garbage collector finds then does, or a signal's handler."""
    done: list[int] = []
    woken: list[Callable[[], None]] = []

    def wake(drain: Callable[[], None]) -> None:
        woken.append(drain)
        if len(woken) == 1:
            inbox.put(partial(done.append, 2))

    inbox = Inbox("the loop", wake)
    inbox.put(partial(done.append, 1))
    for drain in woken:
        drain()
    assert done == [1, 2]


def test_a_loop_that_closes_makes_the_calls_that_are_there() -> None:
    loop = Loop()
    done: list[int] = []
    loop.inbox.put(partial(done.append, 1))
    loop.inbox.close()
    assert done == [1]
    with pytest.raises(CutOff, match="the loop has ended"):
        loop.inbox.put(partial(done.append, 2))
    loop.turn()
    assert done == [1]


def test_a_loop_that_ended_and_didnt_tell() -> None:
    loop = Loop()
    loop.inbox.put(lambda: None)
    loop.over = True
    with pytest.raises(CutOff):
        loop.inbox.put(lambda: None)
    closed = asyncio.new_event_loop()
    side = AsyncioSide(closed)
    closed.close()
    with pytest.raises(CutOff):
        side.start(Crossing(partial(returns, 1), lambda: None))
    side.tell(lambda: None)  # nobody is there: that is all right


def test_a_loop_whose_wakeup_fails_keeps_nothing() -> None:
    loop = Loop()
    done: list[int] = []
    inbox = Inbox("the loop", loop._wake)
    loop.over = True
    with pytest.raises(CutOff):
        inbox.put(partial(done.append, 1))
    inbox.close()
    assert done == []


#: In a process of its own, as what else runs in this one needn't bear being forked.
FORKS = """
import os, sys
from wirecore_trio._crossing import CutOff, Inbox

inbox = Inbox("the loop", lambda drain: None)
child = os.fork()
if not child:
    try:
        inbox.put(lambda: None)
    except CutOff as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform can't fork")
def test_a_forked_process_has_no_loop() -> None:
    command = [sys.executable, "-P", "-c", FORKS]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert "stayed behind when this process was forked" in done.stdout


# --- from asyncio to trio -------------------------------------------------------------------------


@contextmanager
def trio_thread() -> Iterator[TrioThread]:
    """A trio run in a thread, which has ended behind the block."""
    thread = TrioThread(lambda: None)
    try:
        yield thread
    finally:
        thread.close()
        thread.join()


def on_asyncio(story: Callable[[TrioSide, AsyncioSide], Awaitable[None]]) -> None:
    """Run *story* on asyncio, with both sides of a bridge to trio."""

    async def main() -> None:
        home = AsyncioSide(asyncio.get_running_loop())
        async with asyncio.timeout(60):
            await story(thread.side, home)
        home.close()
        assert home._running == {}

    with trio_thread() as thread:
        asyncio.run(main())


def test_asyncio_gets_values_and_errors_of_trio() -> None:
    async def story(there: TrioSide, home: AsyncioSide) -> None:
        assert await there.from_asyncio(home, partial(returns, 7)) == 7
        error = ValueError("mine")
        with pytest.raises(ValueError, match="mine") as caught:
            await there.from_asyncio(home, partial(raises, error))
        assert caught.value is error
        with pytest.raises(KeyboardInterrupt):
            await there.from_asyncio(home, partial(raises, KeyboardInterrupt()))
        many = [there.from_asyncio(home, partial(returns, number)) for number in range(500)]
        assert await asyncio.gather(*many) == list(range(500))

    on_asyncio(story)


def test_asyncio_cancels_and_waits_for_trio() -> None:
    async def story(there: TrioSide, home: AsyncioSide) -> None:
        begun = asyncio.Event()
        ended: list[str] = []

        async def endless() -> None:
            home.tell(begun.set)
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.01)
                ended.append("cleaned up")

        task = asyncio.create_task(there.from_asyncio(home, endless))
        await begun.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # who is impatient changes nothing
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["cleaned up"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await there.from_asyncio(home, trio.sleep_forever)

    on_asyncio(story)


def test_an_error_in_place_of_being_cancelled_reaches_asyncio() -> None:
    async def story(there: TrioSide, home: AsyncioSide) -> None:
        begun = asyncio.Event()

        async def endless() -> None:
            home.tell(begun.set)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("at its end")

        task = asyncio.create_task(there.from_asyncio(home, endless))
        await begun.wait()
        task.cancel()
        with pytest.raises(ValueError, match="at its end"):
            await task

    on_asyncio(story)


def test_what_returned_before_it_was_cancelled_is_undone() -> None:
    async def story(there: TrioSide, home: AsyncioSide) -> None:
        returned = threading.Event()
        undone: list[int] = []

        async def quick() -> int:
            returned.set()
            return 7

        async def undo(value: int) -> None:
            undone.append(value)

        task = asyncio.create_task(there.from_asyncio(home, quick, undo))
        await asyncio.sleep(0)
        returned.wait()  # the loop stands still meanwhile
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert undone == [7]

    on_asyncio(story)


def test_a_run_that_ends_cuts_off_who_waits() -> None:
    async def story() -> None:
        home = AsyncioSide(asyncio.get_running_loop())
        begun = asyncio.Event()

        async def endless() -> None:
            home.tell(begun.set)
            await trio.sleep_forever()

        with trio_thread() as thread:
            task = asyncio.create_task(thread.side.from_asyncio(home, endless))
            await begun.wait()
        with pytest.raises(CutOff):
            await task
        with pytest.raises(CutOff):
            await thread.side.from_asyncio(home, endless)

    asyncio.run(story())


def test_what_is_asked_of_a_run_that_is_just_ending() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            side = TrioSide(nursery)
            crossings = [Crossing(partial(returns, 1), lambda: None) for _ in range(2)]
            side.start(crossings[0])
            side.close()  # it came in time, and isn't begun any more
            with pytest.raises(CutOff):
                crossings[0].result()
            with pytest.raises(CutOff):
                side.start(crossings[1])
        late = TrioSide(nursery)
        late.start(crossings[1])
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(CutOff):
            crossings[1].result()

    trio.run(main)


# --- from threads to trio -------------------------------------------------------------------------


def test_threads_get_values_and_errors_of_trio() -> None:
    with trio_thread() as thread:
        assert thread.side.from_thread(partial(returns, 7)) == 7
        with pytest.raises(ValueError, match="mine"):
            thread.side.from_thread(partial(raises, ValueError("mine")))
    with pytest.raises(CutOff):
        thread.side.from_thread(partial(returns, 7))


class Interrupted(threading.Event):
    """An event whose first wait is interrupted, as Ctrl-C does it, once *when* has come."""

    when: threading.Event

    def wait(self, timeout: float | None = None) -> bool:
        if self.when in interrupts:
            interrupts.remove(self.when)
            self.when.wait()
            raise KeyboardInterrupt
        return super().wait(timeout)


interrupts: list[threading.Event] = []


@pytest.mark.parametrize("returns_before", [False, True])
def test_an_interrupt_cancels_what_the_thread_waits_for(
    returns_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    undone: list[int] = []
    ended: list[str] = []
    when = Interrupted.when = threading.Event()
    interrupts.append(when)

    async def undo(value: int) -> None:
        undone.append(value)

    async def call() -> int:
        when.set()
        if not returns_before:
            try:
                await trio.sleep_forever()
            finally:
                ended.append("cancelled")
        return 7

    with trio_thread() as thread:
        with monkeypatch.context() as patched:
            event = threading.Event
            patched.setattr("wirecore_trio._bridge.threading.Event", Interrupted)
            with pytest.raises(KeyboardInterrupt):
                thread.side.from_thread(call, undo)
        assert threading.Event is event
    assert (ended, undone) == (([], [7]) if returns_before else (["cancelled"], []))


def test_an_interrupt_before_the_call_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with trio_thread() as thread:
        with monkeypatch.context() as patched:

            def interrupted(crossing: Any) -> None:
                raise KeyboardInterrupt

            patched.setattr(thread.side, "start", interrupted)
            with pytest.raises(KeyboardInterrupt):
                thread.side.from_thread(partial(returns, 7))
        assert thread.side.from_thread(partial(returns, 7)) == 7


# --- from trio to asyncio -------------------------------------------------------------------------


def on_trio(story: Callable[[TrioSide, AsyncioSide], Awaitable[None]]) -> None:
    """Run *story* on trio, with both sides of a bridge to asyncio."""

    async def main() -> None:
        thread = await AsyncioThread.start(None, PATIENCE)
        with trio.fail_after(60):
            await story(thread.here, thread.there)
        await thread.stop()
        assert thread.there._running == {}

    trio.run(main)


def test_trio_gets_values_and_errors_of_asyncio() -> None:
    async def story(home: TrioSide, there: AsyncioSide) -> None:
        async def call(value: Any) -> Any:
            await asyncio.sleep(0)
            return value

        assert await there.from_trio(home, partial(call, 7), patience=PATIENCE) == 7
        error = ValueError("mine")
        with pytest.raises(ValueError, match="mine") as caught:
            await there.from_trio(home, partial(raises, error), patience=PATIENCE)
        assert caught.value is error

    on_trio(story)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks begin later there")
def test_tasks_of_a_loop_may_begin_at_once() -> None:
    def eager() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009
        return loop

    async def main() -> None:
        thread = await AsyncioThread.start(eager, PATIENCE)
        assert await thread.there.from_trio(thread.here, partial(returns, 7), patience=1) == 7
        await thread.stop()
        assert thread.there._running == {}

    trio.run(main)


def test_they_call_each_other_to_any_depth() -> None:
    async def story(home: TrioSide, there: AsyncioSide) -> None:
        async def on_loop(depth: int) -> int:
            if not depth:
                return 0
            return 1 + await home.from_asyncio(there, partial(in_run, depth - 1))

        async def in_run(depth: int) -> int:
            if not depth:
                return 0
            return 1 + await there.from_trio(home, partial(on_loop, depth - 1), patience=PATIENCE)

        assert await in_run(20) == 20

    on_trio(story)


def test_a_cancellation_goes_through_all_of_them() -> None:
    async def story(home: TrioSide, there: AsyncioSide) -> None:
        deepest = trio.Event()
        order: list[str] = []

        async def on_loop() -> None:
            try:
                await home.from_asyncio(there, innermost)
            finally:
                order.append("on the loop")

        async def innermost() -> None:
            deepest.set()
            try:
                await trio.sleep_forever()
            finally:
                order.append("innermost")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(there.from_trio, home, on_loop, patience=PATIENCE))
            await deepest.wait()
            nursery.cancel_scope.cancel()
        assert order == ["innermost", "on the loop"]

    on_trio(story)


def test_a_loop_that_is_stopped_cuts_off_who_waits() -> None:
    async def main() -> None:
        thread = await AsyncioThread.start(None, PATIENCE)
        begun = trio.Event()

        async def endless() -> None:
            thread.here.tell(begun.set)
            await asyncio.Event().wait()

        async def call() -> None:
            with pytest.raises(CutOff):
                await thread.there.from_trio(thread.here, endless, patience=PATIENCE)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await begun.wait()
            await thread.stop()
        with pytest.raises(CutOff):
            await thread.there.from_trio(thread.here, endless, patience=PATIENCE)

    trio.run(main)


def test_asyncio_isnt_imported_before_it_is_needed() -> None:
    code = (
        "import sys, wirecore_trio.rest, wirecore_trio.portal; sys.exit('asyncio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
