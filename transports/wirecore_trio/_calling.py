"""Tasks that wait for answers over one connection: how they wait, are woken, and are failed."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final, TypeAlias

import trio

from wirecore.errors import Execution

from ._changing import Changing
from ._pump import Pump
from ._waiter import Waiter, callers_of

#: Lost calls that are ended before others of the run get their turn: ending 100,000 at once
#: would stop everything for seconds.
_LOST_IN_A_ROW: Final = 1000

#: A call that was lost, and what is known of it.
Lost: TypeAlias = tuple[Waiter, Execution]


class Calling(Changing[Any]):
    """The owner of a connection whose tasks wait for answers; its base, with what all need.

    A caller does, in this order: a :class:`Waiter` of its ``_callers``, the session's call,
    :meth:`_asked_now`, and where that is false, ``waiter.task = ...`` and
    ``wait_task_rescheduled(waiter)``. No coroutine of its own lies between a caller and its
    answer: each would cost at every call. *forget*: the session's.
    """

    __slots__ = ("_asked", "_call_timeout", "_callers", "_context", "_pump")

    _pump: Pump

    def __init__(self, call_timeout: float | None, forget: Callable[[Any], object]) -> None:
        super().__init__()
        self._call_timeout = math.inf if call_timeout is None else call_timeout
        self._asked = 0  # calls since something came
        self._callers = callers_of(forget)
        self._context: Context | None = None  # the reader's

    async def _read(self) -> None:
        """Read, answer and wake until the connection has ended."""
        self._context = trio.lowlevel.current_task().context
        await self._pump.run_reader()

    def _asked_now(self, waiter: Waiter, now: float) -> bool:
        """*waiter*'s call is queued: send it. True where its outcome is there already."""
        pump = self._pump
        if now + self._call_timeout < pump.armed:
            pump.arm()
        if not pump.listed:  # else it leaves with the others of this pass
            pump.write()
            if waiter.outcome is not None:
                return True  # sending the request showed that the connection is gone
        self._asked += 1
        return self._asked == 1 and not self._callers.woken and self._answered_in_place(waiter)

    # Ctrl-C waits until it is through: it would lose what others are waiting for.
    @trio.lowlevel.enable_ki_protection
    def _answered_in_place(self, waiter: Waiter) -> bool:
        """Read the outcome of *waiter* here, where it is fast enough and nobody else calls."""
        if self._context is None:
            return False
        # As the reader reads: handlers that don't block run in its context.
        self._context.run(self._read_in_place)
        return waiter.outcome is not None

    def _read_in_place(self) -> None:
        pump = self._pump
        if pump.read_in_place():
            # The reader waits for bytes, and an end that was put off brings none.
            while pump.session.stage.deferred and not pump.ended:
                pump.read()

    def _fail_lost(self, lost: list[Lost], make_error: Callable[[Execution], Exception]) -> None:
        """The connection is gone: end each call in *lost* with an error of its own."""
        if len(lost) <= _LOST_IN_A_ROW:
            _fail_all(lost, make_error)
        else:
            trio.lowlevel.spawn_system_task(_fail_in_chunks, lost, make_error)


def _fail_all(lost: list[Lost], make_error: Callable[[Execution], Exception]) -> None:
    for waiter, execution in lost:
        waiter.finish(make_error(execution))


async def _fail_in_chunks(lost: list[Lost], make_error: Callable[[Execution], Exception]) -> None:
    for start in range(0, len(lost), _LOST_IN_A_ROW):
        _fail_all(lost[start : start + _LOST_IN_A_ROW], make_error)
        await trio.lowlevel.cancel_shielded_checkpoint()
