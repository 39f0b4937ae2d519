"""Running what users wrote: parked worker tasks for async handlers, threads for sync ones.

Starting a task for each request costs more than a small handler does, and so does waking one. So
a worker that has finished parks; woken, it runs one job after another, as long as these end
without having to wait. The first that waits keeps the worker to itself until it has ended: so a
job is in one task from its first step to its last, and what it opens there (scopes, nurseries) is
its own. Those behind it then get a worker each.

Each job sees a fresh context, as a new task would: what one handler puts into a contextvar isn't
there for the next.
"""

from __future__ import annotations

import contextvars
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import trio

from wirecore._backend import default

from ._rhythm import current_rhythm, take_turn

if TYPE_CHECKING:
    from wirecore_py.jobs import Job, Jobs
else:
    Jobs = default.jobs.Jobs

#: Workers that stay parked; more come and go with the load.
_MAX_PARKED: Final = 256

#: Jobs that one worker begins before all other tasks have had their turn.
_IN_A_ROW: Final = 64

#: Threads that all handlers together may have, if not told.
DEFAULT_THREADS: Final = 40


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


class Workers(Jobs):
    """Tasks of *nursery* that run jobs; it must be entered by the one who creates this.

    *threads*: how many of its jobs may run in worker threads at once. They are counted here, so
    that handlers that block don't take the threads which name look-ups need. *share*: how many
    of these the jobs of one peer may take; None: all.
    """

    def __init__(
        self, nursery: trio.Nursery, *, threads: int = DEFAULT_THREADS, share: int | None = None
    ) -> None:
        super().__init__(contextvars.copy_context(), current_rhythm())
        self._threads = trio.CapacityLimiter(threads)
        self._share = threads if share is None else share
        # By peer and not by connection: who connects again has its old threads still.
        self._shares: WeakValueDictionary[bytes, Threads] = WeakValueDictionary()
        self._nursery = nursery
        self._parked: list[_Worker] = []

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

    def _wake(self) -> None:
        """One worker more is to see to the jobs."""
        if self._parked:
            trio.lowlevel.reschedule(self._parked.pop().task)
        else:
            # A task begins with a copy of its starter's context: of ours, not of a reader's.
            self._context.run(self._nursery.start_soon, _Worker(self).run)
        self._due += 1

    def _wake_for_all(self) -> None:
        """A worker for each job: these may have to wait, too, and none is to wait for another."""
        while self._due < len(self._jobs):
            self._wake()


class _Worker:
    """One task, parked where it has no job."""

    __slots__ = ("_workers", "task")

    task: trio.lowlevel.Task

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def __call__(self, _: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        """Cancelled while it is parked: what trio asks of an abort function."""
        self._workers._parked.remove(self)
        return trio.lowlevel.Abort.SUCCEEDED

    async def run(self) -> None:
        """See to jobs until too many workers have none."""
        workers = self._workers
        jobs, parked, rhythm = workers._jobs, workers._parked, workers._rhythm
        self.task = task = trio.lowlevel.current_task()
        clean = task.context
        job: Job | None
        rest: _Rest | None
        while True:
            workers._due -= 1
            # Where others are due as well they take the rest: all together must not take so many.
            left = 1 if workers._due else _IN_A_ROW
            try:
                while left:
                    left, job, trap = workers._begin(task, left)
                    if job is not None:
                        rest = _Rest(job, trap)
                        trap = None  # what passes through isn't kept
                        workers._wake_for_all()
                        await rest
                    elif left and rhythm.turn_is_due():
                        job = rest = None
                        task.context = clean
                        await take_turn(rhythm)
                        left = 1 if workers._due else _IN_A_ROW
                    else:
                        break
            except BaseException:
                # The others are to come to their first checkpoint, too: they are cancelled there.
                workers._wake_for_all()
                raise
            if jobs and not workers._due:
                workers._wake()  # all that is due otherwise comes between
            if len(parked) >= _MAX_PARKED:
                return
            # A parked worker keeps nothing of what its last job had.
            job = rest = None
            task.context = clean
            parked.append(self)
            await trio.lowlevel.wait_task_rescheduled(self)


class _Rest:
    """What is left of *job*, which has come to wait for *trap*; to be awaited.

    It holds nothing of what passes through. Who looks for the frames of a task, by the attributes
    of coroutines, finds the job's.
    """

    __slots__ = ("_begun", "_job", "_trap")

    def __init__(self, job: Job, trap: Any) -> None:
        self._job: Any = job
        self._trap = trap
        self._begun = False

    def __await__(self) -> Generator[Any, Any, None]:
        rest: Any = self
        return rest  # type: ignore[no-any-return]

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        if self._begun:
            return self._job.send(value)
        self._begun = True
        trap, self._trap = self._trap, None
        return trap

    def throw(self, *error: Any) -> Any:
        return self._job.throw(*error)

    def close(self) -> None:
        self._job.close()

    @property
    def cr_frame(self) -> Any:
        return self._job.cr_frame

    @property
    def cr_await(self) -> Any:
        return self._job.cr_await
