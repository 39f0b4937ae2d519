"""Connections that end with a reset in place of an orderly end."""

from __future__ import annotations

import socket
import struct
from typing import Protocol


class Settable(Protocol):
    """A socket, or a stream over one."""

    def setsockopt(self, level: int, option: int, value: bytes, /) -> object:
        """See :meth:`socket.socket.setsockopt`."""


def close_resets(end: Settable) -> None:
    """Have the close of *end* reset its connection: it lingers for 0 seconds."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
