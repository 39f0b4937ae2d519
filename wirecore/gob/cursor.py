"""Reading what messages are framed by: definitions of types, and where values end."""

from __future__ import annotations

from wirecore import gob_rules as rules
from wirecore.errors import GobStreamError


class Cursor:
    """A place in a message. All that it reads raises GobStreamError where that isn't there."""

    __slots__ = ("data", "at", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    @property
    def left(self) -> int:
        """Bytes of the message that weren't read yet."""
        return self.end - self.at

    def uint(self) -> int:
        """An unsigned integer."""
        if not self.left:
            raise GobStreamError(rules.EOF)
        first = self.data[self.at]
        self.at += 1
        if first < 0x80:
            return first
        width = 0x100 - first
        if width > 8:
            raise GobStreamError(rules.BAD_UINT)
        if self.left < width:
            raise GobStreamError(rules.short_uint(width, self.left))
        self.at += width
        return int.from_bytes(self.data[self.at - width : self.at], "big")

    def signed(self) -> int:
        """A signed integer."""
        number = self.uint()
        return ~(number >> 1) if number & 1 else number >> 1

    def span(self) -> bytes:
        """Bytes, after their number."""
        size = self.uint()
        if size > self.left:
            raise GobStreamError(rules.bad_size("string"))
        self.at += size
        return self.data[self.at - size : self.at]

    def delta(self, number: int, fields: int) -> int:
        """The number of the next field of a struct after *number*; -1: there is none.

        *fields*: how many the struct has. As in Go, a message's end is a struct's.
        """
        if not self.left:
            return -1
        delta = self.uint()
        if delta == 0:
            return -1
        if number >= fields - delta:
            raise GobStreamError(rules.BAD_FIELD)
        return number + delta
