"""A frame so long that it is made piece by piece, as it is sent: RFC 6455 section 5.2.

To make it whole would double what a large message takes in memory, and most of the time that it
costs is the system's, for pages that nothing has used yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: Frames with longer payloads than this are worth it. They have a length of 64 bits.
LONG: Final = 64 * 1024

#: The longest head there is.
_HEAD: Final = 14


class LongFrame:
    """A frame with *payload*, which must be longer than :data:`LONG`; *first* is its first byte.

    *key*: the 4 bytes that *mask* masks it with, as ``apply_mask`` of a backend does; empty for a
    frame that isn't masked.
    """

    __slots__ = ("_at", "_head", "_key", "_mask", "_payload")

    def __init__(
        self,
        first: int,
        payload: bytes,
        key: bytes,
        mask: Callable[[memoryview, bytes, int], bytes],
    ) -> None:
        size = len(payload)
        self._head = bytes((first, 0xFF if key else 0x7F)) + size.to_bytes(8, "big") + key
        self._payload = memoryview(payload)
        self._key = key
        self._mask = mask
        self._at = 0

    def __len__(self) -> int:
        """The bytes of it that :meth:`next` hasn't given yet."""
        return len(self._head) + len(self._payload) - self._at

    def next(self, limit: int) -> bytes | memoryview:
        """The next bytes of it: what needn't be masked all at once, else *limit* at most.

        Where *limit* is less than a head may be, that many: a head isn't cut.
        """
        limit = max(limit, _HEAD)
        if self._head:
            head, self._head = self._head, b""
            return head + self._piece(limit - len(head))
        return self._piece(limit if self._key else len(self))

    def _piece(self, size: int) -> bytes | memoryview:
        at = self._at
        piece = self._payload[at : at + size]
        self._at = at + len(piece)
        return self._mask(piece, self._key, at) if self._key else piece
