"""Messages of webwire as they are read and written: what the golden bytes leave open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from wirecore._backend import Backend
from wirecore.errors import UnsendableMessage
from wirecore.events import RawText
from wirecore.webwire_rules import MALFORMED, Encoding, MessageType

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable

BINARY, UTF8, UTF16 = Encoding
LARGEST_ID = 2**64 - 1

REQUEST, SIGNAL, REPLY = MessageType.REQUEST, MessageType.SIGNAL, MessageType.REPLY


def table_of(backend: Backend, calls: list[Any]) -> CallTable[int, Any]:
    """A table in which *calls* wait, with the ids 1, 2 and so on."""
    table: CallTable[int, Any] = backend.calls.CallTable(count(1).__next__, max_pending=100)
    for call in calls:
        table.open(call)
    return table


# --- reading ------------------------------------------------------------------------------


def test_everything_written_is_read_back(backend: Backend) -> None:
    codec = backend.webwire
    for encoding in Encoding:
        for name in ("", "a", "ab", "~" * 254, " " * 255):
            for payload in (b"", b"xy", bytes(1000)):
                request = (REQUEST + encoding, 7, name, payload)
                signal = (SIGNAL + encoding, 0, name, payload)
                if name or payload:
                    written = codec.encode_request(7, name, payload, encoding)
                    assert codec.decode_message(written) == request
                if payload or (name and encoding != UTF16):
                    written = codec.encode_signal(name, payload, encoding)
                    assert codec.decode_message(written) == signal
        for request_id in (0, 1, 2**32, LARGEST_ID):
            written = codec.encode_reply(request_id, b"", encoding)
            assert codec.decode_message(written) == (REPLY + encoding, request_id, "", b"")
    written = codec.encode_error(LARGEST_ID, "C" * 255, "ünï".encode())
    assert codec.decode_message(written) == (0, LARGEST_ID, "C" * 255, "ünï".encode())


def test_a_message_may_be_any_buffer_of_bytes(backend: Backend) -> None:
    codec = backend.webwire
    request = codec.encode_request(1, "name", b"payload", BINARY)
    expected = codec.decode_message(request)
    for message in (bytearray(request), memoryview(request), memoryview(b"x" + request)[1:]):
        found = codec.decode_message(message)
        assert found == expected
        assert [type(part) for part in found] == [int, int, str, bytes]


def test_what_was_read_stays_when_its_buffer_changes(backend: Backend) -> None:
    message = bytearray(backend.webwire.encode_request(1, "name", b"payload", BINARY))
    found = backend.webwire.decode_message(message)
    message[:] = bytes(len(message))
    assert found == (REQUEST, 1, "name", b"payload")


def test_text_is_malformed_whatever_it_holds(backend: Backend) -> None:
    request = backend.webwire.encode_request(1, "name", b"", BINARY)
    for message in ("", "text", "\ud800", RawText(), RawText(request)):
        kind, owner, why, payload = backend.webwire.decode_message(message)
        assert (kind, owner, payload) == (MALFORMED, 0, b"")
        assert "text message" in why


@pytest.mark.parametrize("wrong", [None, 5, ["a"], object()])
def test_what_is_no_message_at_all_is_a_type_error(backend: Backend, wrong: Any) -> None:
    with pytest.raises(TypeError):
        backend.webwire.decode_message(wrong)
    with pytest.raises(TypeError):
        backend.webwire.decode_messages([b"\x21", wrong], None)
    with pytest.raises(ValueError, match="C-contiguous"):
        backend.webwire.decode_message(memoryview(b"\x7f" + bytes(20))[::2])


def test_names_are_read_whatever_bytes_they_are_of(backend: Backend) -> None:
    every = bytes(range(256))
    for size in (1, 2, 255):
        for at in (0, 256 - size):
            raw = every[at : at + size]
            message = b"\x7f" + bytes(8) + bytes((size,)) + raw
            # Twice, as names that came before are remembered.
            for _ in range(2):
                found = backend.webwire.decode_message(message)
                assert found == (REQUEST, 0, raw.decode("latin-1"), b"")


def test_names_that_resemble_each_other_arent_taken_for_each_other(backend: Backend) -> None:
    codec = backend.webwire
    for _ in range(2):
        for first in "abc":
            for inner in ("x", "y", "aXa", "aYa"):
                for last in "abc":
                    name = f"{first}{inner}{last}"
                    message = codec.encode_signal(name, b"", UTF8)
                    assert codec.decode_message(message)[2] == name


# --- batches ------------------------------------------------------------------------------


def test_a_server_takes_them_in_order_without_heartbeats(backend: Backend) -> None:
    codec = backend.webwire
    assert codec.decode_messages(
        [
            codec.encode_request(1, "first", b"", BINARY),
            b"\x21",
            codec.encode_signal("second", b"", BINARY),
            b"\x21",
            codec.encode_reply(1, b"unasked", BINARY),
        ],
        None,
    ) == [
        (REQUEST, 1, "first", b""),
        (SIGNAL, 0, "second", b""),
        (REPLY, 1, "", b"unasked"),
    ]
    assert codec.decode_messages([], None) == []
    assert codec.decode_messages(iter([b"\x21"]), None) == []


def test_the_first_malformed_one_is_the_last_item(backend: Backend) -> None:
    codec = backend.webwire
    table = table_of(backend, ["call"])

    def messages() -> Iterator[bytes]:
        yield codec.encode_signal("name", b"", BINARY)
        yield b"\x07"
        pytest.fail("what is behind it isn't looked at")

    found = codec.decode_messages(messages(), table)
    assert [item[0] for item in found] == [SIGNAL, MALFORMED]
    found = codec.decode_messages(["text", codec.encode_reply(1, b"", BINARY)], table)
    assert [item[0] for item in found] == [MALFORMED]
    assert len(table) == 1


def test_a_client_gets_its_calls_in_the_place_of_ids(backend: Backend) -> None:
    codec = backend.webwire
    calls = [object() for _ in range(9)]
    table = table_of(backend, calls)
    table.forget(8)
    key = b"\x05" + (7).to_bytes(8, "little")
    found = codec.decode_messages(
        [
            codec.encode_reply(2, b"two", UTF8),
            codec.encode_error(1, "CODE", b"text"),
            codec.encode_reply(2, b"again", UTF8),
            codec.encode_signal("name", b"", BINARY),
            codec.encode_reply(8, b"too late", UTF8),
            codec.encode_reply(LARGEST_ID, b"", BINARY),
            b"\x17" + bytes(10),
            key,
        ],
        table,
    )
    assert found == [
        (REPLY + UTF8, calls[1], "", b"two"),
        (MessageType.REPLY_ERROR, calls[0], "CODE", b"text"),
        (SIGNAL, 0, "name", b""),
        (MessageType.ACCEPT_CONF, 0, "", bytes(10)),
        (MessageType.REPLY_SESSIONS_DISABLED, calls[6], "", b""),
    ]
    assert list(table.calls()) == [calls[at] for at in (2, 3, 4, 5, 8)]
    assert (table.late, table.duplicate, table.unknown) == (1, 1, 1)


def test_a_call_stays_where_its_reply_is_malformed(backend: Backend) -> None:
    codec = backend.webwire
    table = table_of(backend, ["call"])
    for message in (codec.encode_reply(1, b"", UTF16)[:-1], codec.encode_error(1, "C", b"")[:-1]):
        assert codec.decode_messages([message], table)[0][0] == MALFORMED
    assert 1 in table


def test_requests_of_a_peer_arent_taken_for_replies(backend: Backend) -> None:
    table = table_of(backend, ["call"])
    request = backend.webwire.encode_request(1, "name", b"", BINARY)
    assert backend.webwire.decode_messages([request], table) == [(REQUEST, 1, "name", b"")]
    for kind, key in ((31, b""), (32, b"key")):
        message = bytes((kind,)) + (1).to_bytes(8, "little") + key
        assert backend.webwire.decode_messages([message], table) == [(kind, 1, "", key)]
    assert 1 in table


# --- writing ------------------------------------------------------------------------------


def test_a_payload_may_be_any_buffer_and_a_name_any_str(backend: Backend) -> None:
    class Names(StrEnum):
        LOGIN = "login"

    codec = backend.webwire
    expected = codec.encode_request(1, "login", b"data", BINARY)
    for payload in (bytearray(b"data"), memoryview(b"data"), RawText(b"data")):
        assert codec.encode_request(1, Names.LOGIN, payload, 0) == expected
    assert codec.encode_signal(Names.LOGIN, b"data", 0) == codec.encode_signal("login", b"data", 0)
    assert codec.encode_error(1, Names.LOGIN, bytearray(b"t")) == codec.encode_error(
        1, "login", b"t"
    )


UNSENDABLE: dict[str, tuple[str, tuple[Any, ...]]] = {
    "id below 0": ("encode_request", (-1, "n", b"", BINARY)),
    "id over 8 bytes": ("encode_request", (2**64, "n", b"", BINARY)),
    "reply to an id below 0": ("encode_reply", (-1, b"", BINARY)),
    "error to an id over 8 bytes": ("encode_error", (2**64, "C", b"")),
    "unknown encoding": ("encode_request", (1, "n", b"", 3)),
    "encoding below 0": ("encode_signal", ("n", b"", -1)),
    "huge encoding": ("encode_reply", (1, b"", 2**80)),
    "name of 256": ("encode_request", (1, "n" * 256, b"", BINARY)),
    "name of 256 beyond ASCII": ("encode_signal", ("é" * 256, b"", BINARY)),
    "newline in a name": ("encode_request", (1, "a\nb", b"", BINARY)),
    "DEL in a name": ("encode_signal", ("a\x7f", b"x", UTF8)),
    "Latin-1 in a name": ("encode_signal", ("é", b"x", UTF8)),
    "emoji in a name": ("encode_signal", ("🙂", b"x", UTF8)),
    "surrogate in a name": ("encode_request", (1, "\ud800", b"x", UTF8)),
    "neither name nor payload": ("encode_signal", ("", b"", BINARY)),
    "neither, in UTF-16": ("encode_signal", ("", b"", UTF16)),
    "odd UTF-16 request": ("encode_request", (1, "n", b"abc", UTF16)),
    "odd UTF-16 signal": ("encode_signal", ("n", b"abc", UTF16)),
    "odd UTF-16 reply": ("encode_reply", (1, b"abc", UTF16)),
    "name-only UTF-16 signal": ("encode_signal", ("n", b"", UTF16)),
    "no code": ("encode_error", (1, "", b"text")),
    "code of 256": ("encode_error", (1, "C" * 256, b"")),
    "tab in a code": ("encode_error", (1, "A\tB", b"")),
}


@pytest.mark.parametrize(("verb", "arguments"), UNSENDABLE.values(), ids=UNSENDABLE)
def test_what_the_wire_doesnt_take_isnt_written(
    backend: Backend, verb: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(UnsendableMessage):
        getattr(backend.webwire, verb)(*arguments)


WRONG_TYPES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "id as text": ("encode_request", ("1", "n", b"", BINARY)),
    "id as float": ("encode_reply", (1.0, b"", BINARY)),
    "no id": ("encode_error", (None, "C", b"")),
    "name as bytes": ("encode_request", (1, b"n", b"", BINARY)),
    "no name": ("encode_signal", (None, b"x", BINARY)),
    "payload as text": ("encode_request", (1, "n", "x", BINARY)),
    "no payload": ("encode_reply", (1, None, BINARY)),
    "encoding as text": ("encode_signal", ("n", b"x", "utf8")),
    "code as bytes": ("encode_error", (1, b"C", b"")),
    "text as str": ("encode_error", (1, "C", "text")),
}


@pytest.mark.parametrize(("verb", "arguments"), WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_other_types_are_type_errors(
    backend: Backend, verb: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(TypeError):
        getattr(backend.webwire, verb)(*arguments)


def test_no_error_says_what_a_payload_holds(backend: Backend) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: backend.webwire.encode_reply(1, b"secret!", UTF16),
        lambda: backend.webwire.encode_request(1, "n", b"secret!", UTF16),
        lambda: backend.webwire.encode_error(1, "", b"secret!"),
    ]
    for attempt in attempts:
        with pytest.raises(UnsendableMessage) as caught:
            attempt()
        assert "secret" not in str(caught.value)
    assert "secret" not in backend.webwire.decode_message(b"\x06secret!")[2]
