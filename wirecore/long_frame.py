"""A frame so long that it is made piece by piece, as it is sent: RFC 6455 section 5.2.

To make it whole would double what a large message takes in memory, and most of the time that it
costs is the system's, for pages that nothing has used yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: Frames with longer payloads than this are worth it. They have a length of 64 bits.
LONG: Final = 64 * 1024

#: Bytes that are masked at a time. Each send wakes a peer on the same machine, which looks at what
#: it can't use yet: pieces of 64 KiB cost both ends half as much again. What is freed of much more
#: than this, glibc gives back to the system, which then has to find pages for the next.
PIECE: Final = 256 * 1024

#: Bytes of payload that go with a head, where it isn't masked: they are copied, the others aren't.
FIRST: Final = 4096


class LongFrame:
    """A frame with *payload*, which must be longer than :data:`LONG`; *first* is its first byte.

    *payload* is read until the last of it was given: it mustn't change. *key*: the 4 bytes that
    *mask* masks it with, as ``apply_mask`` of a backend does; empty for a frame that isn't masked.
    """

    __slots__ = ("_at", "_head", "_key", "_mask", "_payload")

    def __init__(
        self,
        first: int,
        payload: memoryview,
        key: bytes,
        mask: Callable[[memoryview, bytes, int, bytes], bytes],
    ) -> None:
        size = len(payload)
        self._head = bytes((first, 0xFF if key else 0x7F)) + size.to_bytes(8, "big") + key
        self._payload = payload
        self._key = key
        self._mask = mask
        self._at = 0

    def __len__(self) -> int:
        """The bytes of it that :meth:`next` hasn't given yet."""
        return len(self._head) + len(self._payload) - self._at

    def next(self) -> bytes | memoryview:
        """The next bytes of it, with the whole head in front of the first."""
        head, self._head = self._head, b""
        at = self._at
        if self._key:
            piece = self._payload[at : at + PIECE]
            self._at = at + len(piece)
            return self._mask(piece, self._key, at, head)
        piece = self._payload[at : at + FIRST] if head else self._payload[at:]
        self._at = at + len(piece)
        return head + piece if head else piece
