"""Short requests and answers in one step: the frames that the long way makes, or nothing at all."""

from __future__ import annotations

from typing import Any

import pytest

from wirecore._backend import Backend
from wirecore.errors import LocalLimitExceeded
from wirecore.session.calls import Call

ID = "2b1e7a6c-66f2-4a6b-9d8b-0a4f5b6c7d8e"


class Writing:
    """A writer, with its table and outbox."""

    def __init__(
        self,
        backend: Backend,
        *,
        masked: bool = False,
        largest: int = 1000,
        max_queued: int = 1000,
    ) -> None:
        self.backend = backend
        self.ids = iter([ID, "another", "a third"])
        self.table: Any = backend.calls.CallTable(self.ids.__next__, max_pending=2)
        self.outbox = backend.outbox.Outbox()
        self.writer = backend.envelope_writer.EnvelopeWriter(
            self.table,
            self.outbox,
            masked=masked,
            largest=largest,
            max_queued=max_queued,
        )

    def sent(self) -> list[Any]:
        """The envelopes that were queued, read back."""
        queued = bytes(self.outbox.take(10_000))
        self.outbox.sent(len(queued))
        decoder = self.backend.frames.MessageDecoder(
            client=not queued[1] & 0x80, max_frame_size=1000, max_message_size=1000
        )
        messages: list[Any] = decoder.receive(queued)
        return [self.backend.envelope.decode_envelope(each) for each in messages]


@pytest.mark.parametrize("masked", [True, False])
def test_a_request_is_queued_and_waits(backend: Backend, masked: bool) -> None:
    writing = Writing(backend, masked=masked)
    call = Call()
    end = writing.writer.request(call, "Mèthod", b"payload")
    assert end == writing.outbox.queued == writing.outbox.pending > 0
    assert call.call_id == ID
    assert writing.table.answer(ID) is call
    request = backend.envelope.REQUEST
    assert writing.sent() == [(request, "Mèthod", ID, b"payload")]


@pytest.mark.parametrize("masked", [True, False])
def test_an_answer_is_queued(backend: Backend, masked: bool) -> None:
    writing = Writing(backend, masked=masked)
    first = writing.writer.response("some id", b"")
    assert writing.writer.response(ID, b"payload") == writing.outbox.queued > first > 0
    response = backend.envelope.RESPONSE
    assert writing.sent() == [(response, "some id", b"", ""), (response, ID, b"payload", "")]


def test_frames_of_every_length_are_those_of_the_long_way(backend: Backend) -> None:
    for size in (0, 1, 60, 80, 125, 126, 200, 800):
        writing = Writing(backend, largest=2000)
        payload = bytes(size)
        writing.writer.response(ID, payload)
        envelope = backend.envelope.encode_response(ID, payload)
        assert writing.outbox.take(10_000) == backend.frames.encode_message(envelope, False)


@pytest.mark.parametrize(
    ("options", "method", "payload"),
    [
        ({"largest": 200}, "Method", bytes(140)),
        ({"largest": 200}, "M" * 50, b""),
        ({"max_queued": 9}, "Method", b"payload"),
        ({}, "Method", bytearray(b"payload")),
        ({}, "Method", memoryview(b"payload")),
    ],
    ids=["payload too long", "method too long", "too much queued", "bytearray", "memoryview"],
)
def test_what_is_unusual_is_left_to_the_long_way(
    backend: Backend, options: dict[str, Any], method: str, payload: Any
) -> None:
    writing = Writing(backend, **options)
    writing.outbox.put(b"10 bytes..")
    call = Call()
    assert writing.writer.request(call, method, payload) == 0
    assert writing.writer.response(method, payload) == 0
    assert call.call_id is None
    assert len(writing.table) == 0
    assert writing.outbox.pending == 10


def test_no_envelope_is_longer_than_told(backend: Backend) -> None:
    """However its text is encoded: a character may be 4 bytes long."""
    for text in ("M", "\N{GRINNING FACE}"):
        for size in range(130):
            writing = Writing(backend, largest=200)
            if writing.writer.request(Call(), text * (size // 4), bytes(size)):
                ((_, method, _, payload),) = writing.sent()
                assert len(backend.envelope.encode_request(method, ID, payload)) <= 200


def test_calls_are_bounded(backend: Backend) -> None:
    writing = Writing(backend)
    for _ in range(2):
        assert writing.writer.request(Call(), "Method", b"")
    queued = writing.outbox.queued
    with pytest.raises(LocalLimitExceeded) as caught:
        writing.writer.request(Call(), "Method", b"")
    assert caught.value.limit == "max_pending_calls"
    assert writing.outbox.queued == queued


def test_what_cant_be_encoded_leaves_nothing(backend: Backend) -> None:
    writing = Writing(backend)
    with pytest.raises(UnicodeEncodeError):
        writing.writer.request(Call(), "\ud800", b"")
    with pytest.raises(UnicodeEncodeError):
        writing.writer.response("\ud800", b"")
    assert len(writing.table) == 0
    assert writing.outbox.queued == 0


def test_a_failure_behind_the_opening_forgets_the_call(backend: Backend) -> None:
    writing = Writing(backend)

    class Sealed:
        """A call that no id can be given to."""

        __slots__ = ()

    with pytest.raises(AttributeError):
        writing.writer.request(Sealed(), "Method", b"")  # type: ignore[arg-type]
    assert len(writing.table) == 0
    assert writing.outbox.queued == 0
