"""Masking of payloads, RFC 6455 section 5.3: the pure twin of ``wirecore._mask``."""

from __future__ import annotations

from functools import cache
from typing import Final

from wirecore.rules import check_key
from wirecore_py._buffer import Buffer, as_bytes

#: From this length on, a table for each byte of the key is faster than one big integer.
TRANSLATE_FROM: Final = 4096


@cache
def _table(key_byte: int) -> bytes:
    return bytes(byte ^ key_byte for byte in range(256))


def xor(data: bytes, key: bytes) -> bytes:
    """*data* XOR-ed with *key* (4 bytes) repeated: `apply_mask` without its checks."""
    size = len(data)
    if size < TRANSLATE_FROM:
        repeated = (key * ((size >> 2) + 1))[:size]
        mask = int.from_bytes(repeated, "little")
        return (int.from_bytes(data, "little") ^ mask).to_bytes(size, "little")
    masked = bytearray(size)
    for index, key_byte in enumerate(key):
        masked[index::4] = data[index::4].translate(_table(key_byte))
    return bytes(masked)


def apply_mask(data: Buffer, key: bytes, offset: int = 0, head: bytes = b"") -> bytes:
    """*data* XOR-ed with the 4 bytes of *key*, repeated, as new bytes.

    *data*: any C-contiguous buffer of bytes. *offset* (0 or more) is the index into the
    repeated key that belongs to the first byte of *data*. *head* comes before the result, as it is.

    Raises TypeError when *data* is no buffer, *key* or *head* no bytes, ValueError when *key*
    isn't 4 bytes long, *offset* is negative or *data* isn't contiguous.
    """
    check_key(key)
    if not isinstance(head, bytes):
        raise TypeError(f"head must be bytes, not {type(head).__name__}")
    if offset < 0:
        raise ValueError(f"offset must not be negative, got {offset}")
    turn = offset & 3
    masked = xor(as_bytes(data), key[turn:] + key[:turn])
    return head + masked if head else masked
