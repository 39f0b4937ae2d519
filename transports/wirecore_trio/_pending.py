"""A call that goes on by itself, as ``submit`` begins it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio

from wirecore import errors

if TYPE_CHECKING:
    from .._waiter import Waiter
    from ._calling_channel import CallingChannel
    from ._done import Done

T = TypeVar("T")

#: What a call that has to wait runs as. Cancelled before it begins, it sends nothing.
Call = Callable[[], Awaitable[Any]]


class PendingCall(Generic[T]):
    """A call that was submitted. *method*: what it calls. *argument*: with what.

    It goes on whether anybody waits for it or not; its outcome is kept for as long as this object.
    """

    # Most calls find a free provider. Those have no task: the channel that reads the answer
    # settles them. The others run in one, as ``call`` does. There are many, so nothing is set
    # before there is something to say: *_way* is what a call goes by now, its waiter over
    # *_channel*, or the scope that *_call* runs in; *_result* and *_error* are there once it is
    # *_done*.

    __slots__ = (
        "__weakref__",
        "_call",
        "_channel",
        "_done",
        "_ended",
        "_error",
        "_result",
        "_told",
        "_way",
        "argument",
        "method",
    )

    _call: Call
    _channel: CallingChannel
    _error: BaseException | None
    _result: Any

    def __init__(self, method: str, argument: Any, told: Done[Any] | None) -> None:
        self.method = method
        self.argument = argument
        self._told = told
        self._done = False
        self._ended: trio.Event | None = None  # for those who wait
        self._way: Waiter | trio.CancelScope | None = None

    def __repr__(self) -> str:
        return f"<pool.PendingCall of {self.method}, {'done' if self.done else 'under way'}>"

    @property
    def done(self) -> bool:
        """Whether it has ended: with a result, an error, or cancelled."""
        return self._done

    async def wait(self) -> T:
        """The call's result, for any number of tasks. Cancelled, the call goes on.

        Raises the call's error, InvalidState where it was cancelled: by :meth:`cancel`, or as the
        server ended.
        """
        if self._done:
            await trio.lowlevel.checkpoint()
        else:
            if self._ended is None:
                self._ended = trio.Event()
            await self._ended.wait()
        return self.result()

    def result(self) -> T:
        """The result of a call that has ended. Raises as :meth:`wait`; InvalidState before that."""
        if not self._done:
            raise errors.InvalidState(
                f"the call of {self.method} is under way: await wait(), or give submit a Done"
            )
        if self._error is not None:
            raise self._error.with_traceback(None)  # or each time would add to it
        found: T = self._result
        return found

    def cancel(self) -> None:
        """Give it up: one that is queued leaves the queue, the answer to another is dropped."""
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

    def _leave(self) -> CallingChannel:
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

    def _cancelled(self) -> errors.InvalidState:
        return errors.InvalidState(f"the call of {self.method} was cancelled")

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


async def run_next(submitted: deque[PendingCall[Any]]) -> None:
    """Run the first of *submitted*. Tasks begin in any order, and calls so in that of their coming.

    Each call that is appended has one task that is started.
    """
    await submitted.popleft()._run()
