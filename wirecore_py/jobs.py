"""Jobs, and how workers do one after another: twin of ``wirecore._jobs``.

A job is a coroutine that nobody has begun, or a :class:`Run`, which is as one, and cheaper: no
coroutine lies around the handler's, and a handler that never waits ends without an exception.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from types import CoroutineType
from typing import Any, Final, Protocol, TypeAlias

#: Stands for what a job waits for, where that was its last step.
ENDED: Final = object()


class Handlers(Protocol):
    """What runs are of: it calls handlers, and is told what becomes of them."""

    def call(self, route: Any, message: Any) -> Awaitable[Any]:
        """Call *route*'s handler with *message*. What it raises is as what the handler raises."""

    def answer(self, route: Any, message: Any, result: Any) -> None:
        """The handler returned *result*. What this raises is as what the handler raises."""

    def fail(self, route: Any, message: Any, error: Exception) -> None:
        """The handler raised *error*."""

    def ended(self, message: Any) -> None:
        """A run that had begun is through: its handler was answered, or failed."""

    def cancelled(self, message: Any) -> None:
        """A run that had begun is through, as its task was cancelled, and all others will be."""


async def _awaiting(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _trap_of(trap: Any) -> Any:
    if trap is ENDED:
        raise StopIteration
    return trap


class Run:
    """A handler's run, of *handlers*: that of *route*, with *message*."""

    __slots__ = ("_coroutine", "_handlers", "_message", "_route")

    def __init__(self, handlers: Handlers, route: Any, message: Any) -> None:
        self._handlers = handlers
        self._route = route
        self._message = message
        self._coroutine: Any = None

    def step(self, value: Any) -> Any:
        """Go on with *value*: what the handler waits for now, or :data:`ENDED`."""
        return self._go_on(value, None)

    def _go_on(self, value: Any, thrown: tuple[Any, ...] | None) -> Any:
        handlers, route, message = self._handlers, self._route, self._message
        try:
            try:
                if self._coroutine is None:
                    made = handlers.call(route, message)
                    self._coroutine = made if type(made) is CoroutineType else _awaiting(made)
                try:
                    if thrown is not None:
                        return self._coroutine.throw(*thrown)
                    return self._coroutine.send(value)
                except StopIteration as stop:
                    result = stop.value
                handlers.answer(route, message, result)
            except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
                handlers.fail(route, message, error)
        except BaseException:
            self._coroutine = self._message = None
            handlers.cancelled(message)
            raise
        # Behind all that: others may begin now, and see no exception of this one.
        self._coroutine = self._message = None
        handlers.ended(message)
        return ENDED

    def __await__(self) -> Run:
        """As a coroutine's: for who has something of his own around it."""
        return self

    def __iter__(self) -> Run:
        """See ``__await__``."""
        return self

    def __next__(self) -> Any:
        """See ``__await__``."""
        return self.send(None)

    def send(self, value: Any) -> Any:
        """As a coroutine's."""
        return _trap_of(self._go_on(value, None))

    def throw(self, *error: Any) -> Any:
        """As a coroutine's."""
        return _trap_of(self._go_on(None, error))

    def close(self) -> None:
        """As a coroutine's: one that was never begun, or has ended, has nothing to end."""
        coroutine, message = self._coroutine, self._message
        if coroutine is not None:
            self._coroutine = self._message = None
            try:
                coroutine.close()
            finally:
                self._handlers.cancelled(message)

    # Who looks for a task's frames finds the handler's.

    @property
    def cr_frame(self) -> Any:
        """As a coroutine's."""
        return None if self._coroutine is None else self._coroutine.cr_frame

    @property
    def cr_await(self) -> Any:
        """As a coroutine's."""
        return None if self._coroutine is None else self._coroutine.cr_await


#: Raises nothing but cancellation: all else is its caller's.
Job: TypeAlias = Coroutine[Any, Any, None] | Run


class Jobs:
    """Jobs that wait for a worker. Each begins in a copy of *context*, as a new task would.

    *rhythm*: that of the run, whose ``read_on`` may bring more jobs in place. Who derives has
    ``_wake``, which has one worker more see to them, and counts it in *_due*.
    """

    __slots__ = ("_context", "_due", "_jobs", "_reading", "_rhythm", "_waiting")

    def __init__(self, context: Context, rhythm: Any) -> None:
        self._context = context
        self._rhythm = rhythm
        self._jobs: deque[Job] = deque()
        self._due = 0  # workers that were woken and haven't had their turn
        self._reading = False  # a worker reads in place, and does what comes
        self._waiting = False  # the last job to begin had to wait

    def run_here(self, handler: Callable[[Any], Any], argument: Any) -> Any:
        """What *handler* makes of *argument*, in a copy of the context that is there."""
        return copy_context().run(handler, argument)

    def start(self, job: Job) -> bool:
        """Run *job* soon, in a task that is its own from when it first waits.

        Jobs begin in the order in which they are started. True where a task waits for its turn
        then; False where the one that has its turn goes on with *job*.
        """
        self._jobs.append(job)
        if self._reading:
            return False
        if not self._due or self._waiting:
            try:
                self._wake()
            except BaseException:
                self._jobs.pop().close()
                raise
        return True

    def _begin(self, task: Any, most: int) -> tuple[int, Job | None, Any]:
        """Do up to *most* jobs as *task*, one after another, until one has to wait.

        Where none is left it reads on; what comes so isn't counted. Returned are how many more it
        might be, the one that waits, and what for; None: none does.
        """
        jobs = self._jobs
        while most:
            if not jobs:
                if not self._read_on():
                    break
                most += len(jobs)  # who reads in place keeps to the loop's turn
            most -= 1
            job = jobs.popleft()
            context = self._context.copy()
            task.context = context  # from when the task goes on, unless the job changes it
            if type(job) is Run:
                trap = context.run(job.step, None)
            else:
                try:
                    trap = context.run(job.send, None)
                except StopIteration:
                    trap = ENDED
            if trap is not ENDED:
                self._waiting = True
                return most, job, trap
            self._waiting = False
        return most, None, None

    def _read_on(self) -> bool:
        """Read in place, where that pays, for who would park else: whether it has brought jobs."""
        self._reading = True
        try:
            while not self._jobs and self._rhythm.read_on():
                pass
        finally:
            self._reading = False
        return bool(self._jobs)

    def _wake(self) -> None:
        """See the class."""
        raise NotImplementedError
