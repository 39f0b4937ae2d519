"""A client's session: the server's settings, requests and every end of one, heartbeats."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.wirecore.protocols.webwire.conftest import READ_TIMEOUT, MakePair, Pair, close_of
from wirecore.errors import (
    InvalidOption,
    LocalLimitExceeded,
    NotConnected,
    ProtocolError,
    UnsendableMessage,
)
from wirecore.protocols.webwire import (
    TIMED_OUT,
    BufferOverflow,
    BufferSizeMismatch,
    ClientSession,
    IncompatibleVersion,
    MessageType,
    SubprotocolMismatch,
    UnexpectedFirstMessage,
)
from wirecore.session import Call, Limits

HEARTBEAT = (33, 0, "", b"")


def conf(major: int = 2, minor: int = 0, size: int = 8192, subprotocol: bytes = b"") -> bytes:
    """A server's first message, with a read timeout of 40 s."""
    figures = (40_000).to_bytes(4, "little") + size.to_bytes(4, "little")
    return bytes([23, major, minor]) + figures + subprotocol


# --- the server's settings ------------------------------------------------------------------------


def test_nothing_can_be_sent_before_the_server_has_said_how_it_is_set_up(
    make_pair: MakePair,
) -> None:
    pair = make_pair()
    client = pair.client
    for use in (
        client.request,
        lambda: client.session.signal("x", b"", 0, 0.0),
        lambda: client.session.restore_session(Call(), b"key", 0.0),
        lambda: client.session.close_session(Call(), 0.0),
    ):
        with pytest.raises(NotConnected):
            use()
    assert client.outgoing() == b""
    assert client.session.conf is None
    [message] = pair.to_client()
    assert message[0] == MessageType.ACCEPT_CONF
    assert client.session.conf is not None
    assert client.session.conf.read_timeout_ms == READ_TIMEOUT * 1000
    assert client.session.problem is None
    client.request()


@pytest.mark.parametrize(
    ("first", "options", "problem"),
    [
        (conf(major=1), {}, IncompatibleVersion),
        (conf(major=3), {}, IncompatibleVersion),
        (conf(subprotocol=b"a"), {}, SubprotocolMismatch),
        (conf(), {"subprotocol": b"a"}, SubprotocolMismatch),
        (conf(size=64), {}, BufferSizeMismatch),
        (conf(), {"buffer_size": 64}, BufferSizeMismatch),
        (b"\x16", {}, UnexpectedFirstMessage),
        (b"\x17", {}, UnexpectedFirstMessage),
        (b"\x21", {}, UnexpectedFirstMessage),
        (b"", {}, UnexpectedFirstMessage),
        (b"\xff", {}, UnexpectedFirstMessage),
        (b"\xbf12345678", {}, UnexpectedFirstMessage),
    ],
)
def test_a_server_that_isnt_for_us_is_left(
    make_pair: MakePair, first: bytes, options: dict[str, Any], problem: type
) -> None:
    client = make_pair(client=options).client
    assert client.take(first) is None
    assert type(client.session.problem) is problem
    assert client.session.conf is None
    assert close_of(client).code == 1002
    assert client.take(conf()) is None
    assert type(client.session.problem) is problem
    with pytest.raises(NotConnected):
        client.request()


def test_what_doesnt_matter_of_the_settings(make_pair: MakePair) -> None:
    client = make_pair(client={"subprotocol": b"\xff", "buffer_size": 32}).client
    assert client.take(conf(minor=255, size=32, subprotocol=b"\xff")) is not None
    assert client.session.problem is None
    client.take(conf(major=9))  # a second one is ignored
    assert client.session.problem is None
    client.request()


def test_a_timeout_that_makes_no_sense_is_named() -> None:
    with pytest.raises(InvalidOption):
        ClientSession(request_timeout=0)


# --- requests -------------------------------------------------------------------------------------


def test_replies_find_their_requests_whatever_their_order(pair: Pair) -> None:
    calls = [pair.client.request(f"n{number}", b"p") for number in range(3)]
    requests = pair.to_server()
    assert [(kind, name, data) for kind, _, name, data in requests] == [
        (127, f"n{number}", b"p") for number in range(3)
    ]
    for (_, request_id, _, _), encoding in zip(reversed(requests), (2, 1, 0), strict=True):
        pair.server.session.reply(request_id, b"ok", encoding)
    assert pair.to_client() == [
        (193, calls[2], "", b"ok"),
        (192, calls[1], "", b"ok"),
        (191, calls[0], "", b"ok"),
    ]
    assert len(pair.client.session.table) == 0
    assert pair.client.session.lost() == []


def test_each_kind_of_answer(pair: Pair) -> None:
    outcomes = [
        MessageType.REPLY_SHUTDOWN,
        MessageType.REPLY_INTERNAL_ERROR,
        MessageType.REPLY_SESSION_NOT_FOUND,
        MessageType.REPLY_MAX_SESSION_CONNECTIONS,
        MessageType.REPLY_SESSIONS_DISABLED,
    ]
    calls = [pair.client.request() for _ in range(7)]
    ids = [message[1] for message in pair.to_server()]
    for request_id, outcome in zip(ids, outcomes, strict=False):
        pair.server.session.reply_outcome(request_id, outcome)
    pair.server.session.reply_error(ids[5], "CODE", "text")
    pair.server.session.reply(ids[6], b"", 0)
    assert pair.to_client() == [
        *((outcome, call, "", b"") for outcome, call in zip(outcomes, calls, strict=False)),
        (0, calls[5], "CODE", b"text"),
        (191, calls[6], "", b""),
    ]


def test_sessions_are_asked_for_and_closed_by_requests(pair: Pair) -> None:
    restore, close = Call(), Call()
    pair.client.session.restore_session(restore, b"key", 0.0)
    pair.client.session.close_session(close, 0.0)
    [one, other] = pair.to_server()
    assert (one[0], one[3]) == (32, b"key")
    assert (other[0], other[3]) == (31, b"")
    pair.server.session.reply(other[1], b"", 0)
    pair.server.session.reply(one[1], b"{}", 1)
    assert pair.to_client() == [(191, close, "", b""), (192, restore, "", b"{}")]


def test_signals_need_no_answer(pair: Pair) -> None:
    for encoding in range(3):
        pair.client.session.signal("n", b"payl", encoding, 0.0)
    assert pair.to_server() == [(63 + encoding, 0, "n", b"payl") for encoding in range(3)]
    assert len(pair.client.session.table) == 0


def test_a_request_whose_time_is_over_comes_back_and_its_late_reply_is_dropped(pair: Pair) -> None:
    session = pair.client.session
    early = pair.client.request(now=0.0)
    late = pair.client.request(now=4.0)
    ids = [message[1] for message in pair.to_server(4.0)]
    assert session.next_deadline() == 10
    assert session.expire(9.9) is None
    assert session.expire(10.0) == [(TIMED_OUT, early, "", b"")]
    assert session.expire(14.0) == [(TIMED_OUT, late, "", b"")]
    for request_id in ids:
        pair.server.session.reply(request_id, b"late", 0)
    assert not pair.to_client(20.0)
    assert session.table.late == 2
    assert session.problem is None


def test_a_request_that_is_forgotten_is_answered_in_vain(pair: Pair) -> None:
    call, other = pair.client.request(), pair.client.request()
    pair.client.session.forget(call)
    for _, request_id, _, _ in pair.to_server():
        pair.server.session.reply(request_id, b"x", 0)
    assert pair.to_client() == [(191, other, "", b"x")]
    assert pair.client.session.expire(100.0) is None


def test_ids_are_never_used_for_two_at_a_time(pair: Pair) -> None:
    for _ in range(100):
        pair.client.request()
    assert len({message[1] for message in pair.to_server()}) == 100


# --- what can't be sent ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payload", "encoding", "error"),
    [
        ("", b"", 0, UnsendableMessage),
        ("ü", b"x", 0, UnsendableMessage),
        ("n" * 256, b"x", 0, UnsendableMessage),
        ("n", b"odd", 2, UnsendableMessage),
        ("n", bytes(8192), 0, BufferOverflow),
    ],
)
def test_what_cant_be_sent_waits_for_nothing(
    pair: Pair, name: str, payload: bytes, encoding: int, error: type
) -> None:
    session = pair.client.session
    with pytest.raises(error):
        session.request(Call(), name, payload, encoding, 5.0)
    with pytest.raises(error):
        session.signal(name, payload, encoding, 5.0)
    assert len(session.table) == 0
    assert session.outbox.pending == 0
    assert session.next_deadline() == READ_TIMEOUT * 3 / 4  # it doesn't count as sent


def test_a_message_of_exactly_the_buffers_size_goes_both_ways(make_pair: MakePair) -> None:
    pair = make_pair(client={"buffer_size": 32}, buffer_size=32)
    pair.to_client()
    pair.client.request("n", bytes(32 - 11))
    with pytest.raises(BufferOverflow):
        pair.client.request("n", bytes(32 - 10))
    [(_, request_id, _, payload)] = pair.to_server()
    assert payload == bytes(21)
    pair.server.session.reply(request_id, bytes(32 - 9), 0)
    with pytest.raises(BufferOverflow):
        pair.server.session.reply(request_id, bytes(32 - 8), 0)
    pair.server.session.signal("n", bytes(32 - 3), 0)
    with pytest.raises(BufferOverflow):
        pair.server.session.signal("n", bytes(32 - 2), 0)
    assert len(pair.to_client()) == 2


def test_requests_that_wait_have_a_bound(make_pair: MakePair) -> None:
    pair = make_pair(client={"max_pending_requests": 2})
    pair.to_client()
    call = pair.client.request()
    pair.client.request()
    for fields in ({}, {"traceparent": "some"}):
        with pytest.raises(LocalLimitExceeded, match="max_pending_requests is 2, got 3; await"):
            pair.client.session.request_with(fields, Call(), "n", b"", 0, 0.0)
    with pytest.raises(LocalLimitExceeded, match="max_pending_requests is 2, got 3; await"):
        pair.client.request()
    pair.client.session.forget(call)
    pair.client.request()


def test_what_waits_to_be_sent_has_a_bound(make_pair: MakePair) -> None:
    pair = make_pair(client={"limits": Limits(max_queued_bytes=1000)})
    pair.to_client()
    pair.client.request("x", bytes(1100))  # one alone may be longer
    for _ in range(2):
        with pytest.raises(LocalLimitExceeded, match="max_queued_bytes"):
            pair.client.request("x", bytes(1))
    assert len(pair.client.session.table) == 1


# --- heartbeats -----------------------------------------------------------------------------------


def test_a_heartbeat_goes_after_three_quarters_of_the_read_timeout(pair: Pair) -> None:
    session = pair.client.session
    assert session.next_deadline() == 30
    session.expire(29.9)
    assert pair.client.sent() == []
    session.expire(30.0)
    assert pair.client.sent() == [HEARTBEAT]
    assert session.next_deadline() == 60
    session.expire(61.0)
    assert pair.client.sent() == [HEARTBEAT]
    assert session.next_deadline() == 91


@pytest.mark.parametrize("what", ["request", "signal", "restore", "close"])
def test_requests_and_signals_put_the_heartbeat_off(make_pair: MakePair, what: str) -> None:
    pair = make_pair()
    pair.to_client()
    session = pair.client.session
    if what == "request":
        pair.client.request(now=20.0)
    elif what == "signal":
        session.signal("x", b"", 0, 20.0)
    elif what == "restore":
        session.restore_session(Call(), b"key", 20.0)
    else:
        session.close_session(Call(), 20.0)
    assert session.next_deadline() == 50


def test_what_comes_doesnt_put_it_off(pair: Pair) -> None:
    pair.client.request(now=10.0)
    [(_, request_id, _, _)] = pair.to_server(10.0)
    pair.server.session.reply(request_id, b"", 0)
    pair.server.session.signal("x", b"", 0)
    pair.to_client(25.0)
    assert pair.client.session.next_deadline() == 40


def test_a_very_short_read_timeout_makes_no_flood_of_them(make_pair: MakePair) -> None:
    client = make_pair().client
    client.take(b"\x17\x02\x00" + bytes(4) + (8192).to_bytes(4, "little"))
    assert client.session.next_deadline() == pytest.approx(0.1)


def test_no_heartbeat_before_the_settings_nor_after_the_end(make_pair: MakePair) -> None:
    pair = make_pair()
    assert pair.client.session.next_deadline() == math.inf
    pair.to_client()
    pair.client.session.close()
    pair.client.sent()
    pair.client.session.expire(31.0)
    assert pair.client.sent() == []


# --- the end --------------------------------------------------------------------------------------


def test_lost_requests_and_what_is_known_of_them(pair: Pair) -> None:
    session = pair.client.session
    left = pair.client.request()
    pair.client.outgoing()
    restore = Call()
    session.restore_session(restore, b"key", 0.0)
    queued = pair.client.request("x", bytes(100))
    piece = session.outbox.take(65536)
    session.outbox.sent(len(piece) - 1)
    session.receive_eof(0.0)
    assert session.lost() == [
        (left, "maybe_executed"),
        (restore, "maybe_executed"),
        (queued, "not_sent"),
    ]
    assert session.lost() == []
    with pytest.raises(NotConnected):
        pair.client.request()


@pytest.mark.parametrize(
    "bad",
    [b"", b"\xff", b"\x06" + bytes(8), b"\x41\x01a", b"\x3f\x05a", b"\x00" + bytes(9), b"\x16x"],
)
def test_what_is_no_message_ends_the_connection_behind_what_came_before(
    pair: Pair, bad: bytes
) -> None:
    client = pair.client
    call = client.request()
    [(_, request_id, _, _)] = pair.to_server()
    pair.server.session.reply(request_id, b"in time", 0)
    assert pair.to_client() == [(191, call, "", b"in time")]
    assert not client.take(bad)
    assert isinstance(client.session.problem, ProtocolError)
    assert "the server sent what is no message" in str(client.session.problem)
    assert close_of(client).code == 1002


def test_a_text_message_ends_it_too(pair: Pair) -> None:
    pair.client.take(b"text", opcode=1)
    assert "a text message" in str(pair.client.session.problem)


def test_closing_awaits_the_servers_close(pair: Pair) -> None:
    pair.client.session.close()
    with pytest.raises(NotConnected):
        pair.client.request()
    pair.to_server()
    assert not pair.client.session.stage.finished
    pair.to_client()
    pair.client.session.receive_eof(0.0)
    assert pair.client.session.stage.finished
    assert pair.client.session.closed_error().code == 1000
