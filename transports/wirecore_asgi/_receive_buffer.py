"""Where asyncio puts what it reads: one buffer for all connections of a loop.

Without it asyncio allocates 256 KiB for each read. What a read brought is decoded before the
next one begins, and the decoder copies what it keeps.
"""

from __future__ import annotations

import threading
from typing import Final

_SIZE: Final = 64 * 1024


class _PerThread(threading.local):
    """A loop runs in one thread, and a thread runs one loop at a time."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_SIZE))


_local: Final = _PerThread()


def receive_buffer() -> memoryview:
    """The buffer of this thread's loop."""
    return _local.buffer
