"""webwire without I/O: requests, replies, signals and sessions over one WebSocket.

Byte-compatible with github.com/qbeon/webwire-go, protocol 2.0.
"""

from __future__ import annotations

from wirecore.protocols.webwire.client import DEFAULT_BUFFER_SIZE, TIMED_OUT, ClientSession
from wirecore.protocols.webwire.errors import (
    BufferOverflow,
    BufferSizeMismatch,
    ConnectionTimeout,
    DeadlineExceeded,
    DialTimeout,
    IncompatibleVersion,
    InternalError,
    MaxSessionConnectionsReached,
    RequestError,
    ServerShutdown,
    SessionNotFound,
    SessionsDisabled,
    SubprotocolMismatch,
    UnexpectedFirstMessage,
)
from wirecore.protocols.webwire.messages import PROTOCOL, AcceptConf
from wirecore.protocols.webwire.payload import Payload, Sendable
from wirecore.protocols.webwire.registry import SessionRegistry
from wirecore.protocols.webwire.server import ServerSession, accept_conf
from wirecore.protocols.webwire.stored import Session
from wirecore.webwire_rules import Encoding, MessageType

__all__ = [
    "DEFAULT_BUFFER_SIZE",
    "PROTOCOL",
    "TIMED_OUT",
    "AcceptConf",
    "BufferOverflow",
    "BufferSizeMismatch",
    "ClientSession",
    "ConnectionTimeout",
    "DeadlineExceeded",
    "DialTimeout",
    "Encoding",
    "IncompatibleVersion",
    "InternalError",
    "MaxSessionConnectionsReached",
    "MessageType",
    "Payload",
    "RequestError",
    "Sendable",
    "ServerSession",
    "ServerShutdown",
    "Session",
    "SessionNotFound",
    "SessionRegistry",
    "SessionsDisabled",
    "SubprotocolMismatch",
    "UnexpectedFirstMessage",
    "accept_conf",
]
