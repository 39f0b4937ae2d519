"""A server's session: settings, what it takes and drops in each state, and the read timeout."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.wirecore.protocols.webwire.conftest import READ_TIMEOUT, MakePair, Pair, close_of
from wirecore.errors import (
    InvalidOption,
    LocalLimitExceeded,
    NotConnected,
    ProtocolError,
    UnsendableMessage,
)
from wirecore.protocols.webwire import AcceptConf, BufferOverflow, MessageType, accept_conf
from wirecore.session import Call

SHUTDOWN = MessageType.REPLY_SHUTDOWN
REQUEST = b"\x7f12345678\x01n"
ID = int.from_bytes(b"12345678", "little")


@pytest.mark.parametrize(
    ("timeout", "size", "told"),
    [
        (60, 8192, (60_000, 8192)),
        (0, 0, (60_000, 8192)),
        (-5, 32, (60_000, 32)),
        (0.999, 32, (60_000, 32)),
        (math.nan, 32, (60_000, 32)),
        (1, 2**32 - 1, (1000, 2**32 - 1)),
        (1.5, 100, (1500, 100)),
        (4294967.295, 100, (2**32 - 1, 100)),
    ],
)
def test_settings_from_options(timeout: float, size: int, told: tuple[int, int]) -> None:
    assert accept_conf(timeout, size, b"sub") == AcceptConf(2, 0, *told, b"sub")


@pytest.mark.parametrize(
    ("timeout", "size"), [(60, 1), (60, 31), (60, -1), (60, 2**32), (4294967.296, 0), (math.inf, 0)]
)
def test_settings_out_of_bounds(timeout: float, size: int) -> None:
    with pytest.raises(InvalidOption):
        accept_conf(timeout, size)


def test_the_settings_go_first(make_pair: MakePair) -> None:
    server = make_pair(read_timeout=1.5, buffer_size=64, subprotocol=b"sub").server
    server.session.signal("x", b"", 0)
    assert server.sent() == [
        (23, 0, "", b"\x02\x00\xdc\x05\0\0\x40\0\0\0sub"),
        (63, 0, "x", b""),
    ]


def test_what_it_takes_comes_in_order_and_heartbeats_are_left_out(pair: Pair) -> None:
    session = pair.client.session
    pair.client.request("one")
    session.expire(30.0)
    session.signal("two", b"x", 0, 30.0)
    session.restore_session(Call(), b"key", 30.0)
    session.close_session(Call(), 30.0)
    messages = pair.to_server(30.0)
    assert [message[0] for message in messages] == [127, 63, 32, 31]


@pytest.mark.parametrize(
    "bad", [b"", b"\xff", b"\x06" + bytes(8), b"\x7f1234567", REQUEST[:-2], b"\x41\x01a"]
)
def test_what_is_no_message_ends_the_connection_behind_what_came_before(
    pair: Pair, bad: bytes
) -> None:
    server = pair.server
    assert server.take(REQUEST) == [(127, ID, "n", b"")]
    assert not server.take(bad)
    assert isinstance(server.session.problem, ProtocolError)
    assert "the client sent what is no message" in str(server.session.problem)
    assert server.session.inactive
    assert close_of(server).code == 1002
    assert not server.take(REQUEST)


def test_a_text_and_a_message_over_the_buffer_end_it(make_pair: MakePair) -> None:
    for message, opcode, code in ((b"text", 1, 1002), (bytes(33), 2, 1009)):
        server = make_pair(buffer_size=32).server
        server.outgoing()
        assert not server.take(message, opcode=opcode)
        assert close_of(server).code == code
        assert not server.session.open


# --- replies --------------------------------------------------------------------------------------


def test_an_errors_text_is_cut_to_the_buffer_between_characters(make_pair: MakePair) -> None:
    server = make_pair(buffer_size=32).server
    server.outgoing()
    server.session.reply_error(ID, "CODE", "ü" * 100)
    server.session.reply_error(ID, "CODE", "x" + "ü" * 100)
    server.session.reply_error(ID, "CODE", "x" * 18)
    server.session.reply_error(ID, "c" * 22, "gone")
    assert server.sent() == [
        (0, ID, "CODE", "ü".encode() * 9),
        (0, ID, "CODE", b"x" + "ü".encode() * 8),
        (0, ID, "CODE", b"x" * 18),
        (0, ID, "c" * 22, b""),
    ]
    with pytest.raises(BufferOverflow):
        server.session.reply_error(ID, "c" * 23, "text")
    for code in ("", "ü", "c" * 256):
        with pytest.raises(UnsendableMessage):
            server.session.reply_error(ID, code, "")


def test_an_empty_reply_keeps_its_encoding(pair: Pair) -> None:
    for encoding in range(3):
        pair.server.session.reply(ID, b"", encoding)
    assert [message[0] for message in pair.server.sent()] == [191, 192, 193]


def test_after_the_end_replies_are_dropped_and_signals_raise(pair: Pair) -> None:
    session = pair.server.session
    session.receive_eof(0.0)
    session.reply(ID, b"x", 0)
    session.reply_error(ID, "CODE", "")
    session.reply_outcome(ID, SHUTDOWN)
    session.session_closed()
    uses: list[Callable[[], object]] = [
        lambda: session.signal("x", b"", 0),
        lambda: session.signal_shared(b"\x3f\x01x", {}),
        lambda: session.session_created(b"{}"),
    ]
    for use in uses:
        with pytest.raises(NotConnected):
            use()
    assert session.outbox.pending == 0


def test_what_waits_to_be_sent_has_a_bound(make_pair: MakePair) -> None:
    pair = make_pair(server={"max_queued_bytes": 1000})
    session = pair.server.session
    pair.server.outgoing()
    session.signal("x", bytes(1100), 0)  # one alone may be longer
    uses: list[Callable[[], object]] = [
        lambda: session.signal("x", bytes(200), 0),
        lambda: session.reply(ID, bytes(200), 0),
        lambda: session.signal_shared(bytes(200), {}),
    ]
    for use in uses:
        with pytest.raises(LocalLimitExceeded, match="max_queued_bytes"):
            use()


# --- states ---------------------------------------------------------------------------------------


def test_inactive_it_takes_nothing_and_answers_still(pair: Pair) -> None:
    server = pair.server
    server.session.deactivate()
    assert not server.take(REQUEST)
    server.session.reply(7, b"to an earlier one", 0)
    assert server.sent() == [(191, 7, "", b"to an earlier one")]
    with pytest.raises(NotConnected):
        server.session.signal("x", b"", 0)
    assert server.session.open


def test_stopping_it_refuses_what_asks_and_drops_the_rest(pair: Pair) -> None:
    server = pair.server
    server.session.stop()
    for encoding in range(3):
        message = bytes([127 + encoding]) + b"12345678\x00pp"
        assert not server.take(message)
    assert not server.take(b"\x20abcdefghkey")
    assert not server.take(b"\x1fabcdefgh")
    for dropped in (b"\x3f\x01n", b"\x40\x01n", b"\x21", b"\x16", b"\xbf12345678"):
        assert not server.take(dropped)
    other = int.from_bytes(b"abcdefgh", "little")
    assert server.sent() == [
        *[(SHUTDOWN, ID, "", b"")] * 3,
        (SHUTDOWN, other, "", b""),
        (SHUTDOWN, other, "", b""),
    ]
    server.session.signal("x", b"", 0)  # from the program it goes
    server.session.deactivate()
    server.take(REQUEST)
    assert server.sent() == [(63, 0, "x", b"")]


def test_stopping_it_closes_on_who_asks_and_doesnt_read(make_pair: MakePair) -> None:
    server = make_pair(server={"max_queued_bytes": 100}).server
    server.outgoing()
    server.session.stop()
    for _ in range(50):
        assert not server.take(REQUEST)
    assert isinstance(server.session.problem, LocalLimitExceeded)
    assert server.sent()[-1].code == 1013


# --- the read timeout -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "opcode", "restarts"),
    [
        (REQUEST, 2, True),
        (b"\x3f\x01n", 2, True),
        (b"\x21", 2, True),
        (b"\x16", 2, True),  # it is a message, if none for a server
        (b"", 9, True),
        (b"", 10, True),
    ],
)
def test_what_restarts_it(pair: Pair, message: bytes, opcode: int, restarts: bool) -> None:
    session = pair.server.session
    assert session.next_deadline() == READ_TIMEOUT
    pair.server.take(message, 20.0, opcode)
    assert session.next_deadline() == (60 if restarts else 40)


def test_a_part_of_a_message_doesnt_restart_it(pair: Pair) -> None:
    pair.client.request("x", bytes(100))
    data = pair.client.outgoing()
    assert pair.server.session.receive(data[:50], 20.0) is None
    assert pair.server.session.next_deadline() == READ_TIMEOUT


def test_who_says_nothing_is_dropped(pair: Pair) -> None:
    session = pair.server.session
    pair.server.outgoing()
    session.expire(39.9)
    assert session.open
    session.expire(40.0)
    assert isinstance(session.problem, TimeoutError)
    assert "within 40 s" in str(session.problem)
    assert session.inactive
    assert close_of(pair.server).code == 1008
    session.expire(100.0)  # nor does it answer the close
    assert session.stage.finished


def test_held_it_waits_for_as_long_as_it_takes(pair: Pair) -> None:
    session = pair.server.session
    session.hold()
    for now in range(0, 1000, 30):
        session.expire(float(now))
        assert session.open
    session.resume(1000.0)
    assert session.next_deadline() == 1000 + READ_TIMEOUT
    session.expire(1040.0)
    assert not session.open


def test_a_ping_is_answered(pair: Pair) -> None:
    """The original doesn't."""
    pair.server.outgoing()
    pair.server.take(b"?", opcode=9)
    [pong] = pair.server.sent()
    assert type(pong).__name__ == "Pong"


@pytest.mark.parametrize(("payload", "code"), [(b"", None), (b"\x03\xe8bye", 1000)])
def test_a_close_is_echoed(pair: Pair, payload: bytes, code: int | None) -> None:
    pair.server.outgoing()
    pair.server.take(payload, opcode=8)
    close = close_of(pair.server)
    assert close.code == code
    assert close.reason == ""
