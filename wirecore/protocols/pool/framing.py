"""How one write becomes WebSocket frames, as the original's library cuts it, and what we add.

What we add are control messages: between our own ends, which have agreed on a subprotocol, text
messages aren't part of the stream of calls but one JSON object each. One says that a provider
leaves, others what goes with a call (``wirecore.session.fields``).
"""

from __future__ import annotations

import json
from typing import Final, TypedDict

from wirecore._backend import Backend
from wirecore.errors import LocalLimitExceeded, NotConnected
from wirecore.events import RawText
from wirecore.session.limits import Limits
from wirecore.websocket.connection import Connection
from wirecore.websocket.writer import PART, MessageWriter

#: The subprotocol by which our own ends agree on control messages.
PROTOCOL: Final = "wirecore.pool.v1"

#: Bytes of payload of a frame: gorilla's buffer. A server's is that of Go's HTTP server, in which
#: there must be room for the longest head of a frame.
CLIENT_FRAGMENT_SIZE: Final = 4096
SERVER_FRAGMENT_SIZE: Final = CLIENT_FRAGMENT_SIZE - 14

#: A server's longer writes go past that buffer, as one frame; the message then has no more to
#: end with than an empty one.
SERVER_LARGEST_CUT: Final = 2 * CLIENT_FRAGMENT_SIZE

#: Bytes of a control message; longer ones say nothing that is known here.
_LARGEST_CONTROL: Final = 1024

_LEAVE: Final = '{"leave": true}'


class Bounds(TypedDict):
    """See the ``Queue`` of pool_sender."""

    masked: bool
    largest: int
    max_queued: int


class WriteSender:
    """Queues a codec's writes as messages of *connection*, which compresses nothing.

    *limits*: those of *connection*, of which *max_queued_bytes* binds.
    """

    __slots__ = (
        "_backend",
        "_connection",
        "_encode",
        "_fragment_size",
        "_masked",
        "_max_queued",
        "_outbox",
        "_short",
        "_writer",
    )

    def __init__(
        self, connection: Connection, backend: Backend, *, client: bool, limits: Limits
    ) -> None:
        self._connection = connection
        self._backend = backend
        self._encode = backend.frames.encode_message
        self._masked = client
        self._fragment_size = CLIENT_FRAGMENT_SIZE if client else SERVER_FRAGMENT_SIZE
        self._short = PART if client else SERVER_LARGEST_CUT
        self._max_queued = limits.max_queued_bytes
        self._outbox = connection.outbox
        self._writer: MessageWriter | None = None  # most connections never need one

    @property
    def bounds(self) -> Bounds:
        """What is one frame, for who makes these himself."""
        return Bounds(masked=self._masked, largest=self._fragment_size, max_queued=self._max_queued)

    def check(self) -> None:
        """See that :meth:`put` may be called: all that a codec has made must be sent.

        Raises :class:`~wirecore.errors.NotConnected` where the connection isn't open,
        :class:`~wirecore.errors.LocalLimitExceeded` where too much waits to be sent.
        """
        if not self._connection.plain:
            raise NotConnected
        if self._outbox.pending > self._max_queued:
            raise LocalLimitExceeded("max_queued_bytes", self._outbox.pending, self._max_queued)

    def put(self, writes: list[bytes]) -> int:
        """Queue *writes*, a message each; the end offset of the last in the data lane."""
        for write in writes:
            if len(write) <= self._short:
                self._outbox.put(self._encode(write, self._masked, self._fragment_size))
            else:
                self._put_long(write)
        return self._outbox.queued

    def _put_long(self, write: bytes) -> None:
        if self._writer is None:
            self._writer = MessageWriter(
                self._backend, self._outbox, self._masked, self._fragment_size, None
            )
        if self._masked:
            self._writer.put_message(write, False)
        else:
            self._writer.put_fragment(write, last=False, text=None, compress=None)
            self._writer.put_fragment(b"", last=True, text=None, compress=None)

    def put_leave(self) -> None:
        """Queue the control message that says that no more calls are wanted."""
        self.put_control(_LEAVE)

    def put_control(self, message: str | RawText) -> None:
        """Queue a control message."""
        self._outbox.put(self._encode(message, self._masked))


def says_leave(message: RawText) -> bool:
    """Whether a control message says that no more calls are wanted. Unknown ones say nothing."""
    if len(message) > _LARGEST_CONTROL:
        return False
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("leave") is True
