"""Fields of protobuf messages whose types nobody has told: numbers, and what they seem to hold."""

from __future__ import annotations

from typing import Any, Final

from wirecore import protobuf
from wirecore.errors import InvalidMessage

#: Fields that are read, and how deep messages are looked for in bytes.
_MOST: Final = 200
_DEEPEST: Final = 4


def read_wire_fields(data: bytes, depth: int = _DEEPEST) -> list[list[Any]] | None:
    """Number and value of each field: an int, text, bytes, or again such a list.

    None where *data* can't be a message. What could be text or a message is taken for text.
    """
    found: list[list[Any]] = []
    at = 0
    try:
        while at < len(data) and len(found) < _MOST:
            number, kind, at = protobuf.read_tag(data, at)
            if kind == protobuf.VARINT:
                value, at = protobuf.read_varint(data, at)
                found.append([number, value])
            elif kind == protobuf.BYTES:
                begin, at = protobuf.read_span(data, at)
                found.append([number, _inner(data[begin:at], depth)])
            else:
                end = protobuf.skip_value(data, at, number, kind)
                found.append([number, data[at:end]])
                at = end
    except InvalidMessage:
        return None
    return found


def _inner(data: bytes, depth: int) -> Any:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if all(mark.isprintable() or mark in "\t\r\n" for mark in text):
        return text
    inner = read_wire_fields(data, depth - 1) if depth else None
    return data if inner is None else inner
