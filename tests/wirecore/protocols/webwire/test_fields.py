"""What goes with a request, in a message of text right before it."""

from __future__ import annotations

import pytest

from tests.wirecore.protocols.webwire.conftest import MakePair, Pair
from wirecore.constants import Opcode
from wirecore.errors import UnsendableMessage
from wirecore.protocols.webwire import MessageType
from wirecore.session import Call
from wirecore.session.fields import CallFields, write_fields
from wirecore_py.webwire import Message

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@pytest.fixture(autouse=True)
def wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody wants them."""
    monkeypatch.setattr(CallFields, "wanted", True)


def agreed(make_pair: MakePair, *, takes: bool = True, buffer_size: int = 8192) -> Pair:
    """A pair that has greeted each other; *takes*: and agreed."""
    pair = make_pair(
        client={"takes_fields": takes, "buffer_size": buffer_size},
        server={"extended": takes},
        buffer_size=buffer_size,
    )
    pair.to_client()
    return pair


def request_with(pair: Pair, fields: dict[str, str], name: str = "x", payload: bytes = b"") -> Call:
    """A request that is queued, with *fields*."""
    call = Call()
    pair.client.session.request_with(fields, call, name, payload, 0, 0.0)
    return call


def names_and_fields(pair: Pair, messages: list[Message]) -> list[tuple[str, dict[str, str]]]:
    """Of each request its name, and what came with it."""
    fields = pair.server.session.fields
    assert fields is not None
    return [(name, dict(fields.take(number))) for _, number, name, _ in messages]


def test_they_come_with_their_request_and_no_other(make_pair: MakePair) -> None:
    pair = agreed(make_pair)
    pair.client.request("before")
    request_with(pair, TRACE, "traced", b"x" * 5000)
    request_with(pair, {}, "without")
    pair.client.session.signal("signal", b"", 0, 0.0)
    found = pair.to_server()
    assert [message[0] for message in found] == [MessageType.REQUEST] * 3 + [MessageType.SIGNAL]
    assert names_and_fields(pair, found[:3]) == [("before", {}), ("traced", TRACE), ("without", {})]
    for _, number, name, _ in found[:3]:
        pair.server.session.reply(number, name.encode(), 0)
    assert [message[3] for message in pair.to_client()] == [b"before", b"traced", b"without"]


def test_where_nothing_was_agreed_none_are_sent(make_pair: MakePair) -> None:
    pair = agreed(make_pair, takes=False)
    call = request_with(pair, TRACE)
    assert pair.client.sent() == [(MessageType.REQUEST, call.call_id, "x", b"")]


def test_what_the_server_would_find_too_long_is_not_sent(make_pair: MakePair) -> None:
    pair = agreed(make_pair, buffer_size=64)
    call = request_with(pair, TRACE)
    assert pair.client.sent() == [(MessageType.REQUEST, call.call_id, "x", b"")]
    pair = agreed(make_pair, buffer_size=120)
    request_with(pair, TRACE | {"baggage": "x" * 100})
    assert names_and_fields(pair, pair.to_server()) == [("x", TRACE)]


def test_a_request_that_is_not_sent_leaves_nothing_for_the_next(make_pair: MakePair) -> None:
    pair = agreed(make_pair)
    with pytest.raises(UnsendableMessage):
        request_with(pair, TRACE, "\n")
    assert pair.client.sent() == []
    pair.client.request("next")
    assert names_and_fields(pair, pair.to_server()) == [("next", {})]


def test_text_is_no_message_where_nothing_was_agreed(make_pair: MakePair) -> None:
    pair = agreed(make_pair, takes=False)
    assert not pair.server.take(write_fields(1, TRACE), opcode=Opcode.TEXT)
    assert "a text message" in str(pair.server.session.problem)


def test_other_text_says_nothing(make_pair: MakePair) -> None:
    pair = agreed(make_pair)
    for text in (b"", b"{", b"\xff", b'{"leave": true}'):
        assert not pair.server.take(text, opcode=Opcode.TEXT)
    pair.client.request("next")
    assert names_and_fields(pair, pair.to_server()) == [("next", {})]
    assert pair.server.session.problem is None
