"""The closing handshake, RFC 6455 section 7, and every other way for a connection to end."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import pytest

from wirecore._backend import Backend
from wirecore.constants import CloseCode
from wirecore.errors import (
    ConnectionClosed,
    InvalidOption,
    InvalidState,
    ProtocolError,
    RemoteLimitExceeded,
)
from wirecore.events import Close
from wirecore.session import Heartbeat, Limits
from wirecore.websocket import Connection, State
from wirecore.websocket.closing import close_payload, make_close
from wirecore.websocket.state import TRANSITIONS, Trigger

Frames: TypeAlias = Callable[[Connection], list[tuple[int, bytes]]]

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
NORMAL = b"\x03\xe8"


def masked(first: int, payload: bytes = b"") -> bytes:
    return bytes((first, 0x80 | len(payload))) + bytes(4) + payload


def plain(first: int, payload: bytes = b"") -> bytes:
    return bytes((first, len(payload))) + payload


def test_the_server_closes_and_ends_the_stream_first(backend: Backend, frames: Frames) -> None:
    server = Connection(client=False, backend=backend)
    server.send("last words")
    server.close(1001, "bye")
    assert server.state is State.CLOSING
    assert server.close_sent == Close(1001, "bye")
    assert frames(server) == [(TEXT, b"last words"), (CLOSE, b"\x03\xe9bye")]
    # What comes before the answer is still received, and pings are still answered.
    data = masked(TEXT, b"late") + masked(PING, b"?") + masked(CLOSE, b"\x03\xe9")
    assert server.receive(data + masked(TEXT, b"ignored"), 1.0) == ["late"]
    assert server.receive(b"", 1.0) == []
    assert frames(server) == [(PONG, b"?")]
    assert server.close_received == Close(1001, "")
    assert server.finished
    assert server.receive(masked(TEXT, b"ignored"), 1.0) == []
    assert server.receive_eof(1.0) == []
    assert server.expire(9.0) == []
    error = server.closed_error()
    assert (error.code, error.reason, error.clean) == (1001, "", True)


def test_the_client_closes_and_waits_for_the_end_of_the_stream(
    backend: Backend, frames: Frames
) -> None:
    client = Connection(client=True, backend=backend)
    client.close()
    assert frames(client) == [(CLOSE, NORMAL)]
    client.receive(plain(CLOSE, NORMAL), 1.0)
    assert client.state is State.LINGERING
    assert not client.finished
    assert client.next_deadline() == 6.0
    assert client.receive(plain(TEXT, b"ignored"), 1.0) == []
    client.receive_eof(2.0)
    assert client.finished
    assert client.closed_error().clean


@pytest.mark.parametrize(
    ("said", "answered", "code"),
    [
        (b"\x03\xe8why not", NORMAL, 1000),
        (b"", b"", 1005),
        (b"\x0f\xa0", b"\x0f\xa0", 4000),
        (b"\x03\xf6", b"\x03\xf6", 1014),
    ],
)
def test_the_peers_close_is_answered_with_its_code(
    backend: Backend, frames: Frames, said: bytes, answered: bytes, code: int
) -> None:
    server = Connection(client=False, backend=backend)
    assert server.receive(masked(TEXT, b"a") + masked(CLOSE, said), 1.0) == ["a"]
    assert server.deferred
    assert server.receive(b"", 1.0) == []
    assert frames(server) == [(CLOSE, answered)]
    assert server.finished
    error = server.closed_error()
    assert (error.code, error.reason, error.clean) == (code, said[2:].decode(), True)


@pytest.mark.parametrize("end", [masked(CLOSE, NORMAL), masked(0x83)], ids=["close", "failure"])
def test_what_came_before_the_end_in_one_read_can_still_be_answered(
    backend: Backend, frames: Frames, end: bytes
) -> None:
    server = Connection(client=False, backend=backend)
    assert server.receive(masked(TEXT, b"a") + end + masked(TEXT, b"ignored"), 1.0) == ["a"]
    assert server.state is State.OPEN
    server.send("the answer")
    assert server.receive(masked(TEXT, b"ignored"), 2.0) == []
    assert server.finished
    assert [frame[0] for frame in frames(server)] == [TEXT, CLOSE]


def test_the_stream_may_end_before_a_put_off_close_is_seen_to(backend: Backend) -> None:
    server = Connection(client=False, backend=backend)
    assert server.receive(masked(TEXT, b"a") + masked(CLOSE, NORMAL), 1.0) == ["a"]
    assert server.receive_eof(1.0) == []
    assert not server.deferred
    assert server.closed_error().clean


@pytest.mark.parametrize("client", [True, False])
def test_who_leaves_before_a_put_off_close_is_seen_to_knows_of_it(
    backend: Backend, frames: Frames, client: bool
) -> None:
    end = Connection(client=client, backend=backend)
    make = plain if client else masked
    assert end.receive(make(TEXT, b"a") + make(CLOSE, b"\x0f\xa0bye"), 1.0) == ["a"]
    end.close(wait=False)
    assert end.finished
    assert not end.deferred
    assert frames(end) == [(CLOSE, NORMAL)]
    error = end.closed_error()
    assert (error.code, error.reason, error.clean) == (4000, "bye", True)


def test_who_leaves_before_a_put_off_failure_is_seen_to_knows_of_it(
    backend: Backend, frames: Frames
) -> None:
    server = Connection(client=False, backend=backend)
    assert server.receive(masked(TEXT, b"a") + masked(0x83), 1.0) == ["a"]
    server.close(wait=False)
    assert server.finished
    assert not server.deferred
    assert frames(server) == [(CLOSE, NORMAL)]
    assert isinstance(server.closed_error().__cause__, ProtocolError)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_message_size=10), "a message of 100 bytes or more came, over this side's"),
        (Limits(max_frame_size=10), "a frame of 100 bytes or more came, over this side's"),
    ],
)
def test_whose_bound_was_passed_is_told(backend: Backend, limits: Limits, reason: str) -> None:
    server = Connection(client=False, limits=limits, backend=backend)
    assert server.receive(masked(TEXT, b"a" * 100), 1.0) == []
    error = server.closed_error()
    assert (error.code, error.reason[: len(reason)]) == (1006, reason)
    assert error.reason.endswith("_size of 10")
    assert isinstance(error.__cause__, RemoteLimitExceeded)


def test_a_put_off_close_counts_more_than_a_pong_that_did_not_come(
    backend: Backend, frames: Frames
) -> None:
    """Its owner lets it lie for so long that the heartbeat would give up."""
    server = Connection(client=False, heartbeat=Heartbeat(None, 5), backend=backend)
    server.start(0.0)
    assert server.receive(masked(TEXT, b"a") + masked(CLOSE, NORMAL), 1.0) == ["a"]
    server.send("the answer")
    assert server.expire(5.0) == []
    assert server.finished
    assert not server.deferred
    assert [frame[0] for frame in frames(server)] == [TEXT, CLOSE]
    assert server.closed_error().clean


@pytest.mark.parametrize("await_eof", [True, False])
def test_a_put_off_close_counts_more_than_the_end_of_our_patience(
    backend: Backend, await_eof: bool
) -> None:
    client = Connection(client=True, close_timeout=3, await_eof=await_eof, backend=backend)
    client.close()
    client.expire(1.0)
    assert client.receive(plain(TEXT, b"a") + plain(CLOSE, NORMAL), 2.0) == ["a"]
    assert client.expire(4.0) == []
    assert client.finished
    assert not client.deferred
    assert client.closed_error().clean


def test_the_client_leaves_the_stream_to_the_server_for_a_while(
    backend: Backend, frames: Frames
) -> None:
    client = Connection(client=True, close_timeout=3, backend=backend)
    client.receive(plain(CLOSE), 10.0)
    assert client.state is State.LINGERING
    assert client.next_deadline() == 13.0
    client.expire(12.9)
    assert not client.finished
    client.expire(13.0)
    assert client.finished
    assert client.closed_error().clean


def test_a_client_that_does_not_wait_for_the_end(backend: Backend) -> None:
    client = Connection(client=True, await_eof=False, backend=backend)
    client.receive(plain(CLOSE), 10.0)
    assert client.finished


def test_the_peer_never_answers_our_close(backend: Backend) -> None:
    server = Connection(client=False, close_timeout=2, heartbeat=Heartbeat(1, 1), backend=backend)
    server.start(0.0)
    server.close()
    assert server.next_deadline() == -math.inf  # at once: to learn what time it is
    server.expire(100.0)
    assert server.next_deadline() == 102.0
    server.expire(101.9)
    assert not server.finished
    server.expire(102.0)
    assert server.finished
    assert server.next_deadline() == math.inf
    error = server.closed_error()
    assert (error.code, error.clean) == (1006, False)
    assert "no answer to our close frame within 2 s" in error.reason


def test_the_wait_may_be_without_a_bound(backend: Backend) -> None:
    server = Connection(client=False, close_timeout=None, backend=backend)
    server.close()
    server.expire(100.0)
    assert server.next_deadline() == math.inf
    server.expire(1e9)
    assert not server.finished


def test_one_wait_covers_the_answer_and_the_end_of_the_stream(backend: Backend) -> None:
    client = Connection(client=True, backend=backend)
    client.close()
    client.expire(100.0)
    client.receive(plain(CLOSE), 104.0)
    assert client.next_deadline() == 105.0


@pytest.mark.parametrize("client", [True, False])
def test_closing_without_waiting(backend: Backend, frames: Frames, client: bool) -> None:
    connection = Connection(client=client, backend=backend)
    connection.close(wait=False)
    assert connection.finished
    assert frames(connection) == [(CLOSE, NORMAL)]
    error = connection.closed_error()
    assert (error.code, error.clean) == (1006, False)
    with pytest.raises(ConnectionClosed, match="without waiting for the peer's close frame"):
        connection.send("x")


def test_closing_again_changes_nothing_but_may_stop_waiting(
    backend: Backend, frames: Frames
) -> None:
    client = Connection(client=True, backend=backend)
    client.close(1000)
    client.close(1001, "other")
    assert client.close_sent == Close(1000, "")
    client.close(wait=False)
    assert client.finished
    client.close(wait=False)
    assert frames(client) == [(CLOSE, NORMAL)]
    lingering = Connection(client=True, backend=backend)
    lingering.receive(plain(CLOSE), 0.0)
    lingering.close(wait=False)
    assert lingering.finished
    assert lingering.closed_error().clean


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (None, "", b""),
        (1005, "", b""),
        (1000, "", NORMAL),
        (CloseCode.GOING_AWAY, "", b"\x03\xe9"),
        (4999, "x" * 123, b"\x13\x87" + b"x" * 123),
        (1000, "x" * 200, NORMAL + b"x" * 123),
        (1000, "x" * 122 + "ä", NORMAL + b"x" * 122),
        (1000, "€" * 42, NORMAL + "€".encode() * 41),
        (1000, "😀" * 31, NORMAL + "😀".encode() * 30),
    ],
)
def test_close_frames(code: int | None, reason: str, payload: bytes) -> None:
    assert close_payload(make_close(code, reason)) == payload


@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        (999, "", "close code 999 can't be sent"),
        (1004, "", "close code 1004"),
        (1006, "", "close code 1006"),
        (1015, "", "close code 1015"),
        (2000, "", "close code 2000"),
        (5000, "", "close code 5000"),
        (None, "why", "without a code has no reason"),
        (1005, "why", "without a code has no reason"),
        (1000, "\ud800", "lone surrogate"),
    ],
)
def test_close_frames_that_can_not_be_sent(
    backend: Backend, code: int | None, reason: str, text: str
) -> None:
    connection = Connection(client=True, backend=backend)
    with pytest.raises(InvalidOption, match=text):
        connection.close(code, reason)
    assert connection.state is State.OPEN


def test_a_close_code_is_a_number(backend: Backend) -> None:
    connection = Connection(client=True, backend=backend)
    with pytest.raises(TypeError, match="an int or None, not str"):
        connection.close("1000")  # type: ignore[arg-type]
    assert connection.state is State.OPEN


def test_a_close_reason_is_text(backend: Backend) -> None:
    connection = Connection(client=True, backend=backend)
    with pytest.raises(TypeError, match="a close reason is a str, not bytes"):
        connection.close(1000, b"why")  # type: ignore[arg-type]
    assert connection.state is State.OPEN


def senders(connection: Connection) -> list[Callable[[], object]]:
    return [
        lambda: connection.send("x"),
        lambda: connection.send_all(["x"]),
        lambda: connection.send_fragment("x", last=True),
        connection.ping,
        connection.pong,
    ]


def test_nothing_can_be_sent_after_our_close(backend: Backend, frames: Frames) -> None:
    connection = Connection(client=True, backend=backend)
    connection.send_fragment("half a mess", last=False)
    connection.close()
    for attempt in senders(connection):
        with pytest.raises(InvalidState, match=r"close\(\) was called"):
            attempt()
    assert frames(connection) == [(0x01, b"half a mess"), (CLOSE, NORMAL)]


def test_nothing_can_be_sent_after_the_peers_close(backend: Backend) -> None:
    connection = Connection(client=True, backend=backend)
    connection.receive(plain(CLOSE, b"\x03\xe9gone"), 0.0)
    for attempt in senders(connection):
        with pytest.raises(ConnectionClosed, match="closed with code 1001: gone") as caught:
            attempt()
        assert caught.value.clean


@pytest.mark.parametrize("half", [b"", b"\x81", b"\x81\x05he", b"\x01\x01x"])
def test_the_stream_ends_without_a_close_frame(
    backend: Backend, frames: Frames, half: bytes
) -> None:
    client = Connection(client=True, backend=backend)
    client.receive(half, 0.0)
    assert client.receive_eof(0.0) == []
    assert client.finished
    assert frames(client) == []
    for attempt in senders(client):
        with pytest.raises(ConnectionClosed, match="ended without a close frame") as caught:
            attempt()
        assert (caught.value.code, caught.value.clean) == (1006, False)


def test_the_stream_ends_before_our_close_is_answered(backend: Backend) -> None:
    client = Connection(client=True, backend=backend)
    client.close()
    client.receive_eof(0.0)
    assert client.finished
    assert client.closed_error().code == 1006


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (plain(0x83), 1002, "opcode"),
        (masked(TEXT), 1002, "mask"),
        (plain(TEXT, b"\xff"), 1007, "UTF-8"),
        (plain(CLOSE, b"\x03\xed"), 1002, "1005"),
    ],
)
def test_a_broken_rule_is_answered_with_its_code(
    backend: Backend, frames: Frames, data: bytes, code: int, reason: str
) -> None:
    client = Connection(client=True, backend=backend)
    assert client.receive(plain(TEXT, b"fine") + data, 0.0) == ["fine"]
    assert client.receive(b"", 0.0) == []
    assert client.finished
    assert client.failure is not None
    assert client.failure.code == code
    ((first, payload),) = frames(client)
    assert first == CLOSE
    assert payload[:2] == code.to_bytes(2, "big")
    assert reason.lower() in payload[2:].decode().lower()
    error = client.closed_error()
    assert (error.code, error.clean) == (1006, False)
    cause = error.__cause__
    assert isinstance(cause, ProtocolError)
    assert cause.close_code == code
    assert client.receive(plain(TEXT), 0.0) == []


def test_a_message_over_the_limit_names_it(backend: Backend, frames: Frames) -> None:
    limits = Limits(max_frame_size=50, max_message_size=60)
    client = Connection(client=True, limits=limits, backend=backend)
    client.receive(plain(TEXT)[:1] + b"\x33", 0.0)
    ((_, payload),) = frames(client)
    assert payload[:2] == b"\x03\xf1"
    cause = client.closed_error().__cause__
    assert isinstance(cause, RemoteLimitExceeded)
    assert (cause.limit, cause.figure, cause.bound) == ("max_frame_size", 51, 50)


def test_a_rule_broken_after_our_close_gets_no_second_close(
    backend: Backend, frames: Frames
) -> None:
    client = Connection(client=True, backend=backend)
    client.close()
    client.receive(plain(0x83), 0.0)
    assert client.finished
    assert frames(client) == [(CLOSE, NORMAL)]


def test_the_table_of_states() -> None:
    assert set(TRANSITIONS) == set(State)
    # Whatever happens, it only goes on towards the end.
    order = list(State)
    for state, row in TRANSITIONS.items():
        for after in row.values():
            assert order.index(after) > order.index(state)
        if state is not State.CLOSED:
            assert row[Trigger.EOF] is row[Trigger.TIMEOUT] is State.CLOSED
    assert not TRANSITIONS[State.CLOSED]
