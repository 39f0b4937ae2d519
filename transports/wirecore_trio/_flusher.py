"""One task of the run that sends what was written after the first send of a loop pass.

A connection's first write in a pass goes out at once. Those behind it wait for this task, which
runs in the next batch of the same pass: all that was written meanwhile leaves in one send, and
nothing waits for a timer.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from ._of_run import OfRun

if TYPE_CHECKING:
    from ._pump import Pump


logger = logging.getLogger("wirecore.flusher")


class Flusher:
    """Pumps with something to send; get the run's own with :func:`current_flusher`."""

    def __init__(self) -> None:
        self._dirty: list[Pump] = []
        self._task: trio.lowlevel.Task | None = None

    def add(self, pump: Pump) -> None:
        """Have ``pump.push`` called in the next batch.

        Raises RuntimeError outside of the run, a thread say; then nothing has changed.
        """
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None
        self._dirty.append(pump)

    async def run(self) -> None:
        """Push what is dirty, for ever."""

        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        while True:
            if not self._dirty:
                self._task = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(abort)
            self.flush()

    def flush(self) -> None:
        """Push what is dirty now: who waits next doesn't add to it."""
        dirty, self._dirty = self._dirty, []
        for pump in dirty:
            try:
                pump.push_late()
            except Exception as error:
                # One connection's fault must not end the run, as it would from here.
                logger.exception("a push failed; this is a defect in wirecore")
                pump.end(error)


def _start() -> Flusher:
    flusher = Flusher()
    trio.lowlevel.spawn_system_task(flusher.run, name="wirecore flusher")
    return flusher


#: The flusher of the running trio loop, started when first asked for.
current_flusher = OfRun("flusher", _start)
