"""Calls that wait for a provider: the tasks behind the dispatcher's tickets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

import trio

from wirecore.protocols.pool.dispatch import Dispatcher, Slot, Ticket, Wish

if TYPE_CHECKING:
    from ._provider_connection import ProviderConnection


class Queued(Ticket["ProviderConnection"]):
    """A task that waits until a provider is free."""

    __slots__ = ("_dispatcher", "_task")

    def __init__(self, wish: Wish, dispatcher: Calls) -> None:
        super().__init__(wish)
        self._dispatcher = dispatcher
        self._task: trio.lowlevel.Task | None = None

    def __call__(self, _: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        """The task is cancelled: what trio asks of an abort function."""
        self._task = None
        self._dispatcher.withdraw(self)
        return trio.lowlevel.Abort.SUCCEEDED

    async def wait(self, *, front: bool) -> Slot[ProviderConnection]:
        """The slot of the provider that takes the call; it counts as outstanding there.

        *front*: it was queued before, and comes before others. Raises LocalLimitExceeded where
        too many wait. Cancelled, it isn't queued any more.
        """
        if self._dispatcher.enqueue(self, front=front):
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self)
        assert self.slot is not None
        return self.slot

    def wake(self) -> None:
        """There is a slot."""
        assert self._task is not None
        trio.lowlevel.reschedule(self._task)


#: Which connection takes which call.
Calls: TypeAlias = Dispatcher["ProviderConnection", Queued]


def wake(tickets: Iterable[Queued]) -> None:
    """Wake the tasks of *tickets*, each of which has got its slot."""
    for ticket in tickets:
        ticket.wake()
