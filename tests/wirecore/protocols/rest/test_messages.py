"""Messages of a WebSocket in the body of an exchange: any, cut anywhere, and hostile ones."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecore.constants import is_valid_close_code
from wirecore.errors import (
    InvalidMessage,
    InvalidOption,
    RemoteLimitExceeded,
    UnsendableMessage,
)
from wirecore.events import Close
from wirecore.protocols.rest.messages import Item, MessageDecoder, encode_close, encode_message
from wirecore.websocket.closing import make_close

codes = st.integers(1000, 4999).filter(is_valid_close_code)
closes = st.one_of(
    st.just(Close(None, "")), st.builds(make_close, codes, st.text()), st.just(Close(1006, "lost"))
)
messages = st.lists(st.one_of(st.text(), st.binary()))


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """*data* in pieces."""
    at = sorted({0, len(data), *(each % (len(data) + 1) for each in cuts)})
    return [data[begin:end] for begin, end in pairwise(at)]


def decode(pieces: list[bytes], max_size: int = 1 << 20) -> list[Item]:
    """What they hold, as one body."""
    decoder = MessageDecoder(max_size)
    items = [item for piece in pieces for item in decoder.receive(piece)]
    if decoder.problem is not None:
        raise decoder.problem
    return items


@given(messages, closes, st.lists(st.integers(0, 1 << 20), max_size=50))
def test_what_is_encoded_is_decoded_however_it_is_cut(
    sent: list[str | bytes], close: Close, cuts: list[int]
) -> None:
    body = b"".join([*map(encode_message, sent), encode_close(close)])
    assert decode(cut(body, cuts)) == [*sent, close]
    assert decode([body[at : at + 1] for at in range(len(body))]) == [*sent, close]


@given(messages, st.lists(st.integers(0, 1 << 20), max_size=5), st.binary(max_size=64))
def test_what_is_no_message_is_an_error_and_nothing_else(
    sent: list[str | bytes], cuts: list[int], noise: bytes
) -> None:
    body = b"".join(map(encode_message, sent)) + noise
    decoder = MessageDecoder(100_000)
    items: list[Item] = []
    try:
        for piece in cut(body, cuts):
            items += decoder.receive(piece)
        decoder.end()
    except (InvalidMessage, RemoteLimitExceeded):
        pass
    else:
        assert isinstance(items[-1], Close)


@given(st.binary(max_size=300))
def test_a_decoder_takes_no_more_than_what_came(body: bytes) -> None:
    """However long a message claims to be."""
    decoder = MessageDecoder()
    try:
        items = decoder.receive(body)
    except (InvalidMessage, RemoteLimitExceeded):
        return
    assert sum(len(item) for item in items if not isinstance(item, Close)) <= len(body)


def test_the_bytes_are_these() -> None:
    assert encode_message("hé") == b"\x01\x00\x00\x00\x03h\xc3\xa9"
    assert encode_message(memoryview(b"\x00\xff")) == b"\x02\x00\x00\x00\x02\x00\xff"
    assert encode_message(b"") == b"\x02\x00\x00\x00\x00"
    assert encode_close(make_close(4000, "bye")) == b"\x08\x00\x00\x00\x05\x0f\xa0bye"
    assert encode_close(make_close(None, "")) == b"\x08\x00\x00\x00\x00"
    assert encode_close(Close(1006, "")) == b"\x08\x00\x00\x00\x02\x03\xee"


def test_a_message_as_long_as_may_be_and_one_that_is_longer() -> None:
    longest = b"x" * 1000
    assert decode([encode_message(longest)], 1000) == [longest]
    decoder = MessageDecoder(1000)
    with pytest.raises(RemoteLimitExceeded, match="max_message_size is 1000, got 1001"):
        decoder.receive(encode_message(longest + b"x")[:5])  # it isn't waited for
    with pytest.raises(InvalidOption, match="max_message_size"):
        MessageDecoder(0)


def test_what_a_hostile_peer_can_have_kept() -> None:
    """One message, as far as it came: a byte at a time costs no more than in one piece."""
    size = 100_000
    body = encode_message(bytes(size))
    decoder = MessageDecoder(size)
    tracemalloc.start()
    try:
        for at in range(len(body) - 1):
            assert decoder.receive(body[at : at + 1]) == []
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2 * size


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\x00\x00\x00\x00",
        b"\x03\x00\x00\x00\x00",
        b"\x81\x00\x00\x00\x00",
        b"\x09\x00\x00\x00\x00",  # a ping is between two ends of TCP, and not passed on
        b"\x01\x00\x00\x00\x01\xff",
        b"\x01\x00\x00\x00\x03\xed\xa0\x80",  # a surrogate
        b"\x08\x00\x00\x00\x01\x03",
        b"\x08\x00\x00\x00\x02\x03\xed",  # 1005 is said by an empty one
        b"\x08\x00\x00\x00\x02\x00\x00",
        b"\x08\x00\x00\x00\x03\x03\xe8\xff",
        b"\x08\x00\x00\x00\x7e" + b"\x03\xe8" + b"x" * 124,
        encode_close(make_close(1000, "")) + b"\x01",
        encode_close(make_close(1000, "")) + encode_close(make_close(1000, "")),
    ],
)
def test_no_messages(body: bytes) -> None:
    for pieces in [body], [body[at : at + 1] for at in range(len(body))]:
        with pytest.raises(InvalidMessage):
            decode(pieces)


def test_messages_before_one_that_is_none_are_given_out() -> None:
    good = encode_message("a") + encode_message(b"b")
    for bad in b"\x03\x00\x00\x00\x00", b"\x01\x00\x00\x00\x01\xff", encode_message("too long"):
        decoder = MessageDecoder(5)
        assert decoder.receive(good + bad) == ["a", b"b"]
        assert decoder.problem is not None
        with pytest.raises(type(decoder.problem)):
            decoder.receive(good)
        with pytest.raises(type(decoder.problem)):
            decoder.end()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "without a last message"),
        (encode_message("x"), "without a last message"),
        (encode_message("x")[:3], "within a message"),
        (encode_message("x")[:5], "within a message"),
    ],
)
def test_bodies_that_end_too_early(body: bytes, problem: str) -> None:
    decoder = MessageDecoder()
    decoder.receive(body)
    with pytest.raises(InvalidMessage, match=problem):
        decoder.end()
    decoder = MessageDecoder()
    decoder.receive(encode_close(Close(None, "")))
    decoder.end()
    assert decoder.closed == Close(None, "")


def test_what_cant_be_sent() -> None:
    with pytest.raises(UnsendableMessage, match="surrogate"):
        encode_message("\ud800")
