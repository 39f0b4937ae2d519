"""Messages of webwire in one step: the frames that the long way makes, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

import pytest

from wirecore._backend import Backend
from wirecore.errors import InvalidState, LocalLimitExceeded, UnsendableMessage
from wirecore.session.calls import Call
from wirecore.webwire_rules import Encoding, MessageType

BINARY, UTF8, UTF16 = Encoding

REQUEST, SIGNAL, REPLY = MessageType.REQUEST, MessageType.SIGNAL, MessageType.REPLY


class Writing:
    """A writer, with its table and outbox."""

    def __init__(
        self,
        backend: Backend,
        *,
        masked: bool = False,
        largest: int = 1000,
        max_queued: int = 1000,
        ids: Iterable[Any] = (),
        table: bool = True,
    ) -> None:
        self.backend = backend
        self.ids = iter(ids) if ids else count(1)
        self.table: Any = backend.calls.CallTable(lambda: next(self.ids), max_pending=2)
        self.outbox = backend.outbox.Outbox()
        self.writer: Any = backend.webwire_writer.MessageWriter(
            self.table if table else None,
            self.outbox,
            masked=masked,
            largest=largest,
            max_queued=max_queued,
        )

    def sent(self) -> list[Any]:
        """The messages that were queued, read back."""
        queued = bytes(self.outbox.take(10_000))
        self.outbox.sent(len(queued))
        decoder = self.backend.frames.MessageDecoder(
            client=not queued[1] & 0x80, max_frame_size=1000, max_message_size=1000
        )
        messages: list[Any] = decoder.receive(queued)
        return [self.backend.webwire.decode_message(each) for each in messages]


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("encoding", Encoding)
def test_a_request_is_queued_and_waits(backend: Backend, encoding: Encoding, masked: bool) -> None:
    writing = Writing(backend, masked=masked)
    calls = Call(), Call()
    first = writing.writer.request(calls[0], "name", b"pay-load", encoding, 1.5)
    second = writing.writer.request(calls[1], "names", b"", encoding, 0.0)
    assert second == writing.outbox.queued == writing.outbox.pending > first > 0
    assert [call.call_id for call in calls] == [1, 2]
    assert [(call.started, call.end) for call in calls] == [(1.5, first), (0.0, second)]
    assert writing.sent() == [
        (REQUEST + encoding, 1, "name", b"pay-load"),
        (REQUEST + encoding, 2, "names", b""),
    ]
    assert writing.table.answer(2) is calls[1]


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("encoding", Encoding)
def test_replies_and_signals_are_queued(backend: Backend, encoding: Encoding, masked: bool) -> None:
    writing = Writing(backend, masked=masked, table=False)
    first = writing.writer.reply(2**64 - 1, b"", encoding)
    second = writing.writer.signal("odd", b"data", encoding)
    assert writing.writer.reply(0, b"data", encoding) == writing.outbox.queued > second > first > 0
    assert writing.sent() == [
        (REPLY + encoding, 2**64 - 1, "", b""),
        (SIGNAL + encoding, 0, "odd", b"data"),
        (REPLY + encoding, 0, "", b"data"),
    ]


def test_frames_of_every_length_are_those_of_the_long_way(backend: Backend) -> None:
    codec = backend.webwire
    for size in (0, 1, 110, 114, 115, 116, 117, 118, 125, 126, 200, 65520, 65527, 70000):
        writing = Writing(backend, largest=100_000)
        payload = bytes(size)
        assert writing.writer.request(Call(), "n", payload, UTF8, 0.0)
        message = codec.encode_request(1, "n", payload, UTF8)
        assert writing.outbox.take(100_000) == backend.frames.encode_message(message, False)


def test_a_mask_goes_on_from_the_header_to_the_payload(backend: Backend) -> None:
    for size in range(1, 20):
        writing = Writing(backend, masked=True)
        payload = bytes(range(100, 100 + size))
        writing.writer.signal("n" * size, payload, BINARY)
        assert writing.sent() == [(SIGNAL, 0, "n" * size, payload)]


def test_the_longest_message_passes_and_no_longer_one(backend: Backend) -> None:
    writing = Writing(backend, largest=20)
    assert writing.writer.request(Call(), "name", bytes(6), BINARY, 0.0)
    assert not writing.writer.request(Call(), "name", bytes(7), BINARY, 0.0)
    assert writing.writer.request(Call(), "nam", bytes(6), UTF16, 0.0)
    assert writing.writer.reply(1, bytes(11), BINARY)
    assert not writing.writer.reply(1, bytes(12), BINARY)
    assert writing.writer.reply(1, bytes(10), UTF16)
    assert not writing.writer.reply(1, bytes(12), UTF16)
    assert writing.writer.signal("name", bytes(14), BINARY)
    assert not writing.writer.signal("name", bytes(15), BINARY)
    assert len(writing.table) == 2


def test_nothing_is_queued_behind_too_much(backend: Backend) -> None:
    writing = Writing(backend, max_queued=30)
    assert writing.writer.reply(1, bytes(20), BINARY) == 31
    assert not writing.writer.reply(1, b"", BINARY)
    assert not writing.writer.signal("name", b"", BINARY)
    assert not writing.writer.request(Call(), "name", b"", BINARY, 0.0)
    writing.outbox.take(100)
    writing.outbox.sent(1)
    assert writing.writer.request(Call(), "name", b"", BINARY, 0.0)


UNUSUAL: dict[str, tuple[str, tuple[Any, ...]]] = {
    "buffer": ("request", (Call(), "n", bytearray(b"x"), BINARY, 0.0)),
    "payload as text": ("request", (Call(), "n", "x", BINARY, 0.0)),
    "name as bytes": ("request", (Call(), b"n", b"x", BINARY, 0.0)),
    "long name": ("request", (Call(), "n" * 256, b"x", BINARY, 0.0)),
    "name beyond ASCII": ("request", (Call(), "é", b"x", BINARY, 0.0)),
    "neither name nor payload": ("request", (Call(), "", b"", BINARY, 0.0)),
    "odd UTF-16": ("request", (Call(), "n", b"x", UTF16, 0.0)),
    "unknown encoding": ("request", (Call(), "n", b"x", 3, 0.0)),
    "encoding as text": ("request", (Call(), "n", b"x", "utf8", 0.0)),
    "reply of a buffer": ("reply", (1, bytearray(b"x"), BINARY)),
    "reply to text": ("reply", ("1", b"x", BINARY)),
    "reply to an id below 0": ("reply", (-1, b"x", BINARY)),
    "reply to an id over 8 bytes": ("reply", (2**64, b"x", BINARY)),
    "reply of an unknown encoding": ("reply", (1, b"x", -1)),
    "odd UTF-16 reply": ("reply", (1, b"x", UTF16)),
    "signal of a buffer": ("signal", ("n", memoryview(b"x"), BINARY)),
    "signal without a name": ("signal", (None, b"x", BINARY)),
    "signal of an unknown encoding": ("signal", ("n", b"x", 2**70)),
    "signal of nothing": ("signal", ("", b"", UTF8)),
    "name-only UTF-16 signal": ("signal", ("n", b"", UTF16)),
}


@pytest.mark.parametrize(("verb", "arguments"), UNUSUAL.values(), ids=UNUSUAL)
def test_what_cant_be_written_goes_the_long_way(
    backend: Backend, verb: str, arguments: tuple[Any, ...]
) -> None:
    writing = Writing(backend)
    assert getattr(writing.writer, verb)(*arguments) == 0
    assert (writing.outbox.queued, len(writing.table)) == (0, 0)


def test_no_more_calls_are_opened_than_may_wait(backend: Backend) -> None:
    writing = Writing(backend)
    for _ in range(2):
        writing.writer.request(Call(), "name", b"", BINARY, 0.0)
    queued = writing.outbox.queued
    with pytest.raises(LocalLimitExceeded, match="max_pending_calls"):
        writing.writer.request(Call(), "name", b"", BINARY, 0.0)
    assert (writing.outbox.queued, len(writing.table)) == (queued, 2)


@pytest.mark.parametrize(
    ("wrong", "error"), [(-1, UnsendableMessage), (2**64, UnsendableMessage), ("1", TypeError)]
)
def test_a_call_whose_id_cant_be_sent_doesnt_stay(
    backend: Backend, wrong: Any, error: type[Exception]
) -> None:
    writing = Writing(backend, ids=[wrong])
    with pytest.raises(error):
        writing.writer.request(Call(), "name", b"", BINARY, 0.0)
    assert (writing.outbox.queued, len(writing.table)) == (0, 0)


def test_a_waiter_has_its_id_time_and_end_too(backend: Backend) -> None:
    writing = Writing(backend)
    callers = backend.waiting.Callers(lambda *_: None, lambda *_: None, None)
    call = callers.new_call()
    end = writing.writer.request(call, "name", b"", BINARY, 2.5)
    assert (call.call_id, call.started, call.end) == (1, 2.5, end)
    assert writing.table.answer(1) is call


def test_a_call_that_takes_no_id_doesnt_stay(backend: Backend) -> None:
    writing = Writing(backend)
    with pytest.raises(AttributeError):
        writing.writer.request(object(), "name", b"", BINARY, 0.0)
    assert (writing.outbox.queued, len(writing.table)) == (0, 0)


def test_an_end_without_a_table_makes_no_requests(backend: Backend) -> None:
    writing = Writing(backend, table=False)
    with pytest.raises(InvalidState, match="no requests"):
        writing.writer.request(Call(), "name", b"", BINARY, 0.0)
    assert writing.outbox.queued == 0
