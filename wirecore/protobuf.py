"""The least of protobuf's wire format: https://protobuf.dev/programming-guides/encoding/.

For messages whose fields are known by heart. It judges bytes as Go's protowire package does,
which other implementations agree with wherever bytes are valid. A leaf: it imports nothing of
the package but the errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wirecore.errors import InvalidMessage

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
GROUP: Final = 3
GROUP_END: Final = 4
FIXED32: Final = 5

#: The largest field number of a message; inside unknown groups Go lets int32's pass.
MAX_FIELD: Final = (1 << 29) - 1
MAX_GROUPED_FIELD: Final = (1 << 31) - 1

#: How deep unknown groups may be nested: protowire's recursion limit, and the one it starts at.
MAX_GROUPS: Final = 10_001

_BAD_WIRE: Final = "cannot parse invalid wire-format data"


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned 64-bit varint that begins at *at*, and where it ends.

    More bytes than needed are fine, up to ten. Raises
    :class:`~wirecore.errors.InvalidMessage` where it is cut off or above 64 bits.
    """
    if at < len(data) and data[at] < 0x80:
        return data[at], at + 1
    value = shift = 0
    for byte in data[at : at + 10]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 and value < 1 << 64:
            return value, at + shift // 7
    raise InvalidMessage(_BAD_WIRE)


def read_tag(data: bytes, at: int, largest: int = MAX_FIELD) -> tuple[int, int, int]:
    """Field number, wire type, and where the tag at *at* ends.

    Raises :class:`~wirecore.errors.InvalidMessage` for a number of 0 or above *largest*.
    """
    tag, at = read_varint(data, at)
    if not 0 < tag >> 3 <= largest:
        raise InvalidMessage(_BAD_WIRE)
    return tag >> 3, tag & 7, at


def read_span(data: bytes, at: int) -> tuple[int, int]:
    """Begin and end of the length-prefixed value at *at*.

    Raises :class:`~wirecore.errors.InvalidMessage` where it is longer than *data* has.
    """
    size, at = read_varint(data, at)
    if size > len(data) - at:
        raise InvalidMessage(_BAD_WIRE)
    return at, at + size


def skip_value(data: bytes, at: int, number: int, wire_type: int) -> int:
    """Where the value at *at* ends, be it a group that holds others.

    Raises :class:`~wirecore.errors.InvalidMessage` for wire types 6 and 7, a value that is cut
    off, and groups that don't end, don't match or are nested too deep.
    """
    groups: list[int] = []
    while True:
        if wire_type == VARINT:
            _, at = read_varint(data, at)
        elif wire_type == BYTES:
            _, at = read_span(data, at)
        elif wire_type == FIXED64:
            at += 8
        elif wire_type == FIXED32:
            at += 4
        elif wire_type == GROUP and len(groups) < MAX_GROUPS:
            groups.append(number)
        elif wire_type != GROUP_END or not groups or groups.pop() != number:
            raise InvalidMessage(_BAD_WIRE)
        if at > len(data):
            raise InvalidMessage(_BAD_WIRE)
        if not groups:
            return at
        number, wire_type, at = read_tag(data, at, MAX_GROUPED_FIELD)


def read_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message in order: number and value.

    A varint's value is an int, a length-prefixed one's bytes; the other types, which no message
    here has, are skipped. Raises :class:`~wirecore.errors.InvalidMessage` at the first field
    that can't be read.
    """
    at = 0
    while at < len(data):
        number, wire_type, at = read_tag(data, at)
        if wire_type == BYTES:
            begin, at = read_span(data, at)
            yield number, data[begin:at]
        elif wire_type == VARINT:
            value, at = read_varint(data, at)
            yield number, value
        else:
            at = skip_value(data, at, number, wire_type)


def read_text(value: bytes) -> str:
    """The value of a field of type string.

    Raises :class:`~wirecore.errors.InvalidMessage` where it isn't UTF-8.
    """
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidMessage("string field contains invalid UTF-8") from None


def write_varint(value: int) -> bytes:
    """*value*, of 0 to 2**64 - 1, in as few bytes as it takes."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_field(number: int, value: bytes) -> bytes:
    """A length-prefixed field; nothing for an empty value, as proto3 leaves it out."""
    if not value:
        return b""
    return write_varint(number << 3 | BYTES) + write_varint(len(value)) + value
