"""A reader for whom the run's watch reads, while he has nothing else to do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from ._pump import Pump
    from ._watch import Watch

logger = logging.getLogger("wirecore.watch")


class WatchedReader:
    """That of *pump*, which reads from one task: made in there, and told when that is through.

    His task sleeps while what comes is read in its context, by the watch's. Woken he is for what
    takes longer than one read, or is his alone: an end, a pause, what a handler raised.
    """

    __slots__ = ("_gave_up", "_number", "_pump", "_raised", "_task", "_watch")

    def __init__(self, pump: Pump, watch: Watch) -> None:
        self._pump = pump
        self._watch = watch
        self._number = -1  # of the file that is watched
        self._task: trio.lowlevel.Task | None = None  # while it sleeps, and nothing is read
        self._gave_up = False
        self._raised: BaseException | None = None  # by what was read for him
        watch.readers += 1

    def through(self) -> None:
        """His task reads no more."""
        self._watch.readers -= 1
        self._unwatch()

    def may_sleep(self) -> bool:
        """Whether he is watched now: his pump has left nothing, and its link tells all by a file.

        One reader alone isn't: messages of a connection that is watched cost the system more.
        """
        watch = self._watch
        number = -1 if watch.readers < 2 or watch.over else self._pump.link.number
        if number != self._number:
            self._unwatch()
        if number < 0:
            return False
        if self._number < 0:
            try:
                watch.add(number, self)
            except (OSError, RuntimeError) as error:  # no room, or no time any more
                logger.debug("a connection waits by itself: %s", error)
                return False
            self._number = number
        return True

    async def sleep(self) -> None:
        """Sleep, until there is something to do for him. Raises what a handler raised."""
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._give_up)
        error, self._raised = self._raised, None
        if error is not None:
            raise error

    def _give_up(self, _: object) -> trio.lowlevel.Abort:
        task, self._task = self._task, None
        if task is None:  # it is cancelled by what is read right now: it sees that when it is woken
            self._gave_up = True
            return trio.lowlevel.Abort.FAILED
        self._unwatch()
        return trio.lowlevel.Abort.SUCCEEDED

    def readable(self) -> bool:
        """See Watched."""
        task, self._task = self._task, None
        if task is None:
            self._unwatch()  # he is at something else, and may leave it unread for long
            return False
        pump = self._pump
        self._gave_up = False
        try:
            goes_on = pump.read_watched()
        except BaseException as error:  # noqa: BLE001  # his, be it what ends his process
            self._raised = error
            goes_on = True
        if goes_on or self._gave_up or self._watch.readers < 2:
            trio.lowlevel.reschedule(task)
        else:
            self._task = task
        woke, pump.woke = pump.woke, False
        return woke

    @property
    def eager_wait(self) -> float:
        """See Watched."""
        return self._pump.eager_wait

    def wake(self) -> None:
        """See Watched. Or the connection has ended, and its file is about to be closed."""
        self._unwatch()
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def _unwatch(self) -> None:
        number, self._number = self._number, -1
        if number >= 0:
            self._watch.remove(number, self)
