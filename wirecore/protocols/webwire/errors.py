"""The named errors of webwire; those of a lost connection are the transport's.

Where the original has one type, here is one class. What it calls "canceled" is the event loop's
own cancellation here, and passes through as that.
"""

from __future__ import annotations

from wirecore.errors import (
    CallTimeout,
    HandshakeError,
    Incompatible,
    LocalLimitExceeded,
    RemoteError,
    RpcError,
    kind_of,
)

__all__ = [
    "BufferOverflow",
    "BufferSizeMismatch",
    "ConnectionTimeout",
    "DeadlineExceeded",
    "DialTimeout",
    "IncompatibleVersion",
    "InternalError",
    "MaxSessionConnectionsReached",
    "RequestError",
    "ServerShutdown",
    "SessionNotFound",
    "SessionsDisabled",
    "SubprotocolMismatch",
    "UnexpectedFirstMessage",
]


class RequestError(RpcError):
    """What a handler raises to refuse a request: the caller gets one with the same fields.

    *code*: 1 to 255 printable ASCII characters, for programs. *message*: any text, for people.
    """

    def __init__(self, code: str, message: str = "") -> None:
        for what, value in (("code", code), ("message", message)):
            if not isinstance(value, str):
                raise TypeError(f"the {what} of a RequestError must be str, not {kind_of(value)}")
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message


# --- the server's answers ----------------------------------------------------------------------


class InternalError(RemoteError):
    """The server failed to handle the request; its log says why."""


class ServerShutdown(RemoteError):
    """The server shuts down, and takes no new requests."""


class SessionNotFound(RemoteError):
    """The server has no session of that key."""


class MaxSessionConnectionsReached(RemoteError):
    """As many connections as the server lets one session have use it already."""


class SessionsDisabled(RemoteError):
    """The server has no sessions."""


# --- opening -----------------------------------------------------------------------------------


class UnexpectedFirstMessage(Incompatible):
    """The server's first message is not webwire's: another protocol is spoken there."""


class IncompatibleVersion(Incompatible):
    """The server speaks another major version: *major*, *minor*."""

    def __init__(self, major: int, minor: int) -> None:
        super().__init__(f"the server speaks webwire {major}.{minor}, and this end 2.0")
        self.major = major
        self.minor = minor


class SubprotocolMismatch(Incompatible):
    """Both ends name the protocol inside of webwire, and not the same: *ours*, *theirs*."""

    def __init__(self, ours: str, theirs: str) -> None:
        super().__init__(
            f"the server's sub-protocol is {theirs!r}, and ours {ours!r}: set subprotocol"
        )
        self.ours = ours
        self.theirs = theirs


class BufferSizeMismatch(Incompatible):
    """Both ends must be set to one message buffer size: *ours*, *theirs*, in bytes."""

    def __init__(self, ours: int, theirs: int) -> None:
        super().__init__(
            f"the server's message buffer has {theirs} bytes, and ours {ours}: set buffer_size"
        )
        self.ours = ours
        self.theirs = theirs


class DialTimeout(HandshakeError, TimeoutError):
    """One attempt to connect took longer than ``dial_timeout``."""


# --- requests ----------------------------------------------------------------------------------


class DeadlineExceeded(CallTimeout):
    """No reply came in time; a late one will be dropped."""


class ConnectionTimeout(CallTimeout):
    """There was no connection in time; nothing was sent."""


class BufferOverflow(LocalLimitExceeded):
    """A message is longer than the message buffer of the connection; nothing was sent."""
