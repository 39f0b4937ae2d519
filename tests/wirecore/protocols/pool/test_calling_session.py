"""The calling end: numbers, bounds, answers that come in parts, and streams that break."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wirecore.protocols.pool.ends import Peers, sent_by
from wirecore import gob
from wirecore._backend import Backend
from wirecore.errors import (
    InvalidGobType,
    InvalidJsonType,
    InvalidStream,
    InvalidValue,
    LocalLimitExceeded,
    NotConnected,
    RpcError,
    UnsendableMessage,
)
from wirecore.events import RawText
from wirecore.protocols.pool import TIMED_OUT, Answer, PoolCall
from wirecore.session.limits import Limits

codecs = pytest.mark.parametrize("codec", ["gob", "json"])

RUBBISH = b"\x05]]]]]"


@codecs
def test_answers_come_back_to_their_calls(backend: Backend, codec: str) -> None:
    peers = Peers(backend, codec)
    first, second, unknown = peers.call("1"), peers.call("2"), peers.call("3", "A.Unknown")
    incoming = peers.to_serving()
    for request, _, argument, _ in reversed(incoming):
        peers.serving.reply(request, argument, str)
    answers = peers.to_calling()
    assert answers is not None
    assert {answer.call: answer.value for answer in answers} == {
        unknown: None,
        second: "2",
        first: "1",
    }
    (error,) = [answer.error for answer in answers if answer.call is unknown]
    assert isinstance(error, RpcError)
    assert error.text == "rpc: can't find method A.Unknown"
    assert not peers.calling.table


@codecs
def test_a_call_that_fails_here_uses_up_no_number(backend: Backend, codec: str) -> None:
    peers = Peers(backend, codec)
    assert peers.call().call_id == 0
    for argument, annotation, error in (
        (1 << 70, int, UnsendableMessage),
        (None, set, (InvalidGobType, InvalidJsonType)),
    ):
        failed = PoolCall(str)
        with pytest.raises(error):
            peers.calling.call(failed, "A.Say", argument, annotation, 0.0)
        assert failed.call_id is None
    assert peers.call().call_id == 1
    assert [incoming.argument for incoming in peers.to_serving()] == ["text", "text"]


def test_what_is_over_a_bound_is_refused_and_nothing_sent(backend: Backend) -> None:
    limits = Limits(max_queued_bytes=100)
    peers = Peers(backend, calling={"max_pending_calls": 2, "limits": limits})
    first = peers.call("x" * 100)
    with pytest.raises(LocalLimitExceeded, match="max_queued_bytes"):
        peers.call()
    [asked] = peers.to_serving()
    peers.call()
    queued = peers.calling.outbox.queued
    with pytest.raises(LocalLimitExceeded, match="max_pending_calls"):
        peers.call()
    assert peers.calling.outbox.queued == queued
    peers.calling.forget(first)  # the peer is still at it
    with pytest.raises(LocalLimitExceeded, match="max_pending_calls"):
        peers.call()
    peers.serving.reply(asked.request, "late", str)
    assert len(peers.answer() or ()) == 1
    assert peers.calling.late == 1
    assert peers.call().call_id == 2


@codecs
def test_a_result_in_several_messages(backend: Backend, codec: str) -> None:
    """Until it is whole its call can time out, be forgotten, and be lost."""
    for happens in ("answer", "time", "forget", "lost"):
        peers = Peers(backend, codec, calling={"call_timeout": 10.0})
        made = peers.call("x" * 10_000)
        for request, _, argument, _ in peers.to_serving():
            peers.serving.reply(request, argument, str)
        data = b"".join(message.payload for message in sent_by(peers.serving))
        for start in range(0, 9000, 1000):
            assert peers.to_calling(data[start : start + 1000]) is None
        if happens == "time":
            assert peers.calling.expire(10.0) == [Answer(made, None, TIMED_OUT)]
        elif happens == "forget":
            peers.calling.forget(made)
        elif happens == "lost":
            assert peers.calling.lost() == [(made, "maybe_executed")]
        rest = peers.to_calling(data[9000:])
        assert rest == ([Answer(made, "x" * 10_000, None)] if happens == "answer" else [])
        assert peers.calling.table.late == (happens in ("time", "forget"))
        peers.call("more")
        assert peers.answer() is not None


def test_a_late_answer_is_dropped_and_the_owner_called(backend: Backend) -> None:
    peers = Peers(backend)
    peers.calling.forget(peers.call())
    assert peers.answer() == []
    assert peers.calling.table.late == 1


@codecs
def test_a_result_of_another_type_is_that_calls_error(backend: Backend, codec: str) -> None:
    peers = Peers(backend, codec)
    peers.call("1", result=int)
    for wrong in (set, [int], {"a": int}):
        with pytest.raises(InvalidGobType):
            peers.call("nothing of it is sent", result=wrong)
    peers.call("2", result=complex)  # which gob has
    peers.call("3", result=None)  # passed over, whatever it is
    peers.call("4")
    answers = peers.answer()
    assert answers is not None
    assert isinstance(answers[0].error, InvalidValue)
    assert answers[0].error.__traceback__ is None
    assert isinstance(answers[1].error, InvalidValue if codec == "gob" else InvalidJsonType)
    assert [answer[1:] for answer in answers[2:]] == [(None, None), ("4", None)]
    assert peers.calling.problem is None


@codecs
def test_what_is_no_answer_ends_the_connection(backend: Backend, codec: str) -> None:
    peers = Peers(backend, codec)
    first, second = peers.call("1"), peers.call("2")
    request, _, argument, _ = peers.to_serving()[0]
    peers.serving.reply(request, argument, str)
    (whole,) = sent_by(peers.serving)
    assert peers.to_calling(whole.payload + RUBBISH) == [Answer(first, "1", None)]
    assert isinstance(peers.calling.problem, InvalidStream)
    assert peers.calling.stage.finished
    (close,) = sent_by(peers.calling)
    assert close.payload[:2] == (1002).to_bytes(2, "big")
    assert peers.calling.lost() == [(second, "maybe_executed")]
    with pytest.raises(NotConnected):
        peers.call()
    assert peers.to_calling(b"more") is None


@pytest.mark.parametrize(("codec", "lacks"), [("gob", 1), ("json", len("}\n"))])
@pytest.mark.parametrize("end", ["end of stream", "close frame"])
def test_a_stream_that_ends_within_an_answer(
    backend: Backend, codec: str, lacks: int, end: str
) -> None:
    peers = Peers(backend, codec)
    peers.call()
    for request, _, argument, _ in peers.to_serving():
        peers.serving.reply(request, argument, str)
    (whole,) = sent_by(peers.serving)
    assert peers.to_calling(whole.payload[:-lacks]) is None
    if end == "close frame":
        peers.serving.close()
        peers.to_calling()
    else:
        peers.calling.receive_eof(0.0)
    assert isinstance(peers.calling.problem, InvalidStream)
    assert str(peers.calling.problem) == "unexpected EOF"


@pytest.mark.parametrize("ended_by", ["us", "a broken frame", "a broken frame, put off"])
def test_another_end_is_no_fault_of_the_stream(backend: Backend, ended_by: str) -> None:
    peers = Peers(backend)
    peers.to_calling(b"\x20")  # the length of what doesn't come
    if ended_by == "us":
        peers.calling.close()
    elif ended_by == "a broken frame":
        peers.calling.receive(b"\x8f\x00", 0.0)
        assert peers.calling.stage.finished
    else:
        peers.calling.receive(b"\x82\x01x\x8f\x00", 0.0)
        assert peers.calling.stage.deferred
    peers.calling.receive_eof(0.0)
    assert peers.calling.problem is None


@codecs
def test_many_answers_in_one_message_come_in_portions(backend: Backend, codec: str) -> None:
    """To calls that are forgotten, too, of which there may be any number."""
    peers = Peers(backend, codec)
    calls = [peers.call() for _ in range(2500)]
    for request, _, argument, _ in peers.to_serving():
        peers.serving.reply(request, argument, str)
    stream = b"".join(message.payload for message in sent_by(peers.serving))
    for forgotten in calls[1000:1500]:
        peers.calling.forget(forgotten)
    portions = [peers.to_calling(stream)]
    while peers.calling.stage.deferred:
        portions.append(peers.calling.receive(b"", 0.0))
    assert [len(portion or ()) for portion in portions] == [1000, 548, 452]
    assert [answer.call for portion in portions for answer in portion or ()] == [
        *calls[:1000],
        *calls[1500:],
    ]


@codecs
def test_the_end_of_the_stream_between_portions(backend: Backend, codec: str) -> None:
    peers = Peers(backend, codec)
    calls = [peers.call() for _ in range(1500)]
    for request, _, argument, _ in peers.to_serving():
        peers.serving.reply(request, argument, str)
    stream = b"".join(message.payload for message in sent_by(peers.serving))
    peers.to_calling(stream)
    peers.calling.receive_eof(0.0)
    assert peers.calling.stage.finished
    assert not peers.calling.stage.deferred
    assert peers.calling.problem is None
    assert [call for call, _ in peers.calling.lost()] == calls[1024:]


# --- our own messages ---


def text(peers: Peers, message: str) -> list[Answer] | None:
    """What comes of a text message."""
    return peers.calling.receive(peers.backend.frames.encode_message(message, False), 0.0)


def test_the_serving_end_leaves(backend: Backend) -> None:
    extended: dict[str, Any] = {"extended": True}
    peers = Peers(backend, calling=extended, serving=extended)
    peers.serving.leave()
    peers.serving.leave()
    (message,) = sent_by(peers.serving)
    assert message.payload == b'{"leave": true}'
    assert text(peers, message.payload.decode()) == []
    assert peers.calling.leaving
    peers.call()
    assert peers.answer() is not None


def test_messages_that_say_nothing(backend: Backend) -> None:
    peers = Peers(backend, calling={"extended": True})
    long = '{"leave": true, "x": "%s"}' % ("x" * 2000)
    for said in ("", "{", "[1]", '{"leave": 1}', '{"join": true}', "[" * 1000, "9" * 1000, long):
        assert text(peers, said) is None
    assert peers.calling.receive(b"\x81\x01\xff", 0.0) is None
    assert not peers.calling.leaving
    peers.call()
    assert peers.answer() is not None


def test_text_is_stream_where_nothing_was_agreed(backend: Backend) -> None:
    peers = Peers(backend)
    peers.serving.leave()
    assert not peers.serving.outbox.pending
    made = peers.call()
    for request, _, argument, _ in peers.to_serving():
        peers.serving.reply(request, argument, str)
    (whole,) = sent_by(peers.serving)
    encode = backend.frames.encode_message
    data = b"".join(encode(RawText(bytes((byte,))), False) for byte in whole.payload)
    assert peers.calling.receive(data + encode(b"", False), 0.0) == [Answer(made, "text", None)]


def test_a_large_value_passes_where_limits_let_it(backend: Backend) -> None:
    limits = gob.Limits(max_message_size=1 << 20)
    peers = Peers(backend, limits=limits)
    made = peers.call("x" * 500_000)
    assert peers.answer() == [Answer(made, "x" * 500_000, None)]
    with pytest.raises(LocalLimitExceeded):
        peers.call("x" * (1 << 20))
    assert peers.call().call_id == 1
