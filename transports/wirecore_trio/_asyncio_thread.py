"""An asyncio loop in a thread of its own, for as long as a trio run wants it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self

import trio

from ._bridge import AsyncioSide, TrioSide

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger("wirecore.bridge")

#: Seconds, beyond those that tasks get, for what the loop itself still has to end.
_LAST: Final = 5.0


class AsyncioThread:
    """A running loop, its thread, and both sides of the bridge; :meth:`start` makes it.

    *here* is trio's side, *there* the loop's. It ends with :meth:`stop`, or else with trio's run.
    """

    here: TrioSide
    there: AsyncioSide

    def __init__(
        self, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None, patience: float
    ) -> None:
        self._loop_factory = loop_factory
        self._patience = patience
        # Where somebody blocks the loop for ever, the program can end all the same.
        self._thread = threading.Thread(
            target=self._in_thread, name="wirecore-asyncio", daemon=True
        )
        self._opened = trio.Event()
        self._stopping = trio.Event()
        self._ended = trio.Event()
        self._over = trio.Event()
        self._failure: BaseException | None = None
        self._stop_serving: Callable[[], object]

    @classmethod
    async def start(
        cls, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None, patience: float
    ) -> Self:
        """Have a loop run. Raises what *loop_factory* raises.

        *patience*: seconds that tasks have to end when they are cancelled.
        """
        self = cls(loop_factory, patience)
        trio.lowlevel.spawn_system_task(self._host, name="wirecore bridge")
        with trio.CancelScope(shield=True):
            await self._opened.wait()
        if self._failure is not None:
            await self.stop()
            raise self._failure
        return self

    @property
    def ended(self) -> bool:
        """Whether it has ended, or is to."""
        return self._stopping.is_set() or self._over.is_set()

    async def stop(self) -> None:
        """Cancel what runs on the loop, end it, and wait for its thread; see *patience*."""
        self._stopping.set()
        with trio.CancelScope(shield=True):
            await self._over.wait()

    # --- in trio's run ----------------------------------------------------------------------------

    async def _host(self) -> None:
        """The task that carries out what comes from asyncio, up to the end of the loop."""
        try:
            # As long as the loop runs, what it asks for is done, at the end of trio's run as well.
            async with trio.open_nursery() as nursery:
                nursery.cancel_scope.shield = True
                self.here = TrioSide(nursery)
                trio.lowlevel.spawn_system_task(self._keep, name="wirecore bridge")
                self._begin()
                await self._over.wait()
                self.here.close()
                nursery.cancel_scope.cancel()
        except Exception:  # or trio's run would end with it
            logger.exception("what asyncio had asked of trio failed as it was cancelled")

    def _begin(self) -> None:
        try:
            self._thread.start()
        except RuntimeError as error:  # there are too many threads
            self._failure = error
            self._opened.set()

    async def _keep(self) -> None:
        """Wait until it is to end, and end it."""
        try:
            await self._stopping.wait()
        finally:
            with trio.CancelScope(shield=True):
                await self._opened.wait()
                await self._end()
                self._over.set()

    async def _end(self) -> None:
        if self._failure is None:
            self.there.tell(self._stop_serving)
            with trio.move_on_after(self._patience + _LAST):
                await self._ended.wait()
            if not self._ended.is_set():
                logger.error(
                    "the asyncio loop hasn't ended %g s after it was told to: something blocks it, "
                    "and its thread is left behind",
                    self._patience + _LAST,
                )
                self.there.close()
                return
        if self._thread.ident is not None:
            self._thread.join()  # it has said its last word

    # --- in the loop's thread ---------------------------------------------------------------------

    def _in_thread(self) -> None:
        import asyncio

        runner = asyncio.Runner(loop_factory=self._loop_factory)
        try:
            self.there = AsyncioSide(runner.get_loop())
        except BaseException as error:  # noqa: BLE001 - raised to who started it
            self._failure = error
            self.here.tell(self._opened.set)
            return
        left = True
        try:
            left = runner.run(self._serve())
        except BaseException:
            logger.exception("the asyncio loop has ended by itself")
        finally:
            self.there.close()
            if left:
                self.there.loop.close()  # to close the runner would wait for them
            else:
                runner.close()
            self.here.tell(self._ended.set)

    async def _serve(self) -> bool:
        """Run until :meth:`_end`; whether tasks are left that don't let themselves be cancelled."""
        import asyncio

        stopping = asyncio.Event()
        self._stop_serving = stopping.set
        self.here.tell(self._opened.set)
        await stopping.wait()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if not tasks:
            return False
        _, left = await asyncio.wait(tasks, timeout=self._patience)
        for task in left:
            logger.error("a task was cancelled, and goes on: it is left behind: %r", task)
        return bool(left)
