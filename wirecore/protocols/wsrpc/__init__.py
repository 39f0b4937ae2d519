"""wsrpc without I/O: calls in both directions over one WebSocket, in protobuf envelopes.

Byte-compatible with github.com/smartcontractkit/wsrpc. Who may talk to whom is settled below
this, by TLS with pinned keys; messages are whatever bytes a call's parameters encode to.
"""

from __future__ import annotations

from wirecore.protocols.wsrpc.messages import (
    CLIENT_READ_LIMIT,
    PING_INTERVAL,
    PONG_TIMEOUT,
    PROTOCOL,
    SERVER_READ_LIMIT,
    Received,
    sendable_text,
)
from wirecore.protocols.wsrpc.session import Session

__all__ = [
    "CLIENT_READ_LIMIT",
    "PING_INTERVAL",
    "PONG_TIMEOUT",
    "PROTOCOL",
    "SERVER_READ_LIMIT",
    "Received",
    "Session",
    "sendable_text",
]
