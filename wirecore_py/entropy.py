"""Random bytes for masks and ids, from the system in batches: twin of ``wirecore._entropy``."""

from __future__ import annotations

import os
from typing import Final

#: Bytes asked of the system at once.
BATCH_SIZE: Final = 4096

# Four bytes each. A list, since its pop() is one step that no other thread gets into: two
# callers never see the same bytes.
_pool: list[bytes] = []

if hasattr(os, "register_at_fork"):
    # Else parent and child would hand out the same masks and ids.
    os.register_at_fork(after_in_child=_pool.clear)


def mask_key() -> bytes:
    """A fresh masking key, 4 bytes that can't be predicted (RFC 6455 section 5.3)."""
    while True:
        try:
            return _pool.pop()
        except IndexError:
            batch = os.urandom(BATCH_SIZE)
            _pool.extend(batch[at : at + 4] for at in range(0, BATCH_SIZE, 4))


def random_bytes(n: int) -> bytes:
    """*n* random bytes (0 or more) from the system's source; ValueError when *n* is negative."""
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    if n > BATCH_SIZE:
        return os.urandom(n)
    return b"".join([mask_key() for _ in range((n + 3) >> 2)])[:n]


def uuid4_text() -> str:
    """A random UUID (RFC 9562 section 5.4) in lower case with dashes, 36 characters."""
    digits = random_bytes(16).hex()
    # The two high bits of the variant octet are 10: its first digit is one of 8, 9, a, b.
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
