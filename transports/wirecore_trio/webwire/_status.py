"""Where a client stands."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """Where a client stands.

    *DISCONNECTED*: no connection, and no attempt under way. *CONNECTING*: an attempt is under
    way, or the next one waits. *CONNECTED*: requests go through. *CLOSED*: its ``async with`` was
    left.
    """

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"
