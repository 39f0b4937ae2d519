"""One call that a task waits on, or that was submitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from wirecore._backend import default
from wirecore.session import Call

if TYPE_CHECKING:
    from wirecore_py import waiting

    ANSWERED = waiting.ANSWERED
    Callers = waiting.Callers
    Told = waiting.Told

    class Waiter(Call):
        """A pending call, trio's abort function for it, and its outcome, all in one object.

        trio asks of an abort function only that it can be called, and of an outcome only
        ``unwrap``. See ``wirecore_py.waiting``.
        """

        annotation: Any
        answer: Any
        begun: float
        outcome: Any
        task: trio.lowlevel.Task | None

        def __init__(
            self,
            callers: Callers,
            annotation: Any = None,
            begun: float = 0.0,
            take: Callable[[Any], object] | None = None,
        ) -> None:
            """See the backend's."""

        def __call__(self, _: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            """See the backend's."""

        def unwrap(self) -> Any:
            """See the backend's."""

        def finish(self, outcome: object) -> None:
            """See the backend's."""

    class Submitted(Waiter):
        """A pending call that has no task. See ``wirecore_py.waiting``."""

        _ended: trio.Event | None
        _is_over: bool
        _subject: str
        _value: Any
        _way: Any

        def __init__(self, subject: str, value: Any, told: Any) -> None:
            """See the backend's."""

        def _begin(
            self,
            callers: Callers,
            annotation: Any,
            begun: float,
            take: Callable[[Any], object] | None = None,
        ) -> None:
            """See the backend's."""

        def _give_up(self) -> None:
            """See the backend's."""

        def _too_early(self) -> Exception:
            """See the backend's."""

        def _settle(self, outcome: object) -> None:
            """See the backend's."""
else:
    ANSWERED = default.waiting.ANSWERED
    Callers = default.waiting.Callers
    Submitted = default.waiting.Submitted
    Told = default.waiting.Told
    Waiter = default.waiting.Waiter


def callers_of(forget: Callable[[Any], object]) -> Callers:
    """The callers of one connection. *forget*: is told of a call that its task gave up."""
    wake: Any = trio.lowlevel.reschedule
    return Callers(wake, forget, trio.lowlevel.Abort.SUCCEEDED)


async def outcome_of(waiter: Waiter) -> Any:
    """What *waiter* is answered, once it is; raises its error. Cancelled, it is forgotten."""
    if waiter.outcome is None:
        waiter.task = trio.lowlevel.current_task()
        abort: Any = waiter
        return await trio.lowlevel.wait_task_rescheduled(abort)
    if isinstance(waiter.outcome, Exception):
        # Who tries again and again must let others run; but it is counted already.
        await trio.lowlevel.cancel_shielded_checkpoint()
    return waiter.unwrap()


__all__ = ["ANSWERED", "Callers", "Submitted", "Told", "Waiter", "callers_of", "outcome_of"]
