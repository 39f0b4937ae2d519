"""Calls that are submitted or asked over one connection: when they leave, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.wirecore.moving_story import World, callers_of, close
from wirecore.errors import NotConnected

if TYPE_CHECKING:
    from wirecore._backend import Backend


class Told:
    def __init__(self) -> None:
        self.ended: list[Any] = []
        self._task = None

    def _add(self, pending: Any) -> None:
        self.ended.append(pending)


def submitter_of(
    w: World, backend: Backend, queue: Callable[..., object], high_water: int = 10
) -> Any:
    callers = callers_of(backend)
    w.session.call = queue  # type: ignore[attr-defined]
    return backend.submitting.Submitter(
        w.mover,
        callers,
        "call",
        5.0,
        high_water,
        askers=callers,
    )


def test_what_is_submitted_is_queued_and_then_sent(backend: Backend) -> None:
    w = World(backend)
    asked: list[Any] = []

    def queue(*what: Any) -> None:
        asked.append(what)
        w.session.outbox.put(b"call")

    submitter = submitter_of(w, backend, queue)
    pending = backend.waiting.Submitted("Echo", "value", None)
    now = submitter.queue(pending, int, str, "Echo", "value", None)
    assert now == 1.0
    assert asked == [(pending, "Echo", "value", None, 1.0)]
    assert (pending.begun, pending.annotation, pending.take) == (1.0, int, str)
    assert w.link.sent == []
    w.mover.armed = 5.0
    assert submitter.send(pending, now) is False
    assert w.flusher.added == [w.mover]  # who submits one will submit more
    assert w.seen == []
    assert submitter.send(pending, -1.0) is False
    assert w.seen == ["armed"]
    w.session.outbox.put(bytes(20))
    assert submitter.crowded
    assert submitter.send(pending, now) is True


def test_what_cant_be_submitted_now_is_left_to_who_asked(backend: Backend) -> None:
    w = World(backend)
    asked: list[Any] = []
    submitter = submitter_of(w, backend, lambda *what: asked.append(what))

    def submit() -> float:
        pending = backend.waiting.Submitted("Echo", "value", None)
        when: float = submitter.submit(pending, str, "Echo", "value", 7)
        if when >= 0:
            assert asked == [(pending, "Echo", "value", 7, 1.0)]
            assert (pending.take, pending.annotation) == (str, None)
        return when

    w.mover.paused = object()
    assert submit() < 0
    w.mover.paused = None
    w.session.outbox.put(bytes(11))
    assert submit() < 0
    w.mover.push()
    w.mover.ended = True
    assert submit() < 0
    w.mover.ended = False
    assert asked == w.flusher.added == []
    assert submit() == 1.0
    w.session.outbox.put(bytes(1))
    w.mover.write()
    assert w.flusher.added == [w.mover]


def told_of(w: World, backend: Backend) -> Any:
    """A Told, to which *w*'s connection will tell what was submitted."""
    told = backend.waiting.Told(w.seen.append)
    callers = callers_of(backend)
    callers.mover = w.mover
    backend.waiting.Submitted("Echo", "value", told)._begin(callers, None, 0.0)
    return told


def test_who_takes_what_has_ended_reads_in_place_while_nothing_has(backend: Backend) -> None:
    w = World(backend)
    come = backend.submitting.come
    bare = backend.waiting.Told(w.seen.append)
    assert not come(bare)  # nothing was submitted for it
    told = told_of(w, backend)
    assert (told._mover, told._several) == (w.mover, False)
    assert not come(told)  # nobody reads
    w.mover._context = copy_context()
    w.mover.read_for_reader = w.mover.read_as_reader
    close(w)
    w.link.reads = [b"x", b"y"]
    w.react = lambda: told._add(w.seen[-1]) if w.seen[-1] == b"y" else None
    w.mover.hold()
    w.put(b"call")
    assert w.link.sent == []
    assert come(told)
    assert w.link.sent == [b"call"]  # or nothing would come
    assert w.mover.listed  # the flusher comes by nevertheless
    assert list(told._ended) == [b"y"]
    assert not come(told)  # that is there already
    told._ended.clear()
    w.link.reads = [b"y"]
    told._task = object()
    assert not come(told)  # another waits for it
    told._task = None
    while w.rhythm.pays():
        pass
    assert not come(told)  # the loop is to have its turn
    w.rhythm.had_turn()
    assert come(told)


def test_what_a_defect_raises_there_ends_the_one_connection(backend: Backend) -> None:
    w = World(backend)
    told = told_of(w, backend)
    w.mover.hold()
    w.put(b"call")
    error = ValueError("a defect")

    def fails(data: Any) -> int:
        raise error

    w.link.try_send = fails  # type: ignore[method-assign]
    assert not backend.submitting.come(told)
    assert w.seen == [("failed", error)]


def test_who_takes_keeps_nothing_of_a_connection_that_has_ended(backend: Backend) -> None:
    w = World(backend)
    told = told_of(w, backend)
    w.mover.ended = True
    assert not backend.submitting.come(told)
    assert told._mover is None


def test_what_goes_over_several_connections_is_sent_by_the_flusher(backend: Backend) -> None:
    one, other = World(backend), World(backend)
    told = told_of(one, backend)
    callers = callers_of(backend)
    callers.mover = other.mover
    for _ in range(2):
        backend.waiting.Submitted("Echo", "value", told)._begin(callers, None, 0.0)
    assert (told._mover, told._several) == (other.mover, True)
    told._goes_over(one.mover)
    assert told._several
    told._goes_over(None)
    told._goes_over(one.mover)
    assert told._several
    one.mover.hold()
    one.put(b"call")
    assert not backend.submitting.come(told)
    assert one.flusher.flushed == 1
    assert one.link.sent == []  # that is the flusher's


def test_what_a_task_asks_is_sent_and_its_answer_read_where_nobody_else_calls(
    backend: Backend,
) -> None:
    w = World(backend)
    calls: list[Any] = []

    def queue(*what: Any) -> None:
        calls.append(what)
        w.session.outbox.put(b"call")

    submitter = submitter_of(w, backend, queue)
    w.mover.armed = 6.0
    call = submitter.ask("Echo", "value", 7)
    assert calls == [(call, "Echo", "value", 7, 1.0)]
    assert w.link.sent == [b"call"]
    assert call.outcome is None
    assert w.seen == []  # there is no reader, so nobody reads for it
    w.mover._context = copy_context()
    w.react = lambda: calls[-1][0].finish("answered")
    w.link.reads = [b"x"]
    w.mover.read()  # the first has its answer
    assert w.seen == [b"x"]
    close(w)
    w.link.reads = [b"y"]
    assert submitter.ask("Echo", "value", 7).unwrap() == "answered"
    assert w.seen == [b"x", "gave way", b"y"]


def test_a_task_waits_before_it_asks_for_room_for_the_reader_and_for_the_loops_turn(
    backend: Backend,
) -> None:
    w = World(backend)
    calls: list[Any] = []
    submitter = submitter_of(w, backend, lambda *what: calls.append(what))
    w.mover.paused = object()
    assert submitter.ask("Echo", "value", None) is None
    w.mover.paused = None
    close(w)
    while w.rhythm.pays():
        pass
    assert submitter.ask("Echo", "value", None) is None
    w.rhythm.had_turn()
    w.session.outbox.put(bytes(11))
    assert submitter.ask("Echo", "value", None) is None
    assert calls == []
    w.mover.push()
    assert submitter.ask("Echo", "value", None) is calls[0][0]
    w.mover.ended = True
    with pytest.raises(NotConnected):
        submitter.ask("Echo", "value", None)
    assert len(calls) == 1


def test_a_slot_sends_what_it_was_taken_for_and_says_that_it_is_crowded(backend: Backend) -> None:
    w = World(backend)
    asked: list[Any] = []

    def queue(*what: Any) -> None:
        asked.append(what)
        w.session.outbox.put(bytes(8))

    crowded: list[bool] = []
    target = SimpleNamespace(_crowded=lambda: crowded.append(True))
    slot = backend.turns.Slot(target, None, frozenset(), None)
    slot.submitter, slot.counts = submitter_of(w, backend, queue), SimpleNamespace(in_flight=0)
    pending = backend.waiting.Submitted("Echo", "value", None)
    assert slot.submit(pending, int) == 1.0
    assert asked == [(pending, "Echo", "value", Any, 1.0)]
    assert (pending.annotation, slot.counts.in_flight, crowded) == (int, 1, [])
    w.mover._writing = True
    slot.submit(backend.waiting.Submitted("Echo", "value", None), int)
    assert (slot.counts.in_flight, crowded) == (2, [True])


def test_what_has_ended_has_its_result_and_before_that_none(backend: Backend) -> None:
    class Pending(backend.waiting.Submitted):  # type: ignore[name-defined, misc]
        def _too_early(self) -> Exception:
            return LookupError("too early")

    callers = backend.waiting.Callers(
        lambda call, error: call._settle(error), lambda *_: None, None
    )
    for outcome, take, result in (("it", None, "it"), ("it", len, 2)):
        pending = Pending("Echo", "value", None)
        pending._begin(callers, None, 0.0, take)
        with pytest.raises(LookupError, match="too early"):
            pending.result()
        pending.finish(outcome)
        assert pending.result() == result
    failed = Pending("Echo", "value", None)
    failed._begin(callers, None, 0.0)
    failed.finish(ValueError("no"))
    for _ in range(2):
        with pytest.raises(ValueError, match="no") as caught:
            failed.result()
        assert len(caught.traceback) <= 3  # each time anew
    with pytest.raises(NotImplementedError):
        backend.waiting.Submitted("Echo", "value", None).result()


def test_a_mark_may_be_any_number(backend: Backend) -> None:
    w = World(backend)
    submitter = submitter_of(w, backend, lambda *_: None, high_water=10**30)
    w.session.outbox.put(bytes(20))
    assert not submitter.crowded


def test_what_cant_be_queued_is_raised(backend: Backend) -> None:
    w = World(backend)

    def refuse(*_: Any) -> None:
        raise ValueError("unsendable")

    submitter = submitter_of(w, backend, refuse)
    pending = backend.waiting.Submitted("Echo", "value", None)
    with pytest.raises(ValueError, match="unsendable"):
        submitter.queue(pending, None, None, "Echo", "value", None)
    w.mover.ended = True
    with pytest.raises(NotConnected):
        submitter.queue(pending, None, None, "Echo", "value", None)


def test_a_task_that_waits_for_what_ends_is_woken_once(backend: Backend) -> None:
    woken: list[Any] = []
    told = backend.waiting.Told(woken.append)
    told._task = "task"
    for number in range(3):
        pending = backend.waiting.Submitted("Echo", number, told)
        pending._settle(number)
    assert woken == ["task"]
    assert [pending._value for pending in told._ended] == [0, 1, 2]
    other = Told()
    pending = backend.waiting.Submitted("Echo", 3, other)
    pending._settle(3)
    assert other.ended == [pending]
