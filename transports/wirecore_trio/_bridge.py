"""Two loops in two threads, trio's and asyncio's: what one carries out and the other waits for.

Each thread runs the real thing, and what crosses between them is one call at a time: to begin it,
to cancel it, to tell that it is over. (trio's guest mode, or trio-asyncio, would put both into one
thread; but then one of the two isn't itself, and neither can be had where the other runs already.)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from ._crossing import Crossing, CutOff, Inbox

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger("wirecore.bridge")

T = TypeVar("T")


class _Side:
    """One of the two loops, as other threads see it."""

    name: str

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._closed = False

    def tell(self, call: Callable[[], object]) -> None:
        """Have *call* called in the loop's thread; nothing where nobody is there any more."""
        try:
            self._inbox.put(call)
        except CutOff as error:
            logger.debug("somebody isn't told any more: %s", error)

    def start(self, crossing: Crossing[Any]) -> None:
        """Carry *crossing* out, from any thread. Raises CutOff where the loop has ended."""
        self._inbox.put(partial(self._begin, crossing))

    def cancel(self, crossing: Crossing[Any]) -> None:
        """Cancel *crossing*, from any thread."""
        self.tell(partial(self._cancel, crossing))

    def close(self) -> None:
        """Carry out no more; in the loop's thread."""
        self._closed = True
        self._inbox.close()

    def _begin(self, crossing: Crossing[Any]) -> None:
        if self._closed:
            crossing.fail(self._cut_off())
        elif not crossing.over:
            self._carry_out(crossing)

    def _cut_off(self) -> CutOff:
        return CutOff(f"{self.name} has ended, or ends")

    def _carry_out(self, crossing: Crossing[Any]) -> None:
        raise NotImplementedError

    def _cancel(self, crossing: Crossing[Any]) -> None:
        raise NotImplementedError


class TrioSide(_Side):
    """The trio run that makes it; calls are carried out in tasks of *nursery*."""

    name = "trio's run"

    def __init__(self, nursery: trio.Nursery) -> None:
        token = trio.lowlevel.current_trio_token()
        super().__init__(Inbox(self.name, token.run_sync_soon))
        self._nursery = nursery

    def _carry_out(self, crossing: Crossing[Any]) -> None:
        crossing.handle = trio.CancelScope()
        try:
            crossing.context.run(self._nursery.start_soon, self._run, crossing)
        except RuntimeError:  # the nursery is closed
            crossing.fail(self._cut_off())

    def _cancel(self, crossing: Crossing[Any]) -> None:
        if crossing.handle is None:
            crossing.fail(self._cut_off())  # it never came here, and shan't be begun
        else:
            crossing.handle.cancel()

    async def _run(self, crossing: Crossing[Any]) -> None:
        try:
            with crossing.handle:
                crossing.succeed(await crossing.call())
        except BaseException as error:
            if _holds_cancellation(error):
                raise
            crossing.fail(error)  # whatever it is: it is raised to who waits
        finally:
            if not crossing.over:
                crossing.fail(self._cut_off())

    async def from_asyncio(
        self,
        home: AsyncioSide,
        call: Callable[[], Awaitable[T]],
        undo: Callable[[T], Awaitable[object]] | None = None,
    ) -> T:
        """Await *call* in trio's run; this is awaited on the loop of *home*.

        Cancelled, it cancels the call, and waits for its end; where that had returned already,
        *undo* gets what it returned. Raises what the call raises, also then, and CutOff.
        """
        waiter = AsyncioWaiter(home.loop)
        crossing = Crossing(call, partial(home.tell, waiter.wake))
        self.start(crossing)
        cancelled = await waiter.wait(partial(self.cancel, crossing))
        if cancelled is None:
            return crossing.result()
        if not crossing.returned:
            with suppress(CutOff):
                crossing.result()
        elif undo is not None:
            await undo(crossing.value)
        raise cancelled

    def from_thread(
        self,
        call: Callable[[], Awaitable[T]],
        undo: Callable[[T], Awaitable[object]] | None = None,
    ) -> T:
        """As :meth:`from_asyncio`, for a thread, which waits. What interrupts it cancels."""
        over = threading.Event()
        crossing = Crossing(call, over.set)
        try:
            self.start(crossing)
            over.wait()
        except CutOff:
            raise
        except BaseException:
            with suppress(CutOff):  # then nothing of it runs
                self._inbox.put(partial(self._cancel, crossing))
                over.wait()
            if undo is not None and crossing.returned:
                self.from_thread(partial(undo, crossing.value))
            raise
        return crossing.result()


class AsyncioSide(_Side):
    """An asyncio *loop*; calls are carried out in tasks of their own. Made in the loop's thread."""

    name = "the asyncio loop"

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(Inbox(self.name, loop.call_soon_threadsafe, loop.is_closed))
        self.loop = loop
        # asyncio itself holds its tasks weakly.
        self._running: dict[Crossing[Any], asyncio.Task[None]] = {}

    def _carry_out(self, crossing: Crossing[Any]) -> None:
        # Not create_task(context=...): loops of other makers needn't know that.
        task = crossing.context.run(self.loop.create_task, self._run(crossing))
        if not task.done():  # a loop may have its tasks begin at once
            self._running[crossing] = task

    def _cancel(self, crossing: Crossing[Any]) -> None:
        task = self._running.get(crossing)
        if task is None or self._closed:  # it may have been closed by another thread
            return
        if crossing.handle is None:  # it hasn't begun, and cancelled now it never would
            crossing.handle = False
        else:
            task.cancel()

    async def _run(self, crossing: Crossing[Any]) -> None:
        import asyncio

        wanted = crossing.handle is None
        crossing.handle = True
        try:
            if wanted:
                crossing.succeed(await crossing.call())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised to who waits
            crossing.fail(error)
        finally:
            self._running.pop(crossing, None)
            if not crossing.over:
                crossing.fail(CutOff("a task on asyncio was cancelled there"))

    def close(self) -> None:
        """Carry out no more, and wait for nothing; in the loop's thread, or when it has ended."""
        super().close()
        for crossing in list(self._running):
            crossing.fail(self._cut_off())

    async def from_trio(
        self, home: TrioSide, call: Callable[[], Awaitable[T]], *, patience: float
    ) -> T:
        """Await *call* on the asyncio loop; this is awaited in the trio run of *home*.

        Cancelled, it cancels the task there, and waits for its end, *patience* seconds at most:
        asyncio cancels once, and who ignores that goes on. Raises what the call raises, and
        CutOff.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        over = trio.Event()
        crossing = Crossing(call, partial(home.tell, over.set))
        self.start(crossing)
        try:
            await over.wait()
        except trio.Cancelled:
            self.cancel(crossing)
            with trio.CancelScope(shield=True, deadline=trio.current_time() + patience):
                await over.wait()
            if not crossing.over:
                logger.error(
                    "a task on asyncio was cancelled, and hasn't ended within %g s: it goes on, "
                    "and nobody waits for it",
                    patience,
                )
            elif not crossing.returned:
                with suppress(CutOff):
                    crossing.result()
            raise
        return crossing.result()


class AsyncioWaiter:
    """Where a task on asyncio waits until another thread says that something is over."""

    __slots__ = ("_future", "_loop", "_over")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._future: asyncio.Future[None] = loop.create_future()
        self._over = False

    def wake(self) -> None:
        """It is over; in the loop's thread."""
        self._over = True
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, on_cancel: Callable[[], object]) -> asyncio.CancelledError | None:
        """Wait to the end, whatever happens; the cancellation that came meanwhile, if one did.

        *on_cancel* is called when it comes.
        """
        import asyncio

        cancelled: asyncio.CancelledError | None = None
        while not self._over:
            try:
                await self._future
            except asyncio.CancelledError as error:
                if cancelled is None:
                    cancelled = error
                    on_cancel()
                if not self._over:
                    self._future = self._loop.create_future()
        return cancelled


def _holds_cancellation(error: BaseException) -> bool:
    """Whether *error* holds a cancellation of trio's that isn't caught yet."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(trio.Cancelled) is not None
    return isinstance(error, trio.Cancelled)
