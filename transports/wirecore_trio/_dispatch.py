"""Running what users wrote: parked worker tasks for async handlers, threads for sync ones.

Starting a task for each request costs more than a small handler does; so a worker that has
finished parks, and is woken with the next job. Each job sees a fresh context, as a new task
would: what one handler puts into a contextvar isn't there for the next.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Final, Protocol
from weakref import WeakValueDictionary

import trio

#: Workers that stay parked; more come and go with the load.
_MAX_PARKED: Final = 256

#: Threads that all handlers together may have, if not told.
DEFAULT_THREADS: Final = 40


class Job(Protocol):
    """One run of a handler."""

    async def run(self) -> None:
        """Run it. Must not raise but for cancellation: a job's errors are its caller's."""


class Threads:
    """One peer's part of the threads: a limiter for ``trio.to_thread.run_sync``.

    At most *most* of its jobs run at once, and they ask for a thread of *everybody* only then:
    those over the bound wait, in their order, without a place in the others' queue. A place is
    given back when its thread has ended, however long ago the task was cancelled: blocking
    threads that a peer has left behind still count as its own.
    """

    __slots__ = ("__weakref__", "_everybody", "_own")

    def __init__(self, everybody: trio.CapacityLimiter, most: int) -> None:
        self._everybody = everybody
        self._own = trio.CapacityLimiter(most)

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Wait for a thread, first of the peer's own bound, then of everybody's."""
        await self._own.acquire_on_behalf_of(borrower)
        try:
            await self._everybody.acquire_on_behalf_of(borrower)
        except BaseException:
            self._own.release_on_behalf_of(borrower)
            raise

    def release_on_behalf_of(self, borrower: object) -> None:
        """The thread has ended."""
        self._everybody.release_on_behalf_of(borrower)
        self._own.release_on_behalf_of(borrower)


class Workers:
    """Tasks of *nursery* that run jobs; it must be entered by the one who creates this.

    *threads*: how many of its jobs may run in worker threads at once. They are counted here, so
    that handlers that block don't take the threads which name look-ups need. *share*: how many
    of these the jobs of one peer may take; None: all.
    """

    def __init__(
        self, nursery: trio.Nursery, *, threads: int = DEFAULT_THREADS, share: int | None = None
    ) -> None:
        self._threads = trio.CapacityLimiter(threads)
        self._share = threads if share is None else share
        # By peer and not by connection: who connects again has its old threads still.
        self._shares: WeakValueDictionary[bytes, Threads] = WeakValueDictionary()
        self._nursery = nursery
        self._parked: list[_Worker] = []
        self._context = contextvars.copy_context()

    @property
    def everybody(self) -> trio.CapacityLimiter:
        """What bounds the threads of all jobs together."""
        return self._threads

    def threads_of(self, peer: bytes) -> Threads:
        """The threads of *peer*. They are remembered while the result or one of them is in use."""
        threads = self._shares.get(peer)
        if threads is None:
            threads = self._shares[peer] = Threads(self._threads, self._share)
        return threads

    def start(self, job: Job) -> None:
        """Run *job* soon, in a task of its own for as long as it runs."""
        if self._parked:
            self._parked.pop().wake(job)
        else:
            # A task begins with a copy of its starter's context: of ours, not of a reader's.
            self._context.run(
                self._nursery.start_soon, _Worker(job).run, self._parked, self._context
            )


class _Worker:
    __slots__ = ("_job", "_task")

    def __init__(self, job: Job) -> None:
        self._job: Job | None = job
        self._task: trio.lowlevel.Task

    def wake(self, job: Job) -> None:
        self._job = job
        trio.lowlevel.reschedule(self._task)

    async def run(self, parked: list[_Worker], context: contextvars.Context) -> None:
        self._task = trio.lowlevel.current_task()
        abort = self._abort(parked)
        while self._job is not None:
            await self._job.run()
            self._job = None
            if len(parked) >= _MAX_PARKED:
                return
            parked.append(self)
            # Takes effect at the next resumption, which is the next job's beginning.
            self._task.context = context.copy()
            await trio.lowlevel.wait_task_rescheduled(abort)

    def _abort(
        self, parked: list[_Worker]
    ) -> Callable[[trio.lowlevel.RaiseCancelT], trio.lowlevel.Abort]:
        def abort(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            # Cancelled between its wake-up and its first step, a worker isn't parked any more.
            if self in parked:
                parked.remove(self)
            return trio.lowlevel.Abort.SUCCEEDED

        return abort
