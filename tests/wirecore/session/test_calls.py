"""How a call ends: answered, forgotten, out of time, or lost with its connection."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from wirecore._backend import Backend
from wirecore.errors import InvalidOption, LocalLimitExceeded
from wirecore.session import Call, Outbox, PendingCalls

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable


class Pending:
    """Calls over an outbox, with one frame of ten bytes for each."""

    def __init__(self, backend: Backend, call_timeout: float | None = None) -> None:
        table: CallTable[int, Call] = backend.calls.CallTable(
            iter(range(1_000_000)).__next__, max_pending=100_000
        )
        self.outbox = Outbox()
        self.calls = PendingCalls(table, self.outbox, call_timeout)

    def open(self, now: float = 0.0) -> Call:
        call = Call()
        assert call.call_id is None
        assert self.calls.open(call, now) == call.call_id
        call.end = self.outbox.put(b"0123456789")
        return call


@pytest.fixture
def pending(backend: Backend) -> Pending:
    return Pending(backend)


def test_an_answered_call_is_no_longer_pending(pending: Pending) -> None:
    call = pending.open()
    assert pending.calls.answer(call.call_id) is call
    assert pending.calls.answer(call.call_id) is None
    assert pending.calls.lost() == []


def test_a_forgotten_call_gets_no_answer(pending: Pending) -> None:
    call = pending.open()
    assert pending.calls.forget(call)
    assert not pending.calls.forget(call)
    assert pending.calls.answer(call.call_id) is None
    assert pending.calls.table.late == 1


def test_a_call_that_was_never_opened_can_be_forgotten(pending: Pending) -> None:
    assert not pending.calls.forget(Call())


def test_loss_tells_the_calls_that_certainly_were_not_sent(pending: Pending) -> None:
    sent, half_sent, queued = (pending.open() for _ in range(3))
    pending.outbox.take(100)
    pending.outbox.sent(15)
    assert pending.calls.lost() == [
        (sent, "maybe_executed"),
        (half_sent, "not_sent"),
        (queued, "not_sent"),
    ]
    assert pending.calls.lost() == [], "all have ended"


def test_what_the_link_was_given_may_have_been_executed(pending: Pending) -> None:
    call = pending.open()
    pending.outbox.take(100)
    assert pending.calls.lost() == [(call, "maybe_executed")]


def test_a_cleared_outbox_never_sends(pending: Pending) -> None:
    call = pending.open()
    pending.outbox.clear()
    assert pending.calls.lost() == [(call, "not_sent")]


def test_calls_expire_oldest_first_each_at_its_time(backend: Backend) -> None:
    pending = Pending(backend, call_timeout=10)
    assert pending.calls.next_deadline() == math.inf
    early = [pending.open(now) for now in (100.0, 101.0)]
    late = pending.open(105.0)
    assert pending.calls.next_deadline() == 110
    assert pending.calls.expire(109.9) == []
    assert pending.calls.expire(111.0) == early
    assert pending.calls.next_deadline() == 115
    assert pending.calls.answer(early[0].call_id) is None
    assert pending.calls.expire(115.0) == [late]
    assert pending.calls.next_deadline() == math.inf
    assert pending.calls.expire(1e9) == []


def test_an_answer_leaves_a_deadline_that_is_early_but_never_late(backend: Backend) -> None:
    pending = Pending(backend, call_timeout=10)
    first, second = pending.open(0.0), pending.open(4.0)
    pending.calls.answer(first.call_id)
    assert pending.calls.next_deadline() <= 14
    assert pending.calls.expire(10.0) == []
    assert pending.calls.next_deadline() == 14
    pending.calls.answer(second.call_id)
    assert pending.calls.next_deadline() == math.inf
    pending.open(50.0)
    assert pending.calls.next_deadline() == 60


def test_without_a_timeout_calls_wait_for_ever(pending: Pending) -> None:
    pending.open(0.0)
    assert pending.calls.next_deadline() == math.inf
    assert pending.calls.expire(1e12) == []


def test_a_hundred_thousand_calls_expire_at_once(backend: Backend) -> None:
    pending = Pending(backend, call_timeout=10)
    calls = [pending.open(0.0) for _ in range(100_000)]
    with pytest.raises(LocalLimitExceeded):
        pending.open(0.0)
    assert pending.calls.expire(10.0) == calls


def test_a_timeout_that_makes_no_sense_is_named(backend: Backend) -> None:
    with pytest.raises(InvalidOption, match="call_timeout must be above 0, not 0"):
        Pending(backend, call_timeout=0)


def test_who_sees_to_a_calls_time_himself_says_so_and_the_others_end_in_time(
    backend: Backend,
) -> None:
    pending = Pending(backend, call_timeout=10)
    own = pending.open(0.0)
    own.started = math.inf
    assert pending.calls.expire(10.0) == []
    other = pending.open(12.0)
    assert pending.calls.next_deadline() <= 22
    assert pending.calls.expire(pending.calls.next_deadline()) == []
    assert pending.calls.next_deadline() == 22
    assert pending.calls.expire(22.0) == [other]
    assert pending.calls.answer(own.call_id) is own
