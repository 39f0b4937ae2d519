"""Work that goes on as long as a server serves on any address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import trio

from ._errors import alone

#: Does the work until it is cancelled; calls what it is given once it is under way.
Work: TypeAlias = Callable[[Callable[[], None]], Awaitable[None]]


class _Run:
    """One run: from a server's first address to its last."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.started = trio.Event()
        self.ended = trio.Event()
        self.failure: Exception | None = None

    async def watch(self) -> None:
        """Raise what has ended it."""
        await self.ended.wait()
        if self.failure is not None:
            raise self.failure.with_traceback(None)


class Companion:
    """Runs *work* beside a server, in a task called *name*."""

    def __init__(self, name: str, work: Work) -> None:
        self._name = name
        self._work = work
        self._addresses = 0
        self._run: _Run | None = None

    @property
    def is_started(self) -> bool:
        """Whether it runs, and is under way."""
        return self._run is not None and self._run.started.is_set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have it run, together with the other addresses that are served.

        Raises, within too, what the work raises.
        """
        if self._run is None:
            self._run = _Run()
            # No task of an address's: the others need it still when that one is cancelled.
            trio.lowlevel.spawn_system_task(self._keep, self._run, name=self._name)
        run = self._run
        self._addresses += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run.watch)
                yield
                nursery.cancel_scope.cancel()
        finally:
            self._addresses -= 1
            if not self._addresses:
                self._run = None
                run.scope.cancel()
            if run.scope.cancel_called:
                with trio.CancelScope(shield=True):
                    await run.ended.wait()

    async def wait_started(self) -> None:
        """Wait until it is under way. Within :meth:`running`."""
        assert self._run is not None
        await self._run.started.wait()

    async def _keep(self, run: _Run) -> None:
        try:
            with run.scope, alone():
                await self._work(run.started.set)
        except Exception as error:  # noqa: BLE001 - raised by those who watch
            run.failure = error
        finally:
            run.ended.set()
