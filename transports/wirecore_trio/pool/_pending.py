"""A call that goes on by itself, as ``submit`` begins it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import trio

from wirecore import errors

T = TypeVar("T")


class PendingCall(Generic[T]):
    """A call that was submitted. *method*: what it calls.

    It goes on whether anybody waits for it or not; its outcome is kept for as long as this object.
    """

    def __init__(self, method: str, call: Callable[[], Awaitable[Any]]) -> None:
        self.method = method
        self._call = call
        self._done = trio.Event()
        self._scope = trio.CancelScope()
        self._result: Any = None
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<pool.PendingCall of {self.method}, {'done' if self.done else 'under way'}>"

    @property
    def done(self) -> bool:
        """Whether it has ended: with a result, an error, or cancelled."""
        return self._done.is_set()

    async def wait(self) -> T:
        """The call's result, for any number of tasks. Cancelled, the call goes on.

        Raises the call's error, InvalidState where it was cancelled: by :meth:`cancel`, or as the
        server ended.
        """
        await self._done.wait()
        if self._error is not None:
            raise self._error.with_traceback(None)  # or each wait would add to it
        found: T = self._result
        return found

    def cancel(self) -> None:
        """Give it up: one that is queued leaves the queue, the answer to another is dropped."""
        self._scope.cancel()

    async def _run(self) -> None:
        self._error = errors.InvalidState(f"the call of {self.method} was cancelled")
        try:
            with self._scope:
                await trio.lowlevel.checkpoint_if_cancelled()  # cancelled at once, it isn't sent
                self._result = await self._call()
                self._error = None
        except Exception as error:  # noqa: BLE001 - raised to whoever waits
            self._error = error
        finally:
            self._done.set()


async def run_next(submitted: deque[PendingCall[Any]]) -> None:
    """Run the first of *submitted*. Tasks begin in any order, and calls so in that of their coming.

    Each call that is appended has one task that is started.
    """
    await submitted.popleft()._run()
