"""Calls in both directions over two sessions, and every way in which one can end."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import pytest

from wirecore.errors import (
    ConnectionClosed,
    InvalidOption,
    LocalLimitExceeded,
    NotConnected,
    RemoteLimitExceeded,
)
from wirecore.events import Close, Ping, Pong
from wirecore.protocols.wsrpc import CLIENT_READ_LIMIT, SERVER_READ_LIMIT
from wirecore.session import Call, CallLimits, Heartbeat, Limits

if TYPE_CHECKING:
    from tests.wirecore.protocols.wsrpc.conftest import MakeEnd, Pair
    from wirecore._backend import Backend
    from wirecore.session import Session as AnySession


def test_a_call_and_its_answer(pair: Pair) -> None:
    call = pair.client.call("Ping", b"ping")
    assert pair.client.session.pending_calls == 1
    [(method, call_id, payload)] = pair.to_server().requests
    assert (method, payload) == ("Ping", b"ping")
    pair.server.session.reply(call_id, b"pong")
    assert pair.to_client().answers == [(call, b"pong", "")]
    assert pair.client.session.pending_calls == 0
    assert pair.client.session.lost() == []


def test_the_server_calls_the_client_just_so(pair: Pair) -> None:
    call = pair.server.call("Gnip", b"ping")
    [(method, call_id, payload)] = pair.to_client().requests
    assert (method, payload) == ("Gnip", b"ping")
    pair.client.session.reply(call_id, b"pong")
    assert pair.to_server().answers == [(call, b"pong", "")]


def test_both_sides_call_at_once_and_answers_come_in_any_order(pair: Pair) -> None:
    ours = [pair.client.call("Ping", bytes([n])) for n in range(3)]
    theirs = pair.server.call("Gnip", b"gnip")
    at_server = pair.to_server().requests
    [(_, their_id, _)] = pair.to_client().requests
    for _, call_id, payload in reversed(at_server):
        pair.server.session.reply(call_id, payload)
    pair.client.session.reply(their_id, b"ping")
    assert pair.to_client().answers == [
        (ours[2], b"\x02", ""),
        (ours[1], b"\x01", ""),
        (ours[0], b"\x00", ""),
    ]
    assert pair.to_server().answers == [(theirs, b"ping", "")]


def test_call_ids_are_lower_case_uuids_of_version_4(make_end: MakeEnd) -> None:
    client = make_end(client=True)
    client.call("Ping")
    [(_, _, call_id, _)] = client.sent()
    assert call_id == call_id.lower()
    assert [len(part) for part in call_id.split("-")] == [8, 4, 4, 4, 12]
    assert call_id[14] == "4"


def test_an_error_is_its_text(pair: Pair) -> None:
    call = pair.client.call("Fail")
    [(_, call_id, _)] = pair.to_server().requests
    pair.server.session.reply_error(call_id, "déjà vu")
    assert pair.to_client().answers == [(call, b"", "déjà vu")]


@pytest.mark.parametrize(
    ("text", "arrives"),
    [
        ("", "unspecified error"),
        ("a\ud800b", "a?b"),
        ("x" * 9000, "x" * 8192),
        ("é" * 5000, "é" * 4096),
        ("x" + "é" * 5000, "x" + "é" * 4095),
    ],
)
def test_an_error_always_arrives_as_one_whatever_its_text(
    pair: Pair, text: str, arrives: str
) -> None:
    pair.client.call("Fail")
    [(_, call_id, _)] = pair.to_server().requests
    pair.server.session.reply_error(call_id, text)
    [(_, _, error)] = pair.to_client().answers
    assert error == arrives


@pytest.mark.parametrize("call_id", ["", "42", "ÜBER", "{0B0D7E5C-4F5A-4C1E-9A43-2F6E0C9D8A11}"])
def test_a_request_is_answered_with_its_id_as_it_came(
    backend: Backend, make_end: MakeEnd, call_id: str
) -> None:
    server = make_end(client=False)
    request = backend.envelope.encode_request("Ping", call_id, b"")
    frame = backend.frames.encode_message(request, True)
    received = server.session.receive(frame, 0.0)
    assert received is not None
    assert received.requests == [("Ping", call_id, b"")]
    server.session.reply(received.requests[0][1], b"pong")
    assert server.sent() == [(backend.envelope.RESPONSE, call_id, b"pong", "")]


def test_an_envelope_in_a_text_message_is_served_whatever_its_bytes(
    backend: Backend, make_end: MakeEnd
) -> None:
    server = make_end(client=False)
    request = backend.envelope.encode_request("Ping", "id", b"\xff")
    received = server.session.receive(
        backend.frames.encode_frame(0x1, request, True, True, False, b"\1\2\3\4"), 0.0
    )
    assert received is not None
    assert received.requests == [("Ping", "id", b"\xff")]


def test_what_is_no_envelope_is_dropped_counted_and_logged_loudly_once(
    backend: Backend, make_end: MakeEnd, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_end(client=False)
    caplog.set_level(logging.DEBUG, "wirecore.wsrpc")
    rubbish = [b"\xff\xff\xff", b"", b"hello"]
    for message in rubbish:
        frame = backend.frames.encode_message(message, True)
        assert server.session.receive(frame, 0.0) is None
    assert server.session.dropped == 3
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "DEBUG"]
    assert not server.session.stage.finished
    assert server.sent() == []


# --- calls that don't get an answer --------------------------------------------------------


def test_a_forgotten_call_drops_its_late_answer(pair: Pair) -> None:
    call = pair.client.call("Slow")
    [(_, call_id, _)] = pair.to_server().requests
    pair.client.session.forget(call)
    pair.server.session.reply(call_id, b"at last")
    assert not pair.to_client().answers
    assert pair.client.session.table.late == 1


def test_a_call_that_takes_too_long_is_given_back(make_end: MakeEnd) -> None:
    client = make_end(client=True, call_timeout=5.0)
    early, late = client.call("Slow", now=1.0), client.call("Slow", now=2.0)
    assert client.session.next_deadline() == 6
    assert client.session.expire(5.9) is None
    received = client.session.expire(6.0)
    assert received is not None
    assert received.timed_out == [early]
    assert not received.answers and not received.requests
    assert client.session.next_deadline() == 7
    assert client.session.lost() == [(late, "not_sent")]


def test_a_lost_connection_gives_all_calls_back_with_what_is_known(make_end: MakeEnd) -> None:
    client = make_end(client=True)
    sent = client.call("Ping")
    client.outgoing()
    queued = client.call("Ping")
    client.session.receive_eof(1.0)
    assert client.session.stage.finished
    assert client.session.lost() == [(sent, "maybe_executed"), (queued, "not_sent")]
    assert client.session.lost() == []
    error = client.session.closed_error()
    assert isinstance(error, ConnectionClosed)
    assert error.code == 1006


def test_calling_over_what_is_no_longer_open_fails_at_once(pair: Pair) -> None:
    pair.client.session.close()
    call = Call()
    with pytest.raises(NotConnected, match="connection is not ready"):
        pair.client.session.call(call, "Ping", b"", 0.0)
    assert pair.client.session.pending_calls == 0
    pair.to_server()
    with pytest.raises(NotConnected):
        pair.server.call("Gnip")


def test_an_answer_to_nobody_is_dropped_silently(pair: Pair) -> None:
    pair.client.call("Ping")
    [(_, call_id, _)] = pair.to_server().requests
    pair.server.session.receive_eof(0.0)
    pair.server.session.reply(call_id, b"pong")
    pair.server.session.reply_error(call_id, "too late")
    assert pair.server.sent() == []


# --- bounds --------------------------------------------------------------------------------


def test_too_many_calls_are_refused_here(make_end: MakeEnd) -> None:
    client = make_end(client=True, call_limits=CallLimits(max_pending_calls=2))
    client.call("Ping")
    client.call("Ping")
    with pytest.raises(LocalLimitExceeded, match="max_pending_calls is 2, got 3"):
        client.call("Ping")
    assert len(client.sent()) == 2


def test_too_long_a_message_fails_its_call_and_not_the_connection(make_end: MakeEnd) -> None:
    client = make_end(client=True, call_limits=CallLimits(max_send_size=100))
    call = Call()
    with pytest.raises(LocalLimitExceeded, match="max_send_size is 100, got") as caught:
        client.session.call(call, "Ping", b"x" * 60, 0.0)
    assert caught.value.figure == 108
    assert client.session.pending_calls == 0
    client.session.forget(call)
    client.session.call(call, "Ping", b"x" * 52, 0.0)
    with pytest.raises(LocalLimitExceeded, match="max_send_size"):
        client.session.reply("id", b"x" * 100)
    assert len(client.sent()) == 1


@pytest.mark.parametrize(("most", "characters"), [(100, 45), (25, 7), (12, 1)])
def test_an_error_too_long_to_be_sent_is_cut(make_end: MakeEnd, most: int, characters: int) -> None:
    """That its call failed is what the caller must learn above all."""
    server = make_end(client=False, call_limits=CallLimits(max_send_size=most))
    server.session.reply_error("id", "é" * 1000)
    [(_, _, _, error)] = server.sent()
    assert error == "é" * characters


def test_an_error_of_which_nothing_fits_is_not_sent(make_end: MakeEnd) -> None:
    server = make_end(client=False, call_limits=CallLimits(max_send_size=11))
    with pytest.raises(LocalLimitExceeded, match="max_send_size is 11, got 25; set it"):
        server.session.reply_error("id", "é" * 1000)
    assert server.sent() == []


def test_by_default_neither_end_sends_what_the_other_would_not_take(make_end: MakeEnd) -> None:
    too_long = bytes(SERVER_READ_LIMIT)
    with pytest.raises(LocalLimitExceeded) as caught:
        make_end(client=True).call("Ping", too_long)
    assert caught.value.bound == SERVER_READ_LIMIT
    make_end(client=False).call("Ping", too_long)
    assert CLIENT_READ_LIMIT > SERVER_READ_LIMIT


def test_what_cannot_be_encoded_leaves_no_call_behind(make_end: MakeEnd) -> None:
    client = make_end(client=True)
    wrong: Any = 5
    with pytest.raises(UnicodeEncodeError):
        client.call("\ud800")
    with pytest.raises(TypeError):
        client.call("Ping", wrong)
    assert client.session.pending_calls == 0
    assert client.sent() == []


def test_a_peer_that_reads_nothing_stops_calls_and_answers(make_end: MakeEnd) -> None:
    server = make_end(client=False, limits=Limits(max_queued_bytes=1000))
    server.session.reply("id", b"x" * 2000)
    with pytest.raises(LocalLimitExceeded, match="max_queued_bytes is 1000"):
        server.session.reply("id", b"")
    with pytest.raises(LocalLimitExceeded, match="max_queued_bytes is 1000"):
        server.session.reply_error("id", "overloaded")
    with pytest.raises(LocalLimitExceeded, match="max_queued_bytes is 1000"):
        server.call("Gnip")
    assert server.session.pending_calls == 0
    server.outgoing()
    server.session.reply("id", b"there is room again")


@pytest.mark.parametrize(("client", "limit"), [(False, 10_000_000), (True, 100_000_000)])
def test_a_message_above_the_read_limit_ends_the_connection_when_it_is_announced(
    make_end: MakeEnd, client: bool, limit: int
) -> None:
    end = make_end(client=client)
    masked = 0x00 if client else 0x80
    header = bytes([0x82, masked | 127]) + (limit + 1).to_bytes(8, "big") + bytes(4)
    assert end.session.receive(header, 0.0) is None
    assert end.session.stage.finished
    [close] = end.sent()
    assert close.code == 1009
    cause = end.session.closed_error().__cause__
    assert isinstance(cause, RemoteLimitExceeded)
    assert (cause.figure, cause.bound) == (limit + 1, limit)


@pytest.mark.parametrize(
    "options", [{"call_timeout": 0}, {"call_timeout": -1}, {"fragment_size": -1}]
)
def test_options_that_make_no_sense_are_refused(
    make_end: MakeEnd, options: dict[str, float]
) -> None:
    with pytest.raises(InvalidOption):
        make_end(client=True, **options)


def test_a_client_sends_long_messages_in_fragments_of_4096_and_a_server_whole(
    make_end: MakeEnd,
) -> None:
    def frames(data: bytes) -> list[tuple[int, int]]:
        found = []
        while data:
            size, begin = data[1] & 0x7F, 2
            if size == 126:
                size, begin = int.from_bytes(data[2:4], "big"), 4
            begin += 4 if data[1] & 0x80 else 0
            found.append((data[0], size))
            data = data[begin + size :]
        return found

    # The sizes that the original's frames had for a body of 10,000 bytes.
    client, server = make_end(client=True), make_end(client=False)
    client.call("Ping", bytes(10_003))
    server.call("Ping", bytes(10_003))
    assert frames(client.outgoing()) == [(0x02, 4096), (0x00, 4096), (0x80, 1861)]
    assert frames(server.outgoing()) == [(0x82, 10_053)]
    whole = make_end(client=True, fragment_size=0)
    whole.call("Ping", bytes(10_003))
    assert frames(whole.outgoing()) == [(0x82, 10_053)]


# --- time and the end ----------------------------------------------------------------------


def test_a_silent_peer_gets_its_ping_and_is_given_up_without_a_word(pair: Pair) -> None:
    server = pair.server
    call = server.call("Gnip")
    assert server.session.next_deadline() == 18
    assert server.session.expire(18.0) is None
    assert Ping(b"") in server.sent()
    assert server.session.next_deadline() == 20
    assert server.session.expire(20.0) is None
    assert server.session.stage.finished
    assert server.sent() == []
    assert server.session.next_deadline() == math.inf
    assert server.session.lost() == [(call, "maybe_executed")]
    assert not pair.to_server(21.0).requests, "nothing is read any more"


def test_pings_are_answered_and_keep_both_ends_alive(pair: Pair) -> None:
    now = 0.0
    for _ in range(20):
        now = min(pair.client.session.next_deadline(), pair.server.session.next_deadline())
        pair.client.session.expire(now)
        pair.server.session.expire(now)
        for _ in range(2):
            pair.to_server(now)
            pair.to_client(now)
    assert now == 18 * 20
    assert not pair.client.session.stage.finished
    assert not pair.server.session.stage.finished


def test_the_heartbeat_can_be_changed_or_off(make_end: MakeEnd) -> None:
    assert make_end(client=True, heartbeat=Heartbeat(5, None)).session.next_deadline() == 5
    off = make_end(client=True, heartbeat=Heartbeat(None, None))
    assert off.session.next_deadline() == math.inf


def test_close_waits_for_nothing(pair: Pair) -> None:
    call = pair.client.call("Ping")
    pair.client.session.close()
    pair.client.session.close(4000)
    assert pair.client.session.stage.finished
    assert pair.to_server().requests == [("Ping", call.call_id, b"")], "what was queued goes first"
    assert pair.server.session.stage.deferred, "and may still be answered"
    assert pair.server.session.receive(b"", 0.0) is None
    assert pair.server.session.stage.finished
    assert pair.server.sent() == [Close(1000, "")]
    assert pair.server.session.closed_error().clean


def test_only_codes_that_can_be_sent(make_end: MakeEnd) -> None:
    with pytest.raises(InvalidOption, match="1006"):
        make_end(client=True).session.close(1006)


def test_a_peers_ping_is_answered_while_answers_wait(backend: Backend, make_end: MakeEnd) -> None:
    server = make_end(client=False)
    server.session.reply("id", b"an answer")
    server.session.receive(backend.frames.encode_frame(0x9, b"now", True), 0.0)
    assert server.sent()[0] == Pong(b"now")


def test_it_is_a_session_that_any_transport_can_drive(make_end: MakeEnd) -> None:
    session: AnySession[Any] = make_end(client=True).session
    assert not session.stage.finished
