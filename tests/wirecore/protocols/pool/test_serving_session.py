"""The serving end: what it answers itself, how much it takes at once, and streams that break."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wirecore.protocols.pool.ends import Method, Peers, outgoing, received, sent_by
from wirecore import gob
from wirecore._backend import Backend
from wirecore.errors import InvalidStream, LocalLimitExceeded, RpcError, UnsendableMessage
from wirecore.protocols.pool import Request
from wirecore.session.limits import Limits

codecs = pytest.mark.parametrize("codec", ["gob", "json"])

RUBBISH = b"\x05]]]]]"


def error_texts(peers: Peers) -> list[str]:
    texts = []
    for answer in peers.to_calling() or ():
        assert isinstance(answer.error, RpcError)
        texts.append(answer.error.text)
    return texts


@codecs
def test_what_it_answers_itself(backend: Backend, codec: str) -> None:
    peers = Peers(backend, codec)
    peers.call("x", "A.Unknown")
    peers.call(5)
    good = peers.call("good")
    (incoming,) = peers.to_serving()
    assert incoming.argument == "good"
    assert incoming.target == Method()
    unknown, wrong = error_texts(peers)
    assert unknown == "rpc: can't find method A.Unknown"
    texts = {
        "gob": "gob: decoding into local type *string, received remote type int",
        "json": "json: cannot unmarshal number into Go value of type string",
    }
    assert wrong == texts[codec]
    peers.serving.reply_error(incoming.request, "no")
    assert error_texts(peers) == ["no"]
    assert good.call_id == 2


@codecs
def test_sizes_add_up_to_what_came(backend: Backend, codec: str) -> None:
    peers = Peers(backend, codec)
    arguments = ["a", "b" * 5000, "c"]
    for argument in arguments:
        peers.call(argument)
    peers.call("x" * 300, "A.Unknown")
    peers.call("d")
    messages = [message.payload for message in sent_by(peers.calling)]
    incoming = peers.to_serving(b"".join(messages))
    assert [each.argument for each in incoming] == [*arguments, "d"]
    assert incoming[1].size > 5000
    assert incoming[2].size == incoming[3].size < 100
    assert sum(each.size for each in incoming) < sum(map(len, messages)) - 300


@codecs
def test_many_requests_in_one_message_come_in_portions(backend: Backend, codec: str) -> None:
    peers = Peers(backend, codec)
    for number in range(2500):
        peers.call(str(number))
    stream = b"".join(message.payload for message in sent_by(peers.calling))
    data = backend.frames.encode_message(stream, True)
    portions = [peers.serving.receive(data, 0.0)]
    while peers.serving.stage.deferred:
        portions.append(peers.serving.receive(b"", 0.0))
    assert [len(portion or ()) for portion in portions] == [1024, 1024, 452]
    found = [incoming.argument for portion in portions for incoming in portion or ()]
    assert found == [str(number) for number in range(2500)]


def test_requests_that_it_answers_itself_come_in_portions_too(backend: Backend) -> None:
    peers = Peers(backend)
    for _ in range(1500):
        peers.call(method="A.Unknown")
    stream = b"".join(message.payload for message in sent_by(peers.calling))
    assert peers.serving.receive(backend.frames.encode_message(stream, True), 0.0) is None
    assert len(sent_by(peers.serving)) == 1024
    assert peers.serving.stage.deferred
    assert peers.serving.receive(b"", 0.0) is None
    assert len(sent_by(peers.serving)) == 476
    assert not peers.serving.stage.deferred


@codecs
def test_the_end_of_the_stream_between_portions(backend: Backend, codec: str) -> None:
    peers = Peers(backend, codec)
    for _ in range(1500):
        peers.call()
    stream = b"".join(message.payload for message in sent_by(peers.calling))
    peers.serving.receive(backend.frames.encode_message(stream, True), 0.0)
    peers.serving.receive_eof(0.0)
    assert peers.serving.stage.finished
    assert not peers.serving.stage.deferred
    assert peers.serving.problem is None


@codecs
def test_what_came_before_rubbish_is_answered(backend: Backend, codec: str) -> None:
    peers = Peers(backend, codec)
    peers.call("good")
    (message,) = sent_by(peers.calling)
    data = backend.frames.encode_message(message.payload + RUBBISH, True)
    (incoming,) = peers.serving.receive(data, 0.0) or []
    request, _, argument, _ = incoming
    assert isinstance(peers.serving.problem, InvalidStream)
    assert not peers.serving.stage.finished
    peers.serving.reply(request, argument, str)
    assert peers.serving.stage.deferred
    assert peers.serving.receive(b"", 0.0) is None
    assert peers.serving.stage.finished
    answer, close = sent_by(peers.serving)
    assert b"good" in answer.payload
    assert close.payload[:2] == (1002).to_bytes(2, "big")
    peers.serving.reply(request, argument, str)
    peers.serving.reply_error(request, "late")
    assert not peers.serving.outbox.pending


@pytest.mark.parametrize("end", ["end of stream", "close frame"])
def test_a_stream_that_ends_within_a_request(backend: Backend, end: str) -> None:
    peers = Peers(backend)
    peers.call()
    (message,) = sent_by(peers.calling)
    assert peers.to_serving(message.payload[:-1]) == []
    if end == "close frame":
        peers.calling.close()
        received(peers.serving, outgoing(peers.calling), 0.0)
    else:
        peers.serving.receive_eof(0.0)
    assert str(peers.serving.problem) == "unexpected EOF"


def test_requests_after_close_are_dropped(backend: Backend) -> None:
    peers = Peers(backend)
    peers.serving.close()
    peers.call()
    assert peers.to_serving() == []


@codecs
def test_a_reply_that_cannot_be_sent_leaves_room_for_an_error(backend: Backend, codec: str) -> None:
    peers = Peers(backend, codec, limits=gob.Limits(max_message_size=2000))
    peers.call()
    ((request, _, _, _),) = peers.to_serving()
    with pytest.raises(LocalLimitExceeded):
        peers.serving.reply(request, "x" * 2000, str)
    with pytest.raises(UnsendableMessage):
        peers.serving.reply(request, None, int | None)
    assert not peers.serving.outbox.pending
    peers.serving.reply_error(request, "y" * 3000)
    assert error_texts(peers) == ["y" * 1000]


def test_a_peer_that_does_not_read_is_given_up(backend: Backend) -> None:
    peers = Peers(backend, serving={"limits": Limits(max_queued_bytes=200)})
    for _ in range(20):
        peers.call(method="A.Unknown")
    assert peers.to_serving() == []
    assert isinstance(peers.serving.problem, LocalLimitExceeded)
    assert peers.serving.stage.finished
    *answers, close = sent_by(peers.serving)
    assert len(answers) < 20
    assert close.payload[:2] == (1013).to_bytes(2, "big")


def test_an_answer_of_the_owners_that_the_peer_leaves_unread(backend: Backend) -> None:
    peers = Peers(backend, serving={"limits": Limits(max_queued_bytes=200)})
    for _ in range(3):
        peers.call()
    first, second, third = peers.to_serving()
    peers.serving.reply(first.request, "x" * 300, str)
    with pytest.raises(LocalLimitExceeded, match="max_queued_bytes"):
        peers.serving.reply(second.request, "x", str)
    with pytest.raises(LocalLimitExceeded, match="max_queued_bytes"):
        peers.serving.reply_error(third.request, "x")
    assert not peers.serving.stage.finished


def test_a_type_that_is_none_is_no_fault_of_the_peers(backend: Backend) -> None:
    peers = Peers(backend, serving={"find": lambda name: Method(set)})
    peers.call()
    assert peers.to_serving() == []
    (close,) = sent_by(peers.serving)
    assert close.payload == (1011).to_bytes(2, "big")


# --- frames ---


@pytest.mark.parametrize(
    ("size", "client", "server"),
    [
        (1, [1], [1]),
        (4082, [4082], [4082]),
        (4083, [4083], [4082, 1]),
        (4096, [4096], [4082, 14]),
        (4097, [4096, 1], [4082, 15]),
        (8164, [4096, 4068], [4082, 4082]),
        (8192, [4096, 4096], [4082, 4082, 28]),
        (8193, [4096, 4096, 1], [8193, 0]),
        (65_536, [4096] * 16, [65_536, 0]),
        (65_537, [4096] * 16 + [1], [65_537, 0]),
        (1_000_000, [4096] * 244 + [576], [1_000_000, 0]),
    ],
)
def test_writes_are_cut_as_the_original_cuts_them(
    backend: Backend, size: int, client: list[int], server: list[int]
) -> None:
    """In JSON a call or an answer is one write."""
    peers = Peers(backend, "json")
    overhead = len(b'{"method":"A.Say","params":[""],"id":0}\n')
    if size > overhead:
        peers.call("x" * (size - overhead))
        (message,) = sent_by(peers.calling)
        assert message.sizes == client
    request: Any = Request(b"0", "A.Say")
    overhead = len(b'{"id":0,"result":"","error":null}\n')
    if size > overhead:
        peers.serving.reply(request, "x" * (size - overhead), str)
        (message,) = sent_by(peers.serving)
        assert message.sizes == server
