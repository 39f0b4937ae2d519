"""Where what was submitted is told that has ended: Go's channel of calls that are done."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Generic, Self, TypeVar

import trio

from wirecore._backend import default

from ._flusher import current_flusher
from ._pending import Pending
from ._rhythm import current_rhythm, take_turn
from ._waiter import Told

come = default.submitting.come

AnyPending = TypeVar("AnyPending", bound=Pending[Any])

#: As many are handed out without a checkpoint.
_CREDIT: Final = 64


class Done(Told, Generic[AnyPending]):
    """What has ended, in the order in which it did, for the one task that takes it."""

    __slots__ = ("_credit",)

    _ended: deque[AnyPending]

    def __init__(self) -> None:
        super().__init__(trio.lowlevel.reschedule)
        self._credit = _CREDIT

    def __len__(self) -> int:
        """How many have ended and weren't taken."""
        return len(self._ended)

    async def receive(self) -> AnyPending:
        """The next one that has ended, whether with a result or not. Cancelled, it lost none.

        A checkpoint when it must wait (for longer than a moment, see ``Options.eager_wait``), and
        now and then when it needn't. Raises trio.BusyResourceError where another task waits.
        """
        while not self._ended or self._credit <= 0:
            if not come(self):
                await self._wait()
        self._credit -= 1
        return self._ended.popleft()

    async def receive_many(self) -> list[AnyPending]:
        """All that have ended, one at least. Otherwise as :meth:`receive`."""
        while not self._ended or self._credit <= 0:
            if not come(self):
                await self._wait()
        ended = list(self._ended)
        self._ended.clear()
        self._credit -= len(ended)
        return ended

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AnyPending:
        """The next one, for ``async for``, which has no end."""
        return await self.receive()

    async def _wait(self) -> None:
        """Let others run, until one has ended; who looks may find that another has taken it."""
        self._check_alone()
        if self._ended:
            await trio.lowlevel.checkpoint()
            self._credit = _CREDIT
            return
        current_flusher().flush()  # this task adds nothing to what it has submitted
        rhythm = current_rhythm()
        if rhythm.turn_is_due():
            await take_turn(rhythm)
            self._credit = _CREDIT
            self._check_alone()
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

    def _check_alone(self) -> None:
        if self._task is not None:
            raise trio.BusyResourceError(
                "another task waits at this Done already: one task takes from it"
            )

    @property
    def is_awaited(self) -> bool:
        """Whether a task waits for the next to end."""
        return self._task is not None
