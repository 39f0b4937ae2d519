"""A call or request that goes on by itself, as ``submit`` begins it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

import trio

from wirecore import errors

from ._flusher import current_flusher
from ._rhythm import current_rhythm, take_turn
from ._waiter import ANSWERED, Submitted

T = TypeVar("T")

#: What one that has to wait runs as. Cancelled before it begins, it sends nothing.
Call = Callable[[], Awaitable[Any]]


class Pending(Submitted, Generic[T]):
    """Goes on whether anybody waits for it or not; its outcome is kept as long as this object."""

    # What can be sent at once has no task: the channel that reads the answer settles it. The rest
    # runs in one, as ``call`` does; *_way* is the scope of that, and *_call* what it runs as. Else
    # *_way* is the timer of one that has a time of its own, of so many *_seconds*.

    __slots__ = ("__weakref__", "_call", "_seconds")

    _call: Call
    _seconds: float | None

    def __str__(self) -> str:
        """What it is, in a sentence."""
        raise NotImplementedError

    def __await__(self) -> NoReturn:
        raise TypeError(f"{self} isn't awaited itself: await pending.wait()")

    @property
    def _state(self) -> str:
        """How it stands, in a word or two."""
        outcome = self.outcome
        if outcome is None:
            return "under way"
        if isinstance(outcome, errors.InvalidState):
            return "cancelled"
        return "failed" if isinstance(outcome, BaseException) else "answered"

    @property
    def done(self) -> bool:
        """Whether it has ended: with a result, an error, or cancelled."""
        return self._is_over

    async def wait(self) -> T:
        """Its result, for any number of tasks. Cancelled, it goes on.

        A checkpoint, unless it comes within a moment, see ``Options.eager_wait``.

        Raises its error, InvalidState where it was cancelled: by :meth:`cancel`, or before it was
        sent as who makes it ended.
        """
        if self._is_over:
            await trio.lowlevel.checkpoint()
        else:
            await self._wait()
        return self.result()

    async def _wait(self) -> None:
        current_flusher().flush()  # it may be held, for others of this task
        rhythm = current_rhythm()
        if rhythm.turn_is_due():
            await take_turn(rhythm)
        while not self._is_over and rhythm.read_on():
            pass
        if not self._is_over:
            if self._ended is None:
                self._ended = trio.Event()
            await self._ended.wait()

    if TYPE_CHECKING:

        def result(self) -> T:
            """Its result, once it has ended. Raises as :meth:`wait`; InvalidState before that."""

    def _too_early(self) -> errors.InvalidState:
        return errors.InvalidState(f"{self} is under way: await wait(), or give submit a Done")

    def cancel(self) -> None:
        """Give it up: what is queued leaves the queue, the answer to the rest is dropped.

        It ends with InvalidState, and is told as done, too.
        """
        if isinstance(self._way, trio.CancelScope):
            self._way.cancel()
        elif not self._is_over:
            self._give_up()

    def _fail(self, error: BaseException | None) -> None:
        """It has ended with *error*; None: it was given up."""
        if error is None:
            error = self._cancelled()
        # Its frames, and those of what it came from, would hold the connection, and all it has.
        chain: BaseException | None = error
        while chain is not None and chain.__traceback__ is not None:
            chain.__traceback__ = None
            chain = chain.__cause__ or chain.__context__
        self._settle(error)

    def _cancelled(self) -> errors.InvalidState:
        return errors.InvalidState(f"{self} was cancelled")

    # --- in a task ------------------------------------------------------------------------------

    def _run_as(self, call: Call) -> None:
        """*call* is what it runs as, in a task that calls :meth:`_run`."""
        self._call = call
        if self._way is not None:
            self._way.cancel()  # the task sees to its time
        self._way = trio.CancelScope()

    async def _run(self) -> None:
        call, scope = self._call, self._way
        del self._call
        failure: BaseException | None = self._cancelled()
        try:
            with scope:
                self.answer = await call()
                failure = None
        except Exception as error:  # noqa: BLE001 - raised to whoever waits
            failure = error
        finally:
            if failure is None:
                self._settle(ANSWERED)
            else:
                self._fail(failure)


def start(
    pending: Pending[Any], call: Call, nursery: trio.Nursery, beginning: deque[Pending[Any]]
) -> None:
    """Run *pending* as *call* in a task of *nursery*.

    *beginning*: those that are about to begin. Tasks do in any order, and these so in that of
    their coming.
    """
    pending._run_as(call)
    nursery.start_soon(_run_next, beginning)
    beginning.append(pending)


async def _run_next(beginning: deque[Pending[Any]]) -> None:
    await beginning.popleft()._run()
