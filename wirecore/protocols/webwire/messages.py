"""The messages of webwire that come seldom and have few fields: settings, sessions, outcomes.

Requests, signals, and replies with a payload are the codec's, which comes in two backends.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from wirecore.errors import InvalidMessage, UnsendableMessage, kind_of
from wirecore.webwire_rules import MessageType, encode_id

SESSION_CLOSED: Final = bytes((MessageType.SESSION_CLOSED,))
HEARTBEAT: Final = bytes((MessageType.HEARTBEAT,))

#: The subprotocol of the WebSocket by which our own ends agree on control messages, which are text.
#: It isn't what ``AcceptConf`` names.
PROTOCOL: Final = "wirecore.webwire.v1"

#: The version that is spoken here; peers of another major one aren't understood.
MAJOR: Final = 2
MINOR: Final = 0

#: What goes before the name of the sub-protocol: version, read timeout, size of the buffer.
_SETTINGS: Final = struct.Struct("<BBII")

#: What may become of a request besides a reply and an error with a code.
_OUTCOMES: Final = frozenset(
    (
        MessageType.REPLY_SHUTDOWN,
        MessageType.REPLY_INTERNAL_ERROR,
        MessageType.REPLY_SESSION_NOT_FOUND,
        MessageType.REPLY_MAX_SESSION_CONNECTIONS,
        MessageType.REPLY_SESSIONS_DISABLED,
    )
)


@dataclass(frozen=True, slots=True)
class AcceptConf:
    """A server's settings, its first message on every connection.

    *major*, *minor*: the version of the protocol, 0 to 255 each. *read_timeout_ms*: how long the
    server waits for a message, and *buffer_size*: the bytes of its longest message, each 0 to
    2^32 - 1. *subprotocol*: any bytes, none where it has no name.
    """

    major: int
    minor: int
    read_timeout_ms: int
    buffer_size: int
    subprotocol: bytes = b""

    def encode(self) -> bytes:
        """The message. Raises :class:`~wirecore.errors.UnsendableMessage` outside these bounds."""
        for name, most in (
            ("major", 0xFF),
            ("minor", 0xFF),
            ("read_timeout_ms", 0xFFFFFFFF),
            ("buffer_size", 0xFFFFFFFF),
        ):
            figure = getattr(self, name)
            if not isinstance(figure, int):
                raise TypeError(f"{name} must be an int, not {kind_of(figure)}")
            if not 0 <= figure <= most:
                raise UnsendableMessage(f"{name} must be 0 to {most}, got {figure}")
        settings = _SETTINGS.pack(self.major, self.minor, self.read_timeout_ms, self.buffer_size)
        return _message(MessageType.ACCEPT_CONF, settings, self.subprotocol)

    @classmethod
    def decode(cls, payload: bytes) -> AcceptConf:
        """The settings in *payload*, the bytes behind the type.

        Raises :class:`~wirecore.errors.InvalidMessage` where they are too few.
        """
        if len(payload) < _SETTINGS.size:
            raise InvalidMessage(
                f"a server's settings are {_SETTINGS.size} bytes or more, not {len(payload)}"
            )
        major, minor, read_timeout_ms, buffer_size = _SETTINGS.unpack_from(payload)
        subprotocol = bytes(payload[_SETTINGS.size :])
        return cls(major, minor, read_timeout_ms, buffer_size, subprotocol)


def encode_outcome(kind: MessageType, request_id: int) -> bytes:
    """A reply that says by its type alone what became of a request.

    *kind*: one of MessageType's REPLY_SHUTDOWN to REPLY_SESSIONS_DISABLED. Raises
    :class:`~wirecore.errors.UnsendableMessage` for another one, and for an id outside 0 to
    2^64 - 1.
    """
    if kind not in _OUTCOMES:
        raise UnsendableMessage(f"no reply says with the type {kind!r} what became of a request")
    return _message(kind, encode_id(request_id))


def encode_restore_session(request_id: int, key: bytes) -> bytes:
    """A request to go on with the session of *key*.

    Raises :class:`~wirecore.errors.UnsendableMessage` for an empty key, and an id outside 0 to
    2^64 - 1.
    """
    head = encode_id(request_id)
    if not key:
        raise UnsendableMessage("a session's key must not be empty")
    return _message(MessageType.RESTORE_SESSION, head, key)


def encode_close_session(request_id: int) -> bytes:
    """A request to close the connection's session.

    Raises :class:`~wirecore.errors.UnsendableMessage` for an id outside 0 to 2^64 - 1.
    """
    return _message(MessageType.CLOSE_SESSION, encode_id(request_id))


def encode_session_created(json: bytes) -> bytes:
    """Tells the client of its new session, as ``Session.to_json`` writes it.

    Raises :class:`~wirecore.errors.UnsendableMessage` where *json* is empty.
    """
    if not json:
        raise UnsendableMessage("a session's JSON must not be empty")
    return _message(MessageType.SESSION_CREATED, json)


def _message(kind: MessageType, *parts: bytes) -> bytes:
    return b"".join((bytes((kind,)), *parts))
