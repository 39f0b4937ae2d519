"""webwire without I/O: requests, replies, signals and sessions over one WebSocket.

Byte-compatible with github.com/qbeon/webwire-go, protocol 2.0.
"""

from __future__ import annotations

from wirecore.protocols.webwire.payload import Payload, Sendable
from wirecore.protocols.webwire.stored import Session
from wirecore.webwire_rules import Encoding, MessageType

__all__ = ["Encoding", "MessageType", "Payload", "Sendable", "Session"]
