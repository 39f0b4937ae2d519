"""Cutting a stream of JSON into messages, whatever the pieces in which it comes.

A message is an object, or null. Each byte is looked at a bounded number of times, by compiled
functions of the standard library: mostly once, where a whole line came, as the originals write.
"""

from __future__ import annotations

import re
from collections import deque
from itertools import accumulate
from json import JSONDecodeError
from typing import Final

from wirecore.errors import JsonStreamError, JsonStreamLimitExceeded
from wirecore.gob.limits import Limits
from wirecore.gojson.parsing import (
    Decode,
    Message,
    broken,
    decoder_for,
    has_halves,
    is_broken,
    parse_message,
)

_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_SPACE_IN_TEXT: Final = re.compile(r"[ \t\r\n]*")
_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)
_IN_STRING: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_BRACKET_OR_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|([\[\]{}])', re.DOTALL)

_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}

_NULL: Final = b"null"

_LINE_END: Final = ord("\n")

#: Bytes that are scanned at first, and at most, before it is seen whether a message ends there.
_FIRST_SLICE: Final = 256
_LAST_SLICE: Final = 1 << 16


class MessageBuffer:
    """The bytes that came, given out as messages. *limits*: of each of these."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._data = b""  # the piece that is looked at, from _at on
        self._at = 0
        self._tried = 0  # up to where it was taken for a whole line, with or without success
        self._line_text = ""  # that line, where it can be parsed at once, and where that goes on
        self._line_at = 0
        self._decode: Decode = decoder_for(b"")
        self._more: deque[bytes] = deque()
        self._more_size = 0
        self._begun: list[bytes] = []  # of a message that began in earlier pieces
        self._scanner: _Scanner | None = None
        self._broken: JsonStreamError | None = None

    @property
    def buffered(self) -> int:
        """Bytes that came and weren't looked at yet."""
        return len(self._data) - self._at + self._more_size

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take in *data*: any part of the stream. Raises as any buffer does."""
        piece = bytes(memoryview(data).cast("B"))
        if piece:
            self._more.append(piece)
            self._more_size += len(piece)

    def next(self) -> Message | None:
        """The next message; None: it isn't whole yet.

        Raises :class:`~wirecore.errors.JsonStreamError` for what is no message, and one that
        passes a bound; ever since then.
        """
        if self._broken is not None:
            raise self._broken
        try:
            return self._next()
        except JsonStreamError as error:
            self._broken = error
            self._more.clear()
            self._more_size = 0
            self._begun.clear()
            raise

    def piece(self) -> tuple[bytes, int] | None:
        """The bytes at hand, and where in them a message begins, behind spaces; None: nowhere."""
        if self._broken is not None or self._scanner is not None or not self._fill():
            return None
        return self._data, self._at

    def go_to(self, at: int) -> None:
        """All messages of the piece at hand up to *at* are seen to."""
        if at < self._tried and self._line_text:
            # The rest of the line isn't to be taken up again from its beginning.
            taken = self._data[self._at : at]
            self._line_at += len(taken if self._line_text.isascii() else taken.decode())
        self._at = at

    @property
    def spent(self) -> bool:
        """Whether nothing that came is left but, at most, the end of the last message's line."""
        return not self._more_size and self._is_through()

    def _is_through(self) -> bool:
        data, at = self._data, self._at
        return at == len(data) or (at == len(data) - 1 and data[at] == _LINE_END)

    @property
    def later(self) -> int:
        """Bytes that came after the piece at hand."""
        return self._more_size

    def finish(self) -> None:
        """Raise :class:`~wirecore.errors.JsonStreamError` where the stream ends in a message."""
        if self._broken is not None:
            raise self._broken
        rest = b"".join((*self._begun, self._data[self._at :], *self._more))
        if rest.strip(b" \t\r\n"):
            raise JsonStreamError("unexpected EOF")

    def _next(self) -> Message | None:
        while self._fill():
            if self._scanner is None:
                if self._to_object():
                    return Message("null", None)
                if self._at == len(self._data):
                    continue
                if self._data[self._at] != ord("{"):
                    return None  # the beginning of null
                found = self._line()
                if found is not None:
                    return found
                self._scanner = _Scanner(self._limits)
            end = self._scanner.run(self._data, self._at)
            if end < 0:
                self._begun.append(self._data[self._at :])
                self._at = len(self._data)
                continue
            whole = b"".join((*self._begun, self._data[self._at : end]))
            self._begun.clear()
            self._scanner = None
            self._at = end
            return parse_message(whole)
        return None

    def _fill(self) -> bool:
        """Whether there is a byte to look at: not one that ends the line of a message before."""
        if self._at >= len(self._data) - 1:
            if not self._more:
                return self._at < len(self._data)
            if self._at == len(self._data) or (self._scanner is None and self._is_through()):
                self._data = self._pop()
                self._at = self._tried = 0
        return True

    def _pop(self) -> bytes:
        piece = self._more.popleft()
        self._more_size -= len(piece)
        return piece

    def _to_object(self) -> bool:
        """Go on to where a message begins. True: that was a null, which is behind us."""
        self._at = _SPACE.match(self._data, self._at).end()  # type: ignore[union-attr]
        data, at = self._data, self._at
        if at == len(data) or data[at] == ord("{"):
            return False
        while self._more and len(data) - at < len(_NULL):
            data, at = data[at:] + self._pop(), 0
            self._data, self._at, self._tried = data, 0, 0
        head = data[at : at + len(_NULL)]
        if head == _NULL:
            self._at += len(_NULL)
            self._line_text = ""  # which doesn't know of that: the rest of the line is scanned
            return True
        if not _NULL.startswith(head):
            raise JsonStreamError(f"a message must be an object, and begins with {chr(head[0])!a}")
        return False

    def _line(self) -> Message | None:
        """The message at hand, of those of this line. None: it has to be scanned for its end."""
        data, at = self._data, self._at
        if at >= self._tried:
            self._line_text = self._begin_line(data, at)
            self._line_at = 0
        text = self._line_text
        if not text:
            return None
        begin = _SPACE_IN_TEXT.match(text, self._line_at).end()  # type: ignore[union-attr]
        try:
            tree, end = self._decode(text, begin)
        except JSONDecodeError as error:
            self._line_text = ""
            if is_broken(error):
                raise broken(error) from None
            return None
        self._line_at = end
        found = text if end - begin == len(text) else text[begin:end]
        self._at = at + (len(found) if found.isascii() else len(found.encode()))
        return Message(found, tree)

    def _begin_line(self, data: bytes, at: int) -> str:
        """The line in characters, if it can be parsed without being scanned before."""
        end = self._tried = data.find(b"\n", at) + 1 or len(data)
        line = data if at == 0 and end == len(data) else data[at:end]
        opened = line.count(b"{") + line.count(b"[")
        limits = self._limits
        if (
            len(line) > limits.max_message_size
            or opened > limits.max_depth
            or opened + line.count(b",") > limits.max_elements
        ):
            return ""
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return ""
        self._decode = decoder_for(line)
        return "" if has_halves(text) else text


class _Scanner:
    """Finds the end of an object, in pieces, and counts what is in it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._depth = 0
        self._elements = 0
        self._size = 0
        self._slice = _FIRST_SLICE
        self._in_string = False
        self._escaped = False  # the last byte was a backslash that stands before another one

    def run(self, data: bytes, at: int) -> int:
        """Where the object ends in *data*, which goes on at *at*; -1: it doesn't."""
        while at < len(data):
            piece = data[at : at + self._slice]
            self._slice = min(2 * self._slice, _LAST_SLICE)
            end = self._take(piece)
            self._size += len(piece) if end < 0 else end
            self._check("max_message_size", self._size, self._limits.max_message_size)
            if end >= 0:
                return at + end
            at += len(piece)
        return -1

    def _take(self, piece: bytes) -> int:
        """Where the object ends in *piece*; -1: it doesn't."""
        in_string, escaped = self._in_string, self._escaped
        bare = self._without_strings(piece)
        brackets = bare.translate(None, _NO_BRACKETS)
        opened = brackets.count(b"{") + brackets.count(b"[")
        end = -1
        closed = len(brackets) - opened
        if self._depth + opened <= self._limits.max_depth and self._depth > closed:
            self._depth += opened - closed
        elif brackets:
            depths = list(accumulate(map(_STEP.__getitem__, brackets), initial=self._depth))[1:]
            if 0 in depths:
                count = depths.index(0) + 1
                end = _end_of_bracket(piece, count, in_string, escaped)
                del depths[count:]
                bare = bare[: _end_of_bracket(bare, count, False, False)]
                opened = sum(bare.count(mark) for mark in (b"{", b"["))
            self._check("max_depth", max(depths), self._limits.max_depth)
            self._depth = depths[-1]
        self._elements += bare.count(b",") + opened
        self._check("max_elements", self._elements, self._limits.max_elements)
        return end

    def _without_strings(self, piece: bytes) -> bytes:
        """What of *piece* isn't within quotes."""
        if self._escaped:
            piece = piece[1:]
            self._escaped = False
        if b"\\" in piece:
            piece = _ESCAPE.sub(b"", piece)
            self._escaped = piece.endswith(b"\\")
        parts = piece.split(b'"')
        bare = b"".join(parts[self._in_string :: 2])
        self._in_string ^= len(parts) % 2 == 0
        return bare

    @staticmethod
    def _check(limit: str, figure: int, bound: int) -> None:
        if figure > bound:
            raise JsonStreamLimitExceeded(limit, figure, bound)


def _end_of_bracket(piece: bytes, count: int, in_string: bool, escaped: bool) -> int:
    """Where the bracket number *count* ends in *piece*, which may begin within a string.

    Raises JsonStreamError where *piece* has less.
    """
    at = int(escaped)
    if in_string:
        at = _IN_STRING.match(piece, at).end() + 1  # type: ignore[union-attr]
    for found in _BRACKET_OR_STRING.finditer(piece, at):
        if found[1]:
            count -= 1
            if count == 0:
                return found.end()
    # A backslash outside of a string has hidden a quotation mark from who counted.
    raise JsonStreamError("invalid JSON: a backslash outside of a string")
