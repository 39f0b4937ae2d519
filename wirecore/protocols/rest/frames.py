"""The frames of the multiplexed wire, one in each binary message, between our own ends.

    kind: 1 byte, the top bit of which says that the sender's body ends here
    stream: 4 bytes, big endian; those of the WebSocket's client are odd, those of its server even
    payload: by kind

    REQUEST   method, target, scheme, fields; then the beginning of the body, or none of it
    RESPONSE  status (2 bytes, big endian), reason, fields; then the same
    DATA      a piece of the body
    TRAILERS  fields, which end the body
    RESET     why, in UTF-8: the sender is through with this exchange. "refused " and the name of a
              bound, then ": " and a text: the request passed that bound, and nobody has seen it
    WINDOW    4 bytes, big endian: so many more bytes of body may come
    CONTROL   of the connection, stream 0: a JSON object

A request of GET with the scheme ws or wss asks for a WebSocket: behind a status of 101 both bodies
are its messages, see :mod:`wirecore.protocols.rest.messages`.

A text is its length and its bytes; fields are how many they are, then name and value of each in
turn. Lengths and numbers are base 128, least significant first, as in protobuf, of at most 4 bytes.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from wirecore.errors import InvalidMessage
from wirecore.protocols.rest.heads import (
    Fields,
    RequestHead,
    ResponseHead,
    problem_of_fields,
    problem_of_request,
    problem_of_response,
    received,
)

REQUEST: Final = 1
RESPONSE: Final = 2
DATA: Final = 3
TRAILERS: Final = 4
RESET: Final = 5
WINDOW: Final = 6
CONTROL: Final = 7

#: The bit of the kind that ends the sender's body.
END: Final = 0x80

#: Bytes before the payload.
HEAD_SIZE: Final = 5

_REFUSED: Final = "refused "

_HEAD: Final = Struct(">BI")
_STATUS: Final = Struct(">H")
_WINDOW: Final = Struct(">I")

_ONE_BYTE: Final = tuple(bytes((number,)) for number in range(128))


def encode_request(stream: int, head: RequestHead, data: bytes = b"", *, end: bool) -> bytes:
    """A REQUEST; the head was checked."""
    parts = [_HEAD.pack(REQUEST | END if end else REQUEST, stream)]
    for text in (head.method, head.target, head.scheme):
        parts += _number(len(text)), text
    _put_fields(parts, head.fields)
    parts.append(data)
    return b"".join(parts)


def encode_response(stream: int, head: ResponseHead, data: bytes = b"", *, end: bool) -> bytes:
    """A RESPONSE; the head was checked."""
    parts = [
        _HEAD.pack(RESPONSE | END if end else RESPONSE, stream),
        _STATUS.pack(head.status),
        _number(len(head.reason)),
        head.reason,
    ]
    _put_fields(parts, head.fields)
    parts.append(data)
    return b"".join(parts)


def encode_data(stream: int, data: bytes | memoryview, *, end: bool) -> bytes:
    """DATA, which may be empty where it is the *end*."""
    return b"".join((_HEAD.pack(DATA | END if end else DATA, stream), data))


def encode_trailers(stream: int, fields: Fields) -> bytes:
    """TRAILERS; the fields were checked."""
    parts = [_HEAD.pack(TRAILERS | END, stream)]
    _put_fields(parts, fields)
    return b"".join(parts)


def encode_reset(stream: int, why: str) -> bytes:
    """RESET."""
    return _HEAD.pack(RESET, stream) + why.encode("utf-8", "replace")


def encode_refusal(stream: int, limit: str, text: str) -> bytes:
    """The RESET of a request that passes the bound *limit*, and that nobody sees."""
    return encode_reset(stream, refusal(limit, text))


def refusal(limit: str, text: str) -> str:
    """The reason of such a RESET."""
    return f"{_REFUSED}{limit}: {text}"


def refused_limit(why: str) -> str:
    """The bound that a RESET's reason names; "" where it is no refusal."""
    limit, colon, _ = why.removeprefix(_REFUSED).partition(": ")
    return limit if colon and why.startswith(_REFUSED) else ""


def encode_window(stream: int, size: int) -> bytes:
    """WINDOW."""
    return _HEAD.pack(WINDOW, stream) + _WINDOW.pack(size)


def encode_control(said: bytes) -> bytes:
    """CONTROL; *said* is JSON."""
    return _HEAD.pack(CONTROL, 0) + said


def decode_head(message: bytes) -> tuple[int, int]:
    """The kind, with its END bit, and the stream.

    Raises :class:`~wirecore.errors.InvalidMessage` where it is shorter.
    """
    if len(message) < HEAD_SIZE:
        raise InvalidMessage("a frame is shorter than its head")
    return _HEAD.unpack_from(message)


def decode_request(message: bytes) -> tuple[RequestHead, bytes]:
    """What a REQUEST holds, its part of the body last.

    Raises :class:`~wirecore.errors.InvalidMessage` for what is no head that HTTP could have.
    """
    reader = _Reader(message, HEAD_SIZE)
    method, target, scheme = reader.text(), reader.text(), reader.text()
    head = RequestHead(method, target, reader.fields(), scheme)
    received(problem_of_request(head))
    return head, message[reader.at :]


def decode_response(message: bytes) -> tuple[ResponseHead, bytes]:
    """What a RESPONSE holds. As :func:`decode_request`."""
    reader = _Reader(message, HEAD_SIZE + _STATUS.size)
    if len(message) < reader.at:
        raise InvalidMessage("a response is shorter than its status")
    status: int = _STATUS.unpack_from(message, HEAD_SIZE)[0]
    reason = reader.text()
    head = ResponseHead(status, reader.fields(), reason)
    received(problem_of_response(head))
    return head, message[reader.at :]


def decode_trailers(message: bytes) -> Fields:
    """The fields of TRAILERS. As :func:`decode_request`."""
    reader = _Reader(message, HEAD_SIZE)
    fields = reader.fields()
    received(problem_of_fields(fields))
    if reader.at != len(message):
        raise InvalidMessage("there is something behind the trailers")
    return fields


def decode_reset(message: bytes) -> str:
    """Why a RESET was sent: what the peer says, cut and without control characters."""
    text = message[HEAD_SIZE : HEAD_SIZE + 500].decode("utf-8", "replace")
    return "".join(mark if mark.isprintable() else "?" for mark in text)


def decode_window(message: bytes) -> int:
    """How many bytes more. Raises InvalidMessage where it is no number, or 0."""
    if len(message) != HEAD_SIZE + _WINDOW.size:
        raise InvalidMessage("a window is no number of 4 bytes")
    size: int = _WINDOW.unpack_from(message, HEAD_SIZE)[0]
    if not size:
        raise InvalidMessage("a window grows by nothing")
    return size


def _number(value: int) -> bytes:
    if value < 128:
        return _ONE_BYTE[value]
    parts = bytearray()
    while value >= 128:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _put_fields(parts: list[bytes], fields: Fields) -> None:
    parts.append(_number(len(fields)))
    for name, value in fields:
        parts += _number(len(name)), name, _number(len(value)), value


class _Reader:
    """Goes through a message from *at* on."""

    __slots__ = ("at", "message")

    def __init__(self, message: bytes, at: int) -> None:
        self.message = message
        self.at = at

    def number(self) -> int:
        message, at = self.message, self.at
        value = shift = 0
        for byte in message[at : at + 4]:
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                self.at = at
                return value
            shift += 7
        raise InvalidMessage("a length goes on beyond 4 bytes, or beyond the message")

    def text(self) -> bytes:
        size = self.number()
        begin = self.at
        self.at = end = begin + size
        if end > len(self.message):
            raise InvalidMessage("a text goes on beyond its message")
        return self.message[begin:end]

    def fields(self) -> Fields:
        # However many they claim to be: each takes at least two bytes of the message.
        return tuple([(self.text(), self.text()) for _ in range(self.number())])
