"""The envelope of wsrpc, a small protobuf message: the pure twin of ``wirecore._envelope``.

Source of the layout, smartcontractkit/wsrpc, proto3, package ``message``::

    message Message  { oneof exchange { Request request = 2; Response response = 3; } }
    message Request  { string method = 1; string call_id = 2; bytes payload = 3; }
    message Response { string call_id = 1; bytes payload = 2; string error = 3; }

Bytes are judged as Go's protobuf judges them: unknown fields are skipped, a known one with
another wire type is unknown too, of a scalar given twice the last counts, a member given twice
is merged, and of two different members the last wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias, TypeVar

from wirecore.errors import InvalidMessage
from wirecore.protobuf import BYTES, read_fields, read_text, write_field, write_varint
from wirecore_py.calls import CallTable

_C = TypeVar("_C")

#: Neither member is set.
EMPTY: Final = 0
REQUEST: Final = 1
RESPONSE: Final = 2
#: Not an envelope at all.
MALFORMED: Final = 3

Envelope: TypeAlias = (
    tuple[Literal[0]]
    | tuple[Literal[1], str, str, bytes]
    | tuple[Literal[2], str, bytes, str]
    | tuple[Literal[3], str]
)

_REQUEST_MEMBER: Final = 2
_RESPONSE_MEMBER: Final = 3

#: What a member is before its first field, at the indices of the field numbers.
_BLANK: Final[dict[int, tuple[Any, ...]]] = {
    _REQUEST_MEMBER: (REQUEST, "", "", b""),
    _RESPONSE_MEMBER: (RESPONSE, "", b"", ""),
}


def decode_envelope(message: bytes | bytearray | memoryview) -> Envelope:
    """What *message* says.

    ``(REQUEST, method, call_id, payload)``, ``(RESPONSE, call_id, payload, error)``,
    ``(EMPTY,)`` where neither is set, or ``(MALFORMED, why)``. Raises TypeError where *message*
    is no buffer.
    """
    data = message if isinstance(message, bytes) else memoryview(message).tobytes()
    member = 0
    envelope: list[Any] = [EMPTY]
    try:
        for number, value in read_fields(data):
            if number not in _BLANK or not isinstance(value, bytes):
                continue
            if number != member:
                member = number
                envelope = list(_BLANK[number])
            _merge(envelope, value)
    except InvalidMessage as error:
        return (MALFORMED, str(error))
    return tuple(envelope)


def _merge(envelope: list[Any], member: bytes) -> None:
    for number, value in read_fields(member):
        if number < len(envelope) and isinstance(value, bytes):
            is_text = isinstance(envelope[number], str)
            envelope[number] = read_text(value) if is_text else value


def encode_request(method: str, call_id: str, payload: bytes | bytearray | memoryview) -> bytes:
    """The envelope of a call; empty fields aren't written.

    Raises UnicodeEncodeError where *method* or *call_id* holds a surrogate, and TypeError for
    other types.
    """
    return _encode_member(
        _REQUEST_MEMBER,
        write_field(1, str.encode(method))
        + write_field(2, str.encode(call_id))
        + write_field(3, memoryview(payload).tobytes()),
    )


def encode_response(
    call_id: str, payload: bytes | bytearray | memoryview, error: str = ""
) -> bytes:
    """The envelope of an answer; an empty *error* is a success.

    Raises UnicodeEncodeError where *call_id* or *error* holds a surrogate, and TypeError for
    other types.
    """
    return _encode_member(
        _RESPONSE_MEMBER,
        write_field(1, str.encode(call_id))
        + write_field(2, memoryview(payload).tobytes())
        + write_field(3, str.encode(error)),
    )


def _encode_member(number: int, fields: bytes) -> bytes:
    # Unlike a field, a member is written even where it is empty: which one it is says it all.
    return write_varint(number << 3 | BYTES) + write_varint(len(fields)) + fields


def sort_envelopes(
    messages: Iterable[bytes | bytearray | memoryview], table: CallTable[str, _C]
) -> tuple[list[tuple[_C, bytes, str]], list[tuple[str, str, bytes]], int]:
    """What to do with *messages*, in their order.

    Answers to calls that were pending in *table*, which they leave: ``(call, payload, error)``.
    Requests: ``(method, call_id, payload)``. And how many were dropped, malformed or empty;
    *table* counts the answers that nobody waits for.
    """
    answers: list[tuple[_C, bytes, str]] = []
    requests: list[tuple[str, str, bytes]] = []
    dropped = 0
    for message in messages:
        envelope = decode_envelope(message)
        if envelope[0] == RESPONSE:
            call = table.answer(envelope[1])
            if call is not None:
                answers.append((call, envelope[2], envelope[3]))
        elif envelope[0] == REQUEST:
            requests.append(envelope[1:])
        else:
            dropped += 1
    return answers, requests, dropped
