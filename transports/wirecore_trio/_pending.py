"""A call or request that goes on by itself, as ``submit`` begins it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio

from wirecore import errors

from ._flusher import current_flusher
from ._rhythm import current_rhythm

if TYPE_CHECKING:
    from ._done import Done
    from ._submitting import Submitting
    from ._waiter import Waiter

T = TypeVar("T")

#: What one that has to wait runs as. Cancelled before it begins, it sends nothing.
Call = Callable[[], Awaitable[Any]]


class Pending(Generic[T]):
    """Goes on whether anybody waits for it or not; its outcome is kept as long as this object.

    *name* and *value*: what was submitted.
    """

    # What can be sent at once has no task: the channel that reads the answer settles it. The rest
    # runs in one, as ``call`` does. There are many, so nothing is set before there is something to
    # say: *_way* is what it goes by now, its waiter over *_channel*, or the scope that *_call*
    # runs in; *_result* and *_error* are there once it is *_done*.

    __slots__ = (
        "__weakref__",
        "_call",
        "_channel",
        "_done",
        "_ended",
        "_error",
        "_name",
        "_result",
        "_told",
        "_value",
        "_way",
    )

    _call: Call
    _channel: Submitting
    _error: BaseException | None
    _result: Any

    def __init__(self, name: str, value: Any, told: Done[Any] | None) -> None:
        self._name = name
        self._value = value
        self._told = told
        self._done = False
        self._ended: trio.Event | None = None  # for those who wait
        self._way: Waiter | trio.CancelScope | None = None

    def __str__(self) -> str:
        """What it is, in a sentence."""
        raise NotImplementedError

    @property
    def done(self) -> bool:
        """Whether it has ended: with a result, an error, or cancelled."""
        return self._done

    async def wait(self) -> T:
        """Its result, for any number of tasks. Cancelled, it goes on.

        A checkpoint, unless it comes within a moment, see ``Options.eager_wait``.

        Raises its error, InvalidState where it was cancelled: by :meth:`cancel`, or as who makes
        it ended.
        """
        if self._done:
            await trio.lowlevel.checkpoint()
        else:
            await self._wait()
        return self.result()

    async def _wait(self) -> None:
        current_flusher().flush()  # it may be held, for others of this task
        rhythm = current_rhythm()
        while not self._done and rhythm.read_on():
            pass
        if not self._done:
            if self._ended is None:
                self._ended = trio.Event()
            await self._ended.wait()

    def result(self) -> T:
        """Its result, once it has ended. Raises as :meth:`wait`; InvalidState before that."""
        if not self._done:
            raise errors.InvalidState(f"{self} is under way: await wait(), or give submit a Done")
        if self._error is not None:
            raise self._error.with_traceback(None)  # or each time would add to it
        found: T = self._result
        return found

    def cancel(self) -> None:
        """Give it up: what is queued leaves the queue, the answer to the rest is dropped."""
        way = self._way
        if isinstance(way, trio.CancelScope):
            way.cancel()
        elif way is not None:
            self._leave().give_up(self, way)

    # --- asked over a channel -------------------------------------------------------------------

    def _answered(self, waiter: Waiter) -> None:
        """*waiter* has its outcome. What ``Callers`` call, where they would wake a task."""
        channel = self._leave()
        if self._ended is not None or (self._told is not None and self._told.is_awaited):
            channel.woke()
        try:
            result = waiter.unwrap()
        except Exception as error:  # noqa: BLE001 - raised to whoever waits
            channel.failed(self, waiter, error)
        else:
            self._settle(result, None)

    def _leave(self) -> Submitting:
        """The channel that it was asked over, which it has nothing to do with any more."""
        channel = self._channel
        del self._channel
        return channel

    # --- in a task ------------------------------------------------------------------------------

    def _run_as(self, call: Call) -> None:
        """*call* is what it runs as, in a task that calls :meth:`_run`."""
        self._call = call
        self._way = trio.CancelScope()

    async def _run(self) -> None:
        call, scope = self._call, self._way
        assert isinstance(scope, trio.CancelScope)
        del self._call
        error: BaseException | None = self._cancelled()
        result = None
        try:
            with scope:
                result = await call()
                error = None
        except Exception as failure:  # noqa: BLE001 - raised to whoever waits
            error = failure
        finally:
            self._settle(result, error)

    # --- the end --------------------------------------------------------------------------------

    def _fail(self, error: Exception | None) -> None:
        """It has ended with *error*; None: it was given up."""
        self._settle(None, self._cancelled() if error is None else error)

    def _cancelled(self) -> errors.InvalidState:
        return errors.InvalidState(f"{self} was cancelled")

    def _settle(self, result: Any, error: BaseException | None) -> None:
        """It has ended, with *result* or *error*."""
        self._way = None
        self._result = result
        # Its frames would hold the connection, and all that it has.
        self._error = None if error is None else error.with_traceback(None)
        self._done = True
        if self._told is not None:
            self._told._add(self)
        if self._ended is not None:
            self._ended.set()


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
