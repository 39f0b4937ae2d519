"""trio in a thread, for programs on asyncio and for those without a loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from wirecore.errors import InvalidState
from wirecore_trio import websocket
from wirecore_trio.portal import AsyncioPortal, BlockingPortal, CutOff


@pytest.fixture
def run() -> Callable[[Callable[[AsyncioPortal], Awaitable[None]]], None]:
    """Run a story on asyncio, with a portal, whose thread has ended behind it."""

    def run_story(story: Callable[[AsyncioPortal], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(60), AsyncioPortal() as portal:
                await story(portal)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())
        assert threads() == 0

    return run_story


Run = Callable[[Callable[[AsyncioPortal], Awaitable[None]]], None]


def threads() -> int:
    """How many portals are open."""
    return sum(thread.name == "wirecore-trio" for thread in threading.enumerate())


class Manager:
    """A context manager of trio's that notes how it was left."""

    def __init__(self, swallow: bool = False) -> None:
        self.left: list[type[BaseException] | None] = []
        self._swallow = swallow

    async def __aenter__(self) -> str:
        await trio.lowlevel.checkpoint()
        self.nursery = trio.open_nursery()
        await self.nursery.__aenter__()  # left in the order of nurseries, or trio complains
        return "entered"

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        self.left.append(kind)
        await self.nursery.__aexit__(None, None, None)
        return self._swallow


async def echo(ws: websocket.WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def test_a_server_and_a_client_live_in_a_portal(run: Run) -> None:
    async def story(portal: AsyncioPortal) -> None:
        server = await portal.start(websocket.serve, echo, "127.0.0.1", 0)
        async with portal.entered(websocket.connect(f"ws://127.0.0.1:{server.port}/")) as ws:
            await portal.run(ws.send, "hello")
            assert await portal.run(ws.receive) == "hello"
        await portal.run(server.drain)

    run(story)


def test_calls_take_keywords_and_have_the_callers_context(run: Run) -> None:
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who")

    async def call(*args: int, **kwargs: int) -> Any:
        return args, kwargs, who.get()

    async def story(portal: AsyncioPortal) -> None:
        who.set("me")
        assert await portal.run(call, 1, a=2) == ((1,), {"a": 2}, "me")
        with pytest.raises(TypeError, match="without calling it"):
            await portal.run(call(1))  # type: ignore[arg-type]

    run(story)


def test_what_is_entered_is_left_as_its_block_is(run: Run) -> None:
    async def story(portal: AsyncioPortal) -> None:
        manager = Manager()
        async with portal.entered(manager) as value:
            assert value == "entered"
        with pytest.raises(ValueError, match="mine"):
            async with portal.entered(manager):
                raise ValueError("mine")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), portal.entered(manager):
                await asyncio.sleep(60)
        assert manager.left == [None, ValueError, asyncio.CancelledError]
        swallowing = Manager(swallow=True)
        async with portal.entered(swallowing):
            raise ValueError("nobody hears of it")
        assert swallowing.left == [ValueError]

    run(story)


def test_what_cant_be_entered_or_left_says_why(run: Run) -> None:
    @asynccontextmanager
    async def breaks(where: str) -> AsyncIterator[None]:
        if where == "entering":
            raise ValueError(where)
        yield
        raise ValueError(where)

    @asynccontextmanager
    async def breaks_within() -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails)
            yield

    async def fails() -> None:
        raise ValueError("within")

    async def story(portal: AsyncioPortal) -> None:
        with pytest.raises(ValueError, match="entering"):
            async with portal.entered(breaks("entering")):
                raise AssertionError("it was entered")
        with pytest.raises(ValueError, match="leaving"):
            async with portal.entered(breaks("leaving")):
                pass
        with pytest.raises(ExceptionGroup):
            async with portal.entered(breaks_within()):
                pass
        await portal.run(trio.sleep, 0)  # and the portal is as it was

    run(story)


def test_one_that_is_cancelled_while_it_leaves(run: Run) -> None:
    leaving = threading.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        yield
        leaving.set()
        await trio.sleep_forever()

    async def story(portal: AsyncioPortal) -> None:
        async def use() -> None:
            async with portal.entered(slow()):
                pass

        task = asyncio.create_task(use())
        await asyncio.to_thread(leaving.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(story)


def test_iterators_of_trio_are_read_on_asyncio(run: Run) -> None:
    async def story(portal: AsyncioPortal) -> None:
        send, receive = trio.open_memory_channel[int](3)
        for number in range(3):
            send.send_nowait(number)
        send.close()
        assert [item async for item in portal.iterate(receive)] == [0, 1, 2]

    run(story)


def test_what_was_started_and_fails_ends_the_run() -> None:
    async def fails(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        raise ValueError("it broke")

    async def main() -> None:
        async with AsyncioPortal() as portal:
            await portal.start(fails)
            with pytest.raises(CutOff):
                await portal.run(trio.sleep_forever)

    def without_loop() -> None:
        with BlockingPortal() as portal:
            portal.start(fails)
            with pytest.raises(CutOff):
                portal.run(trio.sleep_forever)

    with pytest.raises(ValueError, match="it broke"):
        asyncio.run(main())
    with pytest.raises(ValueError, match="it broke"):
        without_loop()
    assert threads() == 0


def test_a_portal_is_used_once_in_its_block_and_on_its_loop() -> None:
    portal = AsyncioPortal()

    async def main() -> None:
        with pytest.raises(InvalidState, match="isn't open"):
            await portal.run(trio.sleep, 0)
        async with portal:
            error = await asyncio.to_thread(asyncio.run, elsewhere())
            assert "on the loop that it was opened on" in error
        with pytest.raises(InvalidState, match="isn't open"):
            await portal.run(trio.sleep, 0)
        with pytest.raises(InvalidState, match="entered already"):
            await portal.__aenter__()

    async def elsewhere() -> str:
        with pytest.raises(InvalidState) as caught:
            await portal.run(trio.sleep, 0)
        return str(caught.value)

    asyncio.run(main())


def test_an_exception_of_the_block_cancels_what_runs() -> None:
    ended: list[str] = []

    async def endless(*, task_status: trio.TaskStatus[None]) -> None:
        try:
            task_status.started()
            await trio.sleep_forever()
        finally:
            ended.append("cancelled")

    async def main() -> None:
        async with AsyncioPortal() as portal:
            await portal.start(endless)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        asyncio.run(main())
    assert ended == ["cancelled"]
    assert threads() == 0


def test_a_loop_that_ends_without_leaving_is_told_so() -> None:
    def forget() -> None:
        loop = asyncio.new_event_loop()
        portal = AsyncioPortal()
        loop.run_until_complete(portal.__aenter__())
        threads_of_it.extend(each for each in threading.enumerate() if each.name == "wirecore-trio")
        loop.close()
        del portal
        gc.collect()

    threads_of_it: list[threading.Thread] = []
    with pytest.warns(ResourceWarning, match="wasn't closed"):
        forget()
    [thread] = threads_of_it
    thread.join(60)
    assert not thread.is_alive()


def test_threads_wait_at_a_blocking_portal() -> None:
    manager = Manager()
    with BlockingPortal() as portal:
        server = portal.start(websocket.serve, echo, "127.0.0.1", 0)
        with portal.entered(websocket.connect(f"ws://127.0.0.1:{server.port}/")) as ws:
            for message in ("one", "two"):
                portal.run(ws.send, message)
            found = portal.iterate(ws)
            assert [next(found), next(found)] == ["one", "two"]
        with pytest.raises(ValueError, match="mine"), portal.entered(manager):
            raise ValueError("mine")

        async def within() -> None:
            portal.run(trio.sleep, 0)

        with pytest.raises(InvalidState, match="trio's own thread"):
            portal.run(within)
        send, receive = trio.open_memory_channel[int](1)
        send.close()
        assert list(portal.iterate(receive)) == []
    assert manager.left == [ValueError]
    assert threads() == 0


def test_a_loop_of_another_make() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        async with AsyncioPortal() as portal:
            await portal.run(trio.sleep, 0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await portal.run(trio.sleep_forever)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    assert threads() == 0


#: Programs that wait until Ctrl-C comes.
WAITS = """
import trio
from wirecore_trio.portal import BlockingPortal

async def wait():
    print("waits", flush=True)
    try:
        await trio.sleep_forever()
    finally:
        print("cancelled", flush=True)

with BlockingPortal() as portal:
    portal.run(wait)
"""
WAITS_ON_ASYNCIO = (
    WAITS[: WAITS.index("with Blocking")].replace("Blocking", "Asyncio")
    + """
import asyncio

async def main():
    async with AsyncioPortal() as portal:
        await portal.run(wait)

asyncio.run(main())
"""
)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a signal for one process")
@pytest.mark.parametrize("program", [WAITS, WAITS_ON_ASYNCIO], ids=["no loop", "asyncio"])
def test_ctrl_c_ends_a_program_that_waits(program: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        try:
            process.send_signal(signal.SIGINT)
            try:
                out, errors = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                # CPython hears of a signal that comes just before its main thread waits only when
                # that is woken, and asyncio sets no wakeup_fd.
                process.send_signal(signal.SIGINT)
                out, errors = process.communicate(timeout=50)
        finally:
            process.kill()  # one that hangs would be waited for
    assert out == "cancelled\n"
    assert errors.endswith("KeyboardInterrupt\n")


def test_a_portal_that_is_left_open_keeps_no_program() -> None:
    program = """
import asyncio
from wirecore_trio.portal import AsyncioPortal

async def main():
    global portal
    portal = AsyncioPortal()
    await portal.__aenter__()

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "ResourceWarning: <AsyncioPortal, open> wasn't closed" in done.stderr
