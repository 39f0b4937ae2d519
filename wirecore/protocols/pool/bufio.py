"""How Go's buffered writer cuts what gob writes: which bytes were one write of the original's."""

from __future__ import annotations

from typing import Final

#: Bytes that Go's bufio.Writer holds by default.
BUFFER_SIZE: Final = 4096


def cut_as_bufio(messages: bytes) -> list[bytes]:
    """Whole gob messages, cut as a bufio.Writer writes them on that is flushed at their end.

    Each message was one write into it. What doesn't fit fills the buffer, which then is written;
    the rest goes past an empty buffer in one write if it is larger, or else into it.
    """
    if len(messages) <= BUFFER_SIZE:
        return [messages]
    pieces: list[bytes] = []
    begin = at = 0  # of what the buffer holds; where the next message begins
    while at < len(messages):
        end = _end_of_message(messages, at)
        while end - at > BUFFER_SIZE - (at - begin):
            at = end if at == begin else begin + BUFFER_SIZE
            pieces.append(messages[begin:at])
            begin = at
        at = end
    if begin < at:
        pieces.append(messages[begin:])
    return pieces


def _end_of_message(data: bytes, at: int) -> int:
    first = data[at]
    at += 1
    if first < 0x80:
        return at + first
    body = at + 0x100 - first
    return body + int.from_bytes(data[at:body], "big")
