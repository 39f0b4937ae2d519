"""Calls that tasks wait for, in both backends, step by step: who is woken, and with what."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.test_calls import outcome
from wirecore._backend import Backend

OUTCOMES = st.sampled_from([b"", b"answer", (), 0, ValueError("wrong"), KeyboardInterrupt("stop")])
CALLS = st.integers(0, 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["begin", "wait", "cancel", "unwrap"]), CALLS, st.none()),
        st.tuples(st.just("finish"), CALLS, OUTCOMES),
        st.tuples(
            st.just("deliver"),
            st.lists(
                st.tuples(CALLS, st.sampled_from([None, b"", 5]), st.sampled_from([None, "error"]))
            ),
            st.floats(0, 100),
        ),
    ),
    max_size=30,
)


def told(call: Any) -> tuple[object, ...]:
    return call.call_id, call.end, call.started, call.begun, call.annotation, call.task, call.answer


class Tried:
    """Calls of one backend, which *seen* is the story of."""

    def __init__(self, waiting: Any) -> None:
        self.seen: list[object] = []
        self.waiting = waiting
        self.callers = waiting.Callers(self._wake, self._forget, "given up")
        self.calls: list[Any] = []
        for number in range(4):
            self.begin(number)

    def _wake(self, task: str, call: Any) -> None:
        self.seen.append(("woken", task, self.calls.index(call), self.callers.woken))

    def _forget(self, call: Any) -> None:
        self.seen.append(("forgotten", self.calls.index(call), call.task))

    def begin(self, number: int) -> None:
        call = self.waiting.Waiter(self.callers, f"annotation {number}", number / 2)
        self.calls[number : number + 1] = [call]

    def step(self, verb: str, which: Any, more: Any) -> object:
        if verb == "deliver":
            answers = [(self.calls[number], result, error) for number, result, error in which]
            durations, failed = self.callers.deliver(answers, more)
            assert all(each in answers for each in failed)
            return durations, [answers.index(each) for each in failed]
        if verb == "begin":
            self.begin(which)
            return None
        call = self.calls[which]
        if verb == "wait":
            call.task = f"task {which}"
        elif verb == "cancel":
            return call(None)
        elif verb == "finish":
            call.finish(more)
        else:
            return None if call.outcome is None else call.unwrap()  # nobody does it before
        return None


def run(backend: Backend, steps: list[tuple[str, Any, Any]]) -> list[object]:
    tried = Tried(backend.waiting)
    for step in steps:
        try:
            tried.seen.append(outcome(tried.step, *step))
        except KeyboardInterrupt as error:
            tried.seen.append(repr(error))
        tried.seen.append([told(call) for call in tried.calls])
        tried.seen.append(tried.callers.woken)
    return tried.seen


@given(steps=STEPS)
def test_both_wake_alike(
    backends: tuple[Backend, Backend], steps: list[tuple[str, Any, Any]]
) -> None:
    compiled, pure = (run(backend, steps) for backend in backends)
    assert compiled == pure


def test_a_result_may_be_none_and_a_task_has_its_turn_with_unwrap(backend: Backend) -> None:
    tried = Tried(backend.waiting)
    call = tried.calls[0]
    call.task = "task"
    tried.callers.deliver([(call, None, None)], 1.0)
    assert tried.callers.woken == 1
    assert call.outcome is backend.waiting.ANSWERED
    assert call.unwrap() is None
    assert tried.callers.woken == 0


TAKEN: dict[Any, Any] = {5: None, "six": 6, None: "nothing"}


@pytest.mark.parametrize("given", TAKEN)
def test_a_result_may_be_made_of_what_is_answered(backend: Backend, given: Any) -> None:
    callers = Tried(backend.waiting).callers
    call = backend.waiting.Waiter(callers, take=TAKEN.__getitem__)
    callers.deliver([(call, given, None)], 1.0)
    assert call.outcome is backend.waiting.ANSWERED
    assert call.unwrap() == TAKEN[given]
    if given is not None:
        other = backend.waiting.Waiter(callers, take=TAKEN.__getitem__)
        other.finish(given)
        assert other.unwrap() == TAKEN[given]


def test_where_that_fails_so_does_the_call_and_errors_are_left_alone(backend: Backend) -> None:
    callers = Tried(backend.waiting).callers
    call = backend.waiting.Waiter(callers, take=TAKEN.__getitem__)
    call.finish("unknown")
    with pytest.raises(KeyError):
        call.unwrap()
    call = backend.waiting.Waiter(callers, take=TAKEN.__getitem__)
    error = ValueError("wrong")
    call.finish(error)
    assert call.outcome is error


# --- what no task waits for -----------------------------------------------------------------------


class Told:
    """Somebody who is told of what has ended; *_task*: a task of his that waits for it."""

    def __init__(self, task: str | None) -> None:
        self._task = task
        self.ended: list[Any] = []

    def _add(self, call: Any) -> None:
        self.ended.append(call)


class Event:
    """One that counts how often it was set."""

    def __init__(self) -> None:
        self.count = 0

    def set(self) -> None:
        self.count += 1


class Way:
    """What a call goes by meanwhile."""

    def __init__(self, seen: list[object]) -> None:
        self.seen = seen

    def cancel(self) -> None:
        self.seen.append("no longer on its way")


class Submissions:
    """Calls of one backend that were submitted, which *seen* is the story of."""

    def __init__(self, waiting: Any, *, again: bool) -> None:
        self.seen: list[object] = []
        self.waiting = waiting
        self.again = again  # whether one that fails is tried again
        self.callers = waiting.Callers(self._failed, self._forget, None)
        self.told = Told(None), Told("task")
        self.calls = [
            waiting.Submitted(f"subject {number}", number, told)
            for number, told in enumerate((None, *self.told))
        ]

    def _failed(self, call: Any, error: BaseException | None) -> None:
        self.seen.append(("failed", call._subject, repr(error), self.callers.woken))
        if self.again:
            call._way = Way(self.seen)
        else:
            call._settle(error or ValueError("given up"))

    def _forget(self, call: Any) -> None:
        self.seen.append(("forgotten", call._subject))

    def step(self, verb: str, which: int, more: Any) -> object:
        call = self.calls[which]
        if verb == "begin":
            if not call._is_over:
                call._begin(self.callers, f"annotation {more}", which / 2, more and TAKEN.get)
        elif verb == "await":
            call._ended = call._ended or Event()
        elif verb == "give up":
            call._give_up()
        elif verb == "deliver":
            durations, failed = self.callers.deliver([(call, more, None)], 7.0)
            return durations, len(failed)
        else:
            (call.finish if verb == "finish" else call._settle)(more)
        return None

    def look(self) -> list[object]:
        return [
            self.callers.woken,
            [[each._subject for each in told.ended] for told in self.told],
            [
                (
                    call._subject,
                    call._value,
                    call._is_over,
                    call._way is None,
                    repr(call.outcome).partition(" at ")[0],
                    call.answer,
                    call.annotation,
                    call.begun,
                    call._ended and call._ended.count,
                )
                for call in self.calls
            ],
        ]


def submit(backend: Backend, steps: list[tuple[str, int, Any]], *, again: bool) -> list[object]:
    story = Submissions(backend.waiting, again=again)
    for step in steps:
        story.seen.append(outcome(story.step, *step))
        story.seen.append(story.look())
    return story.seen


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["await", "give up"]), st.integers(0, 2), st.none()),
            st.tuples(st.just("begin"), st.integers(0, 2), st.booleans()),
            st.tuples(
                st.sampled_from(["finish", "settle", "deliver"]),
                st.integers(0, 2),
                st.sampled_from([b"answer", 5, "six", ValueError("wrong")]),
            ),
        ),
        max_size=20,
    ),
    again=st.booleans(),
)
def test_both_settle_alike(
    backends: tuple[Backend, Backend], steps: list[tuple[str, int, Any]], again: bool
) -> None:
    compiled, pure = (submit(backend, steps, again=again) for backend in backends)
    assert compiled == pure


def test_one_that_is_answered_is_settled_and_told(backend: Backend) -> None:
    told = Told("task")
    failed: list[object] = []
    callers = backend.waiting.Callers(lambda *call: failed.append(call), failed.append, None)
    call = backend.waiting.Submitted("name", "value", told)
    call._begin(callers, None, 1.0)
    assert not call._is_over
    durations, _ = callers.deliver([(call, None, None)], 3.0)
    assert durations == [2.0]
    assert call._is_over
    assert call.outcome is backend.waiting.ANSWERED
    assert call.answer is None
    assert told.ended == [call]
    assert callers.woken == 1
    call.finish(ValueError("late"))  # nobody is told twice
    assert told.ended == [call]
    assert failed == []


def test_one_that_is_given_up_as_its_result_is_made_is_told_once(backend: Backend) -> None:
    told = Told(None)
    callers = backend.waiting.Callers(
        lambda call, error: call._settle(error or "given up"), lambda _: None, None
    )
    call = backend.waiting.Submitted("name", "value", told)
    call._begin(callers, None, 1.0, lambda _: call._give_up())
    call.finish(5)
    assert told.ended == [call]
    assert call.outcome == "given up"


def test_one_that_is_given_up_is_forgotten_first(backend: Backend) -> None:
    seen: list[object] = []
    callers = backend.waiting.Callers(lambda *call: seen.append(call), seen.append, None)
    call = backend.waiting.Submitted("name", "value", None)
    with pytest.raises(AttributeError):
        call._give_up()
    call._begin(callers, None, 1.0)
    call._give_up()
    assert seen == [call, (call, None)]
    assert not call._is_over
    with pytest.raises(TypeError):
        call._begin("no callers", None, 1.0)  # type: ignore[arg-type]


def test_one_that_was_never_begun_fails_as_any_object_does(backend: Backend) -> None:
    call = backend.waiting.Waiter.__new__(backend.waiting.Waiter)
    with pytest.raises(AttributeError):
        call(None)
    call.task = "task"
    with pytest.raises(AttributeError):
        call.finish(5)
    with pytest.raises(AttributeError):
        call.unwrap()


def test_what_is_no_waiter_is_refused(backend: Backend) -> None:
    callers = Tried(backend.waiting).callers
    with pytest.raises(TypeError, match="a waiter is wanted, not str"):
        callers.deliver([("call", 5, None)], 1.0)
    with pytest.raises(TypeError):
        backend.waiting.Waiter("no callers")  # type: ignore[arg-type]


def test_what_is_submitted_is_begun_in_one_thread_alone(backend: Backend) -> None:
    callers = backend.waiting.Callers(lambda *_: None, lambda *_: None, None, threading.get_ident)
    anywhere = backend.waiting.Callers(lambda *_: None, lambda *_: None, None)
    problems: list[BaseException] = []

    def begin() -> None:
        backend.waiting.Submitted("Echo", "value", None)._begin(anywhere, None, 0.0)
        try:
            backend.waiting.Submitted("Echo", "value", None)._begin(callers, None, 0.0)
        except RuntimeError as error:
            problems.append(error)

    begin()
    assert problems == []
    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    assert "from_thread" in str(*problems)
