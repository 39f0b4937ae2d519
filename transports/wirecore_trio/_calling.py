"""Tasks that wait for answers over one connection: how they wait, are woken, and are failed."""

from __future__ import annotations

import math
from collections.abc import Callable
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


class Calling(Changing):
    """The owner of a connection whose tasks wait for answers; its base, with what all need.

    A caller does, in this order: a :class:`Waiter` of its ``_callers``, the session's call, the
    pump's ``asked``, and where that is false, ``waiter.task = ...`` and
    ``wait_task_rescheduled(waiter)``. No coroutine of its own lies between a caller and its
    answer: each would cost at every call. *forget*: the session's.
    """

    __slots__ = ("_call_timeout", "_callers", "_forget", "_pump")

    _pump: Pump

    def __init__(self, call_timeout: float | None, forget: Callable[[Any], object]) -> None:
        super().__init__()
        self._call_timeout = math.inf if call_timeout is None else call_timeout
        self._forget = forget
        self._callers = callers_of(self.forget)

    def forget(self, waiter: Waiter) -> None:
        """Nobody waits for *waiter*'s answer any longer."""
        self._forget(waiter)
        self.tell_change()  # it may have been the last

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
