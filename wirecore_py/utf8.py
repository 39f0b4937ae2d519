"""Validation of UTF-8 that comes in pieces: the pure twin of ``wirecore._utf8``."""

from __future__ import annotations

from codecs import utf_8_decode

from wirecore_py._buffer import Buffer, as_bytes


class Utf8Validator:
    """Accepts what Python's strict UTF-8 decoder accepts (RFC 3629), however it is cut.

    So no overlong forms, no surrogates, nothing above U+10FFFF.
    """

    __slots__ = ("_bad", "_tail")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, as if nothing had been fed."""
        self._bad = False
        # The first bytes of a character whose rest hasn't come.
        self._tail = b""

    def feed(self, data: Buffer) -> bool:
        """Take the next bytes; False from the first byte on that can't stand in UTF-8.

        *data*: any C-contiguous buffer of bytes; else TypeError or ValueError is raised.
        """
        piece = as_bytes(data)
        if self._bad:
            return False
        if self._tail:
            piece = self._tail + piece
        try:
            _, used = utf_8_decode(piece, "strict", False)
        except UnicodeDecodeError:
            self._bad = True
            return False
        tail = piece[used:]
        # Python waits for the third byte of a surrogate, for a handler that lets it pass.
        self._bad = tail[:1] == b"\xed" and tail[1:2] >= b"\xa0"
        self._tail = tail
        return not self._bad

    def finish(self) -> bool:
        """Whether what was fed is whole: False after a bad byte, or inside a character."""
        return not self._bad and not self._tail
