"""Calls that tasks wait for, and what becomes of them: twin of ``wirecore._waiting``.

A pending call, what a scheduler calls when its task is cancelled, and the outcome that the task
goes on with are one object: three for each call cost a third of a call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from wirecore.errors import other_thread

#: The outcome of a call that was answered; the result stands beside it, and may be None.
ANSWERED: Final = object()


class Callers:
    """What all who call over one connection share.

    *wake*: has a task go on, with what the ``unwrap`` of its call gives. *forget*: is told of a
    call that its task gave up. *given_up*: what the scheduler wants to hear then.

    *woken*: tasks that have their outcome, and haven't had their turn. *mover*: what moves the
    connection's bytes, once that is known. *ident*: which thread it is, where calls may be
    submitted by none but this; None: that isn't looked at.
    """

    __slots__ = ("_forget", "_given_up", "_home", "_ident", "_wake", "mover", "woken")

    def __init__(
        self,
        wake: Callable[[Any, Any], object],
        forget: Callable[[Any], object],
        given_up: Any,
        ident: Callable[[], int] | None = None,
    ) -> None:
        self._wake = wake
        self._forget = forget
        self._given_up = given_up
        self._ident = ident
        self._home = 0 if ident is None else ident()
        self.mover: Any = None
        self.woken = 0

    def new_call(self) -> Waiter:
        """A call of theirs, which a task will wait for."""
        return Waiter(self)

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
                call.answer = result
                call.finish(ANSWERED)
            else:
                failed.append(answer)
        return durations, failed


class Waiter:
    """A call of one of *callers*, begun at *begun*; *annotation*: that which its result is read as.

    *take*: makes the result of what the call is answered, as soon as it is.

    *call_id*, *end* and *started* are its session's, see ``wirecore.session.Call``. *task*: who
    waits for it; None where nobody does, be it not yet. *outcome*: None until there is one; an
    exception, :data:`ANSWERED` where *answer* is one, else the result itself.
    """

    __slots__ = (
        "_callers",
        "annotation",
        "answer",
        "begun",
        "call_id",
        "end",
        "outcome",
        "started",
        "take",
        "task",
    )

    call_id: Any
    end: int
    started: float
    outcome: Any
    answer: Any
    task: Any
    _callers: Any

    def __init__(
        self,
        callers: Callers,
        annotation: Any = None,
        begun: float = 0.0,
        take: Callable[[Any], object] | None = None,
    ) -> None:
        self._is_of(callers, annotation, begun, take)
        self._clear()

    def _is_of(
        self,
        callers: Callers,
        annotation: Any,
        begun: float,
        take: Callable[[Any], object] | None,
    ) -> None:
        if not isinstance(callers, Callers):
            raise TypeError(f"callers are wanted, not {type(callers).__name__}")
        self._callers = callers
        self.annotation = annotation
        self.begun = begun
        self.take = take

    def _clear(self) -> None:
        """What the compiled one has at first."""
        self.call_id = self.outcome = self.answer = self.task = None
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
            return self.answer
        if isinstance(outcome, BaseException):
            raise outcome
        assert outcome is not None, "unwrapped too early"
        return outcome

    def finish(self, outcome: object) -> None:
        """End the call with its *outcome*."""
        self.outcome = outcome if self.take is None else self._taken(outcome)
        if self.task is not None:
            callers = self._callers
            callers.woken += 1
            callers._wake(self.task, self)

    def _taken(self, outcome: object) -> object:
        assert self.take is not None
        if isinstance(outcome, BaseException):
            return outcome
        try:
            self.answer = self.take(self.answer if outcome is ANSWERED else outcome)
        except Exception as error:  # noqa: BLE001 - raised to who asked
            return error
        return ANSWERED


class Told:
    """Where what was submitted is told that has ended, in that order, for the task that takes it.

    *wake*: has that task go on. *_task*: who waits for the next; None where nobody does. *_mover*:
    that of the last connection over which something for it was submitted; *_several*: whether it
    wasn't the only one.
    """

    __slots__ = ("_ended", "_mover", "_several", "_task", "_wake")

    def __init__(self, wake: Callable[[Any], object]) -> None:
        self._wake = wake
        self._mover: Any = None
        self._several = False
        self._ended: deque[Any] = deque()
        self._task: Any = None

    def _add(self, pending: Any) -> None:
        """*pending* has ended."""
        self._ended.append(pending)
        if self._task is not None:
            self._wake(self._task)
            self._task = None

    def _goes_over(self, mover: Any) -> None:
        """*mover* moves what something for it is submitted over."""
        if mover is not self._mover:
            if self._mover is not None:
                self._several = True
            self._mover = mover


class Submitted(Waiter):
    """A call that no task waits for: it is settled where a task would be woken, and kept then.

    *_subject* and *_value*: what was submitted. *_told*: has ``_add`` called with it once it is
    settled, and a ``_task`` where one waits for that; or None. *_ended*: has ``set`` called; None
    where nobody waits. *_way*: has ``cancel`` called once it is settled; or None. *_is_over*:
    whether it is.

    It is *_begin* that makes it a call of some callers. Where it has no result their *wake* is
    called with it and its error, or None where it was given up; what it does may be
    :meth:`_settle`. Their *woken* counts those for whom somebody waited.
    """

    __slots__ = ("_ended", "_is_over", "_subject", "_told", "_value", "_way")

    def __init__(self, subject: str, value: Any, told: Any) -> None:
        self._subject = subject
        self._value = value
        self._told = told
        self._ended: Any = None
        self._way: Any = None
        self._is_over = False
        self._callers = None
        self.annotation = self.take = None
        self.begun = 0.0
        self._clear()

    def _begin(
        self,
        callers: Callers,
        annotation: Any,
        begun: float,
        take: Callable[[Any], object] | None = None,
    ) -> None:
        """It is a call now; as Waiter's. Raises RuntimeError in another thread than theirs."""
        self._is_of(callers, annotation, begun, take)
        if callers._ident is not None and callers._ident() != callers._home:
            raise other_thread()
        if isinstance(self._told, Told):
            self._told._goes_over(callers.mover)

    def finish(self, outcome: object) -> None:
        """End the call with its *outcome*."""
        if self._is_over:
            return  # it was given up, as it was already lost
        callers = self._callers
        if self.take is not None:
            outcome = self._taken(outcome)
            if self._is_over:
                return  # by that
        if self._ended is not None or (self._told is not None and self._told._task is not None):
            callers.woken += 1
        if isinstance(outcome, BaseException):
            callers._wake(self, outcome)
        else:
            self._settle(outcome)

    def result(self) -> Any:
        """Its result, once it has ended. Raises its error; ``_too_early()`` before that."""
        outcome = self.outcome
        if outcome is ANSWERED:
            return self.answer
        if isinstance(outcome, BaseException):
            raise outcome.with_traceback(None)  # or each time would add to it
        if outcome is None:
            raise self._too_early()
        return outcome

    def _too_early(self) -> Exception:
        """The error of who asks for its result before it has one."""
        raise NotImplementedError

    def _give_up(self) -> None:
        """Nobody wants its answer any longer."""
        callers = self._callers
        callers._forget(self)
        callers._wake(self, None)

    def _settle(self, outcome: object) -> None:
        """It has ended with *outcome*."""
        way = self._way
        self.outcome = outcome
        self._is_over = True
        self._way = None
        self._callers = None
        if way is not None:
            way.cancel()
        if self._told is not None:
            self._told._add(self)
        if self._ended is not None:
            self._ended.set()
