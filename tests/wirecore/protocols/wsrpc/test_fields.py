"""What goes with a call, in a message of text right before it."""

from __future__ import annotations

import pytest

from tests.wirecore.protocols.wsrpc.conftest import End, MakeEnd, Pair
from wirecore.constants import Opcode
from wirecore.errors import LocalLimitExceeded
from wirecore.session import Call, Limits
from wirecore.session.fields import CallFields
from wirecore.session.limits import CallLimits
from wirecore_py.envelope import REQUEST

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@pytest.fixture(autouse=True)
def wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody wants them."""
    monkeypatch.setattr(CallFields, "wanted", True)


@pytest.fixture
def pair(make_end: MakeEnd) -> Pair:
    """Both have agreed."""
    return Pair(make_end(client=True, extended=True), make_end(client=False, extended=True))


def call_with(end: End, fields: dict[str, str], payload: bytes = b"") -> Call:
    """A call that is queued, with *fields*."""
    call = Call()
    end.session.call_with(fields, call, "Echo", payload, 0.0)
    return call


def test_they_come_with_their_call_in_both_directions(pair: Pair) -> None:
    for caller, other in ((pair.client, pair.server), (pair.server, pair.client)):
        caller.call("Echo", b"before")
        call_with(caller, TRACE, b"traced" * 10_000)
        call_with(caller, {}, b"without")
        received = other.session.receive(caller.outgoing(), 0.0)
        assert received is not None
        assert other.session.fields is not None
        found = [dict(other.session.fields.take(call_id)) for _, call_id, _ in received.requests]
        assert found == [{}, TRACE, {}]
        assert other.session.dropped == 0
        for _, call_id, payload in received.requests:
            other.session.reply(call_id, payload)
        answered = caller.session.receive(other.outgoing(), 0.0)
        assert answered is not None
        assert len(answered.answers) == 3


def test_an_original_never_sees_them(make_end: MakeEnd) -> None:
    end = make_end(client=False)
    assert not end.session.takes_fields
    call = call_with(end, TRACE, b"x")
    assert end.sent() == [(REQUEST, "Echo", call.call_id, b"x")]


def test_what_the_peer_may_find_too_long_is_not_sent(make_end: MakeEnd) -> None:
    end = make_end(client=True, extended=True, call_limits=CallLimits(max_send_size=100))
    call = call_with(end, TRACE, b"x")
    assert end.sent() == [(REQUEST, "Echo", call.call_id, b"x")]


def test_a_call_that_is_not_sent(make_end: MakeEnd) -> None:
    limits = Limits(max_queued_bytes=10)
    end = make_end(client=True, extended=True, limits=limits)
    call_with(end, {}, b"x" * 100)
    with pytest.raises(LocalLimitExceeded):
        call_with(end, TRACE)
    assert end.session.pending_calls == 1
    assert len(end.sent()) == 1


def test_where_nothing_was_agreed_text_is_an_envelope(make_end: MakeEnd) -> None:
    """As the original takes it."""
    pair = Pair(make_end(client=True), make_end(client=False))
    pair.client.call("Echo")
    data = bytearray(pair.client.outgoing())
    data[0] = data[0] & 0xF0 | Opcode.TEXT
    received = pair.server.session.receive(data, 0.0)
    assert received is not None
    assert [method for method, _, _ in received.requests] == ["Echo"]
