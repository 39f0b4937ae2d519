"""A nursery of the library's own, which its users don't see."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import trio

from ._errors import alone


class HiddenNursery:
    """The nursery behind an ``async with`` of ours: entered and left by hand, in one task.

    An exception of the body passes it by, and comes in no group.
    """

    __slots__ = ("_manager", "nursery")

    _manager: AbstractAsyncContextManager[trio.Nursery]
    #: Where tasks are started, once it was entered.
    nursery: trio.Nursery

    async def enter(self) -> None:
        """Open it. No checkpoint."""
        self._manager = trio.open_nursery()
        self.nursery = await self._manager.__aenter__()

    async def leave(self, error: BaseException | None) -> None:
        """Cancel its tasks and wait for them. *error*: what the body raised.

        Raises what a task raised, and trio.Cancelled, unless there is an *error*, whose place it
        would take.
        """
        self.nursery.cancel_scope.cancel()
        try:
            with alone():
                await self._manager.__aexit__(None, None, None)
        except BaseException as left:
            if error is None or not _is_cancelled(left):
                raise


def _is_cancelled(error: BaseException) -> bool:
    """Whether *error* is a cancellation and nothing else, in a group or not."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1] is None
    return isinstance(error, trio.Cancelled)
