"""Calls and answers of net/rpc in one step: a frame and a call that waits, or nothing at all."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from wirecore._backend import Backend
from wirecore.protocols.pool import PoolCall, Request


class Sending:
    """Both senders, with a *write* that has a message for text alone."""

    def __init__(self, backend: Backend, *, masked: bool = False, max_pending: int = 3) -> None:
        self.backend = backend
        self.connection = SimpleNamespace(plain=True)
        self.outbox = backend.outbox.Outbox()
        self.table: Any = backend.calls.CallTable(count().__next__, max_pending=max_pending)
        self.forgotten: set[int] = set()
        self.begun: list[float] = []
        bounds: dict[str, Any] = {"masked": masked, "largest": 20, "max_queued": 30}
        self.calls = backend.pool_sender.CallSender(
            self.connection,
            self.outbox,
            self.write,
            self.table,
            self.forgotten,
            self.begun.append,
            **bounds,
        )
        self.calls.known.add(int)
        self.answers = backend.pool_sender.AnswerSender(
            self.connection, self.outbox, self.write, **bounds
        )

    @staticmethod
    def write(number: Any, method: str, value: Any, annotation: Any) -> bytes | None:
        if not isinstance(value, str):
            return None
        return f"{number} {method} {value}".encode()

    def call(self, argument: Any = "x", wanted: Any = int, now: float = 1.0) -> PoolCall | None:
        """A call, where it was sent."""
        call = PoolCall(wanted)
        return call if self.calls.send(call, "A.B", argument, str, now) else None

    def sent(self) -> list[bytes]:
        """The messages that were queued, and now are sent."""
        frames = bytes(self.outbox.take(1000) or b"")
        self.outbox.sent(len(frames))
        decoder = self.backend.frames.MessageDecoder(
            client=not frames or not frames[1] & 0x80, max_frame_size=100, max_message_size=100
        )
        messages: list[Any] = decoder.receive(frames)
        return [bytes(each) for each in messages]


@pytest.mark.parametrize("masked", [True, False])
def test_calls_are_numbered_and_wait(backend: Backend, masked: bool) -> None:
    sending = Sending(backend, masked=masked)
    first, second = sending.call("x", now=1.0), sending.call("y", now=2.0)
    assert first is not None and second is not None
    assert (first.call_id, second.call_id, sending.calls.next) == (0, 1, 2)
    assert (first.started, second.started) == (1.0, 2.0)
    assert 0 < first.end < second.end == sending.outbox.queued
    assert [sending.table.get(number) for number in (0, 1)] == [first, second]
    assert sending.begun == [1.0], "the second isn't the only one"
    assert sending.sent() == [b"0 A.B x", b"1 A.B y"]


@pytest.mark.parametrize("masked", [True, False])
def test_answers_go_to_their_requests(backend: Backend, masked: bool) -> None:
    sending = Sending(backend, masked=masked)
    assert sending.answers.send(Request(7, "A.B"), "x", str)
    assert sending.sent() == [b"7 A.B x"]
    assert not sending.answers.send(Request(8, "A.B"), None, str)
    assert not sending.answers.send(Request(8, "A.B"), "x" * 20, str)
    assert sending.sent() == []


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [(5, int), ("x" * 20, int), ("x", str), ("x", [])],
    ids=["odd argument", "too long", "unknown result", "not hashable"],
)
def test_what_is_not_usual_leaves_all_as_it_was(
    backend: Backend, argument: Any, wanted: Any
) -> None:
    sending = Sending(backend)
    assert sending.call(argument, wanted) is None
    assert (len(sending.table), sending.calls.next, sending.begun) == (0, 0, [])
    assert sending.sent() == []
    assert sending.call() is not None
    assert sending.sent() == [b"0 A.B x"]


def test_too_many_calls_those_that_were_forgotten_included(backend: Backend) -> None:
    sending = Sending(backend)
    assert sending.call() and sending.call()
    sending.forgotten.add(99)
    assert sending.call() is None
    sending.forgotten.clear()
    assert sending.call()
    assert sending.call() is None


@pytest.mark.parametrize("end", ["full", "over"])
def test_nothing_is_queued_where_it_cannot_leave(backend: Backend, end: str) -> None:
    sending = Sending(backend)
    if end == "full":
        sending.outbox.put(bytes(31))
    else:
        sending.connection.plain = False
    before = sending.outbox.queued
    assert sending.call() is None
    assert not sending.answers.send(Request(1, "A.B"), "x", str)
    assert sending.outbox.queued == before
