"""Calls that tasks wait for, in both backends, step by step: who is woken, and with what."""

from __future__ import annotations

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
    return call.call_id, call.end, call.started, call.begun, call.annotation, call.task, call.result


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


def test_who_takes_a_result_in_his_own_way_is_told_of_it(backend: Backend) -> None:
    taken: list[object] = []

    class Taking(backend.waiting.Waiter):  # type: ignore[name-defined,misc]
        def finish(self, outcome: object) -> None:
            taken.append(outcome)
            super().finish(outcome)

    callers = Tried(backend.waiting).callers
    call = Taking(callers)
    callers.deliver([(call, 5, None)], 1.0)
    assert taken == [backend.waiting.ANSWERED]
    assert call.unwrap() == 5


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
