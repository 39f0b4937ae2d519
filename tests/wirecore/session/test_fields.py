"""What goes with calls beside the wire: what is written, what is read, and how much is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecore.events import RawText
from wirecore.session.fields import (
    MOST_BYTES,
    MOST_KEPT,
    OVERHEAD,
    PER_FIELD,
    CallFields,
    read_fields,
    write_fields,
)

TRACE = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "a=1,b=2",
}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> CallFields:
    """Those of a connection, which somebody wants."""
    monkeypatch.setattr(CallFields, "wanted", True)
    return CallFields()


@pytest.mark.parametrize("call", [0, 7, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", 'a "name" é'])
def test_what_is_written_is_read(call: Any) -> None:
    message = write_fields(call, TRACE)
    assert message.isascii()
    assert read_fields(message) == (call, TRACE)


def test_it_is_written_so() -> None:
    assert write_fields(7, {"a": "b"}) == b'{"call":7,"fields":{"a":"b"}}'
    assert write_fields(7, {}) == b""


def test_what_does_not_fit_is_left_out_from_the_end() -> None:
    long = TRACE | {"baggage": "x" * MOST_BYTES}
    assert read_fields(write_fields(7, long)) == (7, TRACE)
    assert write_fields(7, {"baggage": "x" * MOST_BYTES}) == b""
    assert read_fields(write_fields(7, TRACE, 100)) == (7, {"traceparent": TRACE["traceparent"]})
    head = len(write_fields(7, {"a": "x"})) - 1
    assert len(write_fields(7, {"a": "x" * (MOST_BYTES - head)})) == MOST_BYTES


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"\xff",
        b"7",
        b"[]",
        b"[" * 4000,
        b"9" * 4000,
        b'{"leave": true}',
        b'{"call": 7}',
        b'{"call": 7, "fields": []}',
        b'{"call": null, "fields": {}}',
        b'{"call": [7], "fields": {}}',
        b'{"call": 7.5, "fields": {}}',
        b'{"fields": {"a": "b"}}',
        json.dumps({"call": 7, "fields": {"a": "x" * MOST_BYTES}}).encode(),
        b'{"call": 7, "fields": {"a": "' + b"x" * 10_000_000 + b'"}}',
    ],
)
def test_what_says_nothing(message: bytes, kept: CallFields) -> None:
    assert read_fields(message) is None
    assert kept.without_texts([RawText(message), b"call"]) == [b"call"]
    assert kept.take(7) == {}


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_nothing_that_comes_is_an_error(message: bytes) -> None:
    fields = CallFields()
    fields._keep(RawText(message))
    for wrapped in (b'{"call":%b,"fields":{}}', b'{"call":1,"fields":{"a":%b}}', b'{"call":1,%b}'):
        fields._keep(RawText(wrapped % message))


def test_fields_that_no_header_could_have_are_left_out() -> None:
    fields = {"a": "b", "é": "b", "c": "é", "d": "\r\n", "e": 5, "f": None, "g": "\ud800", "h": "i"}
    message = json.dumps({"call": 7, "fields": fields}).encode()
    assert read_fields(message) == (7, {"a": "b", "h": "i"})


def test_they_are_found_by_their_call_once(kept: CallFields) -> None:
    stream = [write_fields(1, {"a": "1"}), b"one", write_fields(2, {"a": "2"}), b"two"]
    assert kept.without_texts(stream) == [b"one", b"two"]
    assert kept.take(2) == {"a": "2"}
    assert kept.take(2) == {}
    assert kept.take("1") == {"a": "1"}


def test_of_two_for_a_call_the_last_counts(kept: CallFields) -> None:
    kept.without_texts([write_fields(1, {"a": "1"}), write_fields(1, {"b": "2"})])
    assert kept.take(1) == {"b": "2"}


def test_nobody_wants_them() -> None:
    fields = CallFields()
    assert fields.without_texts([write_fields(1, TRACE), b"one"]) == [b"one"]
    assert fields.take(1) == {}


def test_calls_that_never_come_are_forgotten_oldest_first(kept: CallFields) -> None:
    size = len(write_fields(10_000, TRACE)) + OVERHEAD + PER_FIELD * len(TRACE)
    most = MOST_KEPT // size
    for call in range(10_000, 10_000 + 2 * most):
        kept.without_texts([write_fields(call, TRACE)])
    assert kept.take(10_000 + most - 1) == {}
    assert kept.take(10_000 + most) == TRACE
    # What was taken makes room again.
    kept.without_texts([write_fields(9_999, TRACE)])
    assert kept.take(10_000 + most + 1) == TRACE


def test_a_decoder_sees_the_rest(kept: CallFields) -> None:
    def decode(messages: list[Any], table: Any) -> tuple[list[Any], Any]:
        return messages, table

    read = kept.beside(decode)
    only = [b"one", b"two"]
    assert read(only, 5) == (only, 5)
    assert read([b"one", write_fields(2, TRACE), b"two"], 5) == (only, 5)
    assert kept.take(2) == TRACE
