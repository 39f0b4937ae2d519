"""Whose turn it is to read: the workers' of an engine, one at a time, or who has paused it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from .._errors import NotConnected


class Turn:
    """The turn to read one connection.

    A worker that waits for a message is interrupted for who wants to pause; it has lost nothing.
    Who pauses has the turn at once, or after those that paused before.
    """

    __slots__ = ("_depth", "_holder", "_idle", "_lent", "_pausing", "_scope", "on_free", "over")

    def __init__(self) -> None:
        self._holder: trio.lowlevel.Task | None = None
        # Pauses of the holder, one in another; and whether it is a callback that may read by hand.
        self._depth = 0
        self._lent = False
        self._pausing: deque[trio.lowlevel.Task] = deque()
        self._idle: deque[trio.lowlevel.Task] = deque()
        self._scope: trio.CancelScope | None = None  # of the holder's waiting, where that may end
        #: Called when a pause is over, and nobody has the turn then.
        self.on_free: Callable[[], None] | None = None
        #: Whether nobody reads this connection any more.
        self.over = False

    def is_mine(self) -> bool:
        """Whether this task has it."""
        return self._holder is trio.lowlevel.current_task()

    @property
    def is_by_hand(self) -> bool:
        """Whether the user reads, and not the engine."""
        return self._lent or self._depth > 0

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Within, the user may read: a callback of this task's runs, which has the turn or gets it.

        Who else pauses meanwhile waits for its end.
        """
        is_first = self._holder is None
        if is_first:
            self._holder = trio.lowlevel.current_task()
        self._lent = True
        try:
            yield
        finally:
            self._lent = False
            if is_first and self.is_mine():
                self.give_up()

    @property
    def is_wanted(self) -> bool:
        """Whether its holder should give it up."""
        return self.over or bool(self._pausing)

    @property
    def has_idle(self) -> bool:
        """Whether a worker waits for it."""
        return bool(self._idle)

    def interruptible(self, scope: trio.CancelScope | None) -> None:
        """Its holder waits in *scope*, which may be cancelled; None: no longer."""
        self._scope = scope

    # --- workers --------------------------------------------------------------------------------

    async def take(self) -> bool:
        """Wait for it; False where all is over."""
        task = trio.lowlevel.current_task()
        if not self.over and self._holder is not task:
            if self._holder is None:
                self._holder = task
            else:
                await self._park(self._idle)
        return self._holder is task and not self.over

    def give_up(self) -> None:
        """Pass it on: to who wants to pause, else to the worker that waits longest."""
        self._holder = self._scope = None
        waiting = self._pausing or self._idle
        if waiting:
            self._holder = waiting.popleft()
            trio.lowlevel.reschedule(self._holder)

    # --- who pauses -----------------------------------------------------------------------------

    async def pause(self) -> None:
        """Wait for it, and hold it until :meth:`resume`. Who has it may do so again.

        Raises NotConnected where the connection is over.
        """
        task = trio.lowlevel.current_task()
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._holder is not task:
            if not self.over and self._holder is None:
                self._holder = task
            elif not self.over:
                self._interrupt()
                await self._park(self._pausing)
            if self._holder is not task:
                raise NotConnected("the connection to pause has ended")
        self._depth += 1
        await trio.lowlevel.cancel_shielded_checkpoint()

    def resume(self) -> None:
        """What is held by :meth:`pause` is given up."""
        self._depth -= 1
        if not self._depth and not self._lent:
            self.give_up()
            if self._holder is None and self.on_free is not None and not self.over:
                self.on_free()

    # --- both -----------------------------------------------------------------------------------

    def end(self) -> None:
        """Nobody reads any more: who waits for it is told so, and who waits for a message, too."""
        self.over = True
        self._interrupt()
        for waiting in (self._idle, self._pausing):
            while waiting:
                trio.lowlevel.reschedule(waiting.popleft())

    def _interrupt(self) -> None:
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.cancel()

    async def _park(self, waiting: deque[trio.lowlevel.Task]) -> None:
        task = trio.lowlevel.current_task()
        waiting.append(task)

        def abort(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            waiting.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
