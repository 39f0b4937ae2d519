"""gob streams cut into messages: the pure twin of ``wirecore._gob_frames``.

A message is a length, a type id and, where the id is negative, the definition of that type, else
a value. Definitions and values are none of its business.
"""

from __future__ import annotations

from typing import Final

from wirecore import gob_rules as rules
from wirecore.errors import GobStreamError, GobStreamLimitExceeded
from wirecore_py._buffer import Buffer, as_bytes

#: The longest that a message's length can be, in bytes.
_HEAD: Final = 9


class FrameBuffer:
    """The bytes that came, given out as messages. *max_message_size*: of one, in bytes."""

    def __init__(self, max_message_size: int) -> None:
        self._largest = max_message_size
        self._data = b""
        self._at = 0
        # What came after a message that isn't whole: it is put together when that is.
        self._more: list[bytes] = []
        self._more_size = 0

    @property
    def buffered(self) -> int:
        """Bytes that came and weren't given out yet."""
        return len(self._data) - self._at + self._more_size

    def feed(self, data: Buffer) -> None:
        """Take in *data*: any part of the stream. Raises as any buffer does."""
        piece = as_bytes(data)
        if self._at == len(self._data) and not self._more_size:
            self._data = piece
            self._at = 0
        elif piece:
            self._more.append(piece)
            self._more_size += len(piece)

    def next(self) -> tuple[int, bytes, int, int] | None:
        """The next message: its type id, bytes, and where in them it goes on and ends.

        None: it isn't whole yet. Raises :class:`~wirecore.errors.GobStreamError` for what is no
        message, and one longer than the bound, at once.
        """
        head = self._length()
        if head is None:
            return None
        size, begin = head
        if size >= rules.GO_MAX_MESSAGE:
            raise GobStreamError(rules.BAD_LENGTH)
        if size > self._largest:
            raise GobStreamLimitExceeded("max_message_size", size, self._largest)
        end = begin + size
        if len(self._data) < end:
            if len(self._data) + self._more_size < end:
                return None
            begin -= self._at
            self._join()
            end = begin + size
        data = self._data
        if end == len(data):
            self._data = b""
            self._at = 0
        else:
            self._at = end
        number, at = _read_int(data, begin, end)
        return number, data, at, end

    def _join(self) -> None:
        self._data = b"".join((memoryview(self._data)[self._at :], *self._more))
        self._at = 0
        self._more = []
        self._more_size = 0

    def _length(self) -> tuple[int, int] | None:
        """A message's length, and where it begins."""
        if self._more_size and len(self._data) - self._at <= _HEAD:
            self._join()
        if self._at == len(self._data):
            return None
        first = self._data[self._at]
        begin = self._at + 1
        if first < 0x80:
            return first, begin
        width = 0x100 - first
        if width > 8:
            raise GobStreamError(rules.BAD_UINT)
        if len(self._data) - begin < width:
            return None
        return int.from_bytes(self._data[begin : begin + width], "big"), begin + width


def _read_int(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The signed integer at *at*, and where it ends."""
    if at == end:
        raise GobStreamError(rules.EOF)
    number = data[at]
    at += 1
    if number >= 0x80:
        width = 0x100 - number
        if width > 8:
            raise GobStreamError(rules.BAD_UINT)
        if end - at < width:
            raise GobStreamError(rules.short_uint(width, end - at))
        number = int.from_bytes(data[at : at + width], "big")
        at += width
    return (~(number >> 1) if number & 1 else number >> 1), at
