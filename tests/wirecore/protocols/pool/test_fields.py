"""What goes with a call, in a control message right before it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wirecore.protocols.pool.ends import Peers, outgoing, received, sent_by
from wirecore._backend import Backend
from wirecore.constants import Opcode
from wirecore.errors import LocalError
from wirecore.protocols.pool import PoolCall
from wirecore.session.fields import CallFields, write_fields

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}

codecs = pytest.mark.parametrize("codec", ["gob", "json"])


@pytest.fixture(autouse=True)
def wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody wants them."""
    monkeypatch.setattr(CallFields, "wanted", True)


def extended(backend: Backend, codec: str) -> Peers:
    return Peers(backend, codec, calling={"extended": True}, serving={"extended": True})


def call_with(peers: Peers, fields: dict[str, str], argument: Any = "text") -> PoolCall:
    """A call that is queued, with *fields*."""
    made = PoolCall(str)
    peers.calling.call_with(fields, made, "A.Say", argument, Any, 0.0)
    return made


@codecs
def test_they_come_with_their_call_and_no_other(backend: Backend, codec: str) -> None:
    peers = extended(backend, codec)
    peers.call("before")
    call_with(peers, TRACE, "traced")
    call_with(peers, {}, "without")
    call_with(peers, {"traceparent": "another"}, "x" * 100_000)
    data = outgoing(peers.calling)
    # A read may end anywhere, so also between the two messages.
    requests = [
        request
        for at in range(0, len(data), 7)
        for request, _, _, _ in received(peers.serving, data[at : at + 7], 0.0)
    ]
    found = [dict(peers.serving.fields_of(request)) for request in requests]
    assert found == [{}, TRACE, {}, {"traceparent": "another"}]
    for request in requests:
        assert peers.serving.fields_of(request) == {}
        peers.serving.reply(request, "done", str)
    assert [answer.value for answer in peers.to_calling() or ()] == ["done"] * 4


@codecs
def test_the_wire_of_what_was_agreed(backend: Backend, codec: str) -> None:
    peers, plain = extended(backend, codec), extended(backend, codec)
    call_with(peers, TRACE)
    plain.call()
    control, *rest = sent_by(peers.calling)
    assert (control.opcode, control.payload) == (Opcode.TEXT, write_fields(0, TRACE))
    assert rest == sent_by(plain.calling)


@codecs
def test_an_original_never_sees_them(backend: Backend, codec: str) -> None:
    peers, plain = Peers(backend, codec), Peers(backend, codec)
    assert not peers.calling.takes_fields
    call_with(peers, TRACE)
    plain.call()
    assert sent_by(peers.calling) == sent_by(plain.calling)


@codecs
def test_a_call_that_is_not_sent_leaves_nothing_for_the_next(backend: Backend, codec: str) -> None:
    peers = extended(backend, codec)
    with pytest.raises(LocalError):
        call_with(peers, TRACE, object())
    assert not peers.calling.outbox.pending
    call = peers.call()
    assert call.call_id == 0
    [incoming] = peers.to_serving()
    assert peers.serving.fields_of(incoming.request) == {}


@codecs
def test_who_does_not_ask_passes_them_over(
    backend: Backend, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ends of before did."""
    monkeypatch.setattr(CallFields, "wanted", False)
    peers = extended(backend, codec)
    call_with(peers, TRACE)
    [incoming] = peers.to_serving()
    assert incoming.argument == "text"
    assert peers.serving.fields_of(incoming.request) == {}


def test_ids_of_other_callers_in_json(backend: Backend) -> None:
    """JSON-RPC lets an id be anything."""
    peers = extended(backend, "json")
    for made in ('"7"', "7", "null", "1.5", '{"a":1}', "9" * 5000):
        message = f'{{"method":"A.Say","params":["x"],"id":{made}}}\n'
        text = write_fields(7, TRACE)
        data = backend.frames.encode_message(text, True)
        data += backend.frames.encode_message(message.encode(), True)
        [incoming] = received(peers.serving, data, 0.0)
        assert peers.serving.fields_of(incoming.request) == (TRACE if made == "7" else {})
