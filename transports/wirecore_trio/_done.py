"""Where submitted calls are told that have ended: Go's channel of calls that are done."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import trio

from .._rhythm import current_rhythm

if TYPE_CHECKING:
    from ._pending import PendingCall

T = TypeVar("T")

#: Calls that are handed out without a checkpoint.
_CREDIT: Final = 64


class Done(Generic[T]):
    """Calls that have ended, in the order in which they did, for the one task that takes them.

    Give it to ``submit`` as *done*, for any number of calls, of pools or of call-backs. It holds
    any number: how many are under way is up to who submits them::

        done = pool.Done()
        for number in range(64):
            server.submit("Arith.Square", number, int, done=done)
        async for call in done:
            print(call.argument, call.result())
            server.submit("Arith.Square", call.argument + 64, int, done=done)
    """

    __slots__ = ("_credit", "_ended", "_task")

    def __init__(self) -> None:
        self._ended: deque[PendingCall[T]] = deque()
        self._task: trio.lowlevel.Task | None = None
        self._credit = _CREDIT

    def __len__(self) -> int:
        """How many calls have ended and weren't taken."""
        return len(self._ended)

    def __repr__(self) -> str:
        return f"<pool.Done with {len(self)} calls>"

    async def receive(self) -> PendingCall[T]:
        """The next call that has ended, whether with a result or not. Cancelled, it lost none.

        A checkpoint when it must wait (for longer than a moment, see ``Options.eager_wait``), and
        now and then when it needn't. Raises trio.BusyResourceError where another task waits.
        """
        while not self._ended or self._credit <= 0:
            await self._wait()
        self._credit -= 1
        return self._ended.popleft()

    async def receive_many(self) -> list[PendingCall[T]]:
        """All calls that have ended, one at least. Otherwise as :meth:`receive`."""
        while not self._ended or self._credit <= 0:
            await self._wait()
        calls = list(self._ended)
        self._ended.clear()
        self._credit -= len(calls)
        return calls

    def __aiter__(self) -> Done[T]:
        return self

    async def __anext__(self) -> PendingCall[T]:
        """The next one, for ``async for``, which has no end."""
        return await self.receive()

    async def _wait(self) -> None:
        """Let others run, until there is a call; who looks may find that another has taken it."""
        if self._task is not None:
            raise trio.BusyResourceError("another task waits for these calls already")
        if self._ended:
            await trio.lowlevel.checkpoint()
            self._credit = _CREDIT
            return
        rhythm = current_rhythm()
        while not self._ended and rhythm.read_on():
            pass
        if self._ended:
            return
        self._task = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        self._credit = _CREDIT

    @property
    def is_awaited(self) -> bool:
        """Whether a task waits for the next call to end."""
        return self._task is not None

    def _add(self, call: PendingCall[Any]) -> None:
        """*call* has ended."""
        self._ended.append(call)
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)
