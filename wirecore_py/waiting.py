"""Calls that tasks wait for, and what becomes of them: twin of ``wirecore._waiting``.

A pending call, what a scheduler calls when its task is cancelled, and the outcome that the task
goes on with are one object: three for each call cost a third of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

#: The outcome of a call that was answered; the result stands beside it, and may be None.
ANSWERED: Final = object()


class Callers:
    """What all who call over one connection share.

    *wake*: has a task go on, with what the ``unwrap`` of its call gives. *forget*: is told of a
    call that its task gave up. *given_up*: what the scheduler wants to hear then.

    *woken*: tasks that have their outcome, and haven't had their turn.
    """

    __slots__ = ("_forget", "_given_up", "_wake", "woken")

    def __init__(
        self,
        wake: Callable[[Any, Waiter], object],
        forget: Callable[[Any], object],
        given_up: Any,
    ) -> None:
        self._wake = wake
        self._forget = forget
        self._given_up = given_up
        self.woken = 0

    def deliver(
        self, answers: Iterable[tuple[Any, Any, Any]], now: float
    ) -> tuple[list[float], list[tuple[Any, Any, Any]]]:
        """Give calls their results: each of *answers* is a call, its result, and an error or None.

        Returned are how long those without an error took until *now*, and the answers with one,
        of which nobody was told.
        """
        durations = []
        failed = []
        for answer in answers:
            call, result, error = answer
            if not isinstance(call, Waiter):
                raise TypeError(f"a waiter is wanted, not {type(call).__name__}")
            if error is None:
                durations.append(now - call.begun)
                call.result = result
                call.finish(ANSWERED)
            else:
                failed.append(answer)
        return durations, failed


class Waiter:
    """A call of one of *callers*, begun at *begun*; *annotation*: that which its result is read as.

    *call_id*, *end* and *started* are its session's, see ``wirecore.session.Call``. *task*: who
    waits for it; None where nobody does, be it not yet. *outcome*: None until there is one; an
    exception, :data:`ANSWERED` where *result* is one, else the result itself.
    """

    __slots__ = (
        "_callers",
        "annotation",
        "begun",
        "call_id",
        "end",
        "outcome",
        "result",
        "started",
        "task",
    )

    call_id: Any
    end: int
    started: float
    outcome: Any
    result: Any
    task: Any

    def __init__(self, callers: Callers, annotation: Any = None, begun: float = 0.0) -> None:
        if not isinstance(callers, Callers):
            raise TypeError(f"callers are wanted, not {type(callers).__name__}")
        self._callers = callers
        self.annotation = annotation
        self.begun = begun
        self.call_id = self.outcome = self.result = self.task = None
        self.end = 0
        self.started = 0.0

    def __call__(self, _: object) -> Any:
        """Its task was cancelled: what a scheduler calls then."""
        self.task = None
        self._callers._forget(self)
        return self._callers._given_up

    def unwrap(self) -> Any:
        """The result; raises the call's error. A task that was woken has its turn with this."""
        if self.task is not None:
            self._callers.woken -= 1
        outcome = self.outcome
        if outcome is ANSWERED:
            return self.result
        if isinstance(outcome, BaseException):
            raise outcome
        assert outcome is not None, "unwrapped too early"
        return outcome

    def finish(self, outcome: object) -> None:
        """End the call with its *outcome*."""
        self.outcome = outcome
        if self.task is not None:
            callers = self._callers
            callers.woken += 1
            callers._wake(self.task, self)
