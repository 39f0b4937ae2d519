"""Messages of a WebSocket over the bodies of an exchange, at either end of it."""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

import trio

from wirecore.constants import CloseCode
from wirecore.errors import InvalidMessage, RemoteLimitExceeded
from wirecore.events import Buffer, Close
from wirecore.protocols.rest.messages import Item, MessageDecoder, encode_close, encode_message
from wirecore.websocket.closing import make_close

#: Seconds that the peer has to take a close message.
_PATIENCE: Final = 5.0

_TOO_MUCH: Final = "too much is kept of messages that are not whole"


class Bodies(Protocol):
    """What of an exchange is needed; see :class:`Exchange` and :class:`Incoming`."""

    @property
    def ended(self) -> bool:
        """Whether the peer's body is whole."""

    async def receive(self) -> bytes | None:
        """The next piece of the peer's body."""

    async def send_whole(self, data: bytes, *, end: bool = False) -> bool:
        """Send *data* whole, or not at all."""

    def hold(self, size: int) -> bool:
        """Whether *size* bytes may be kept, of those that were received."""


class Messages:
    """Messages over *bodies*, once there is a response of 101. *max_size*: bytes of one.

    One task at a time may receive; any number may send. *closing*: what this end closed it with,
    once it did.
    """

    __slots__ = ("_bodies", "_closed", "_come", "_decoder", "closing")

    def __init__(self, bodies: Bodies, max_size: int) -> None:
        self._bodies = bodies
        self._decoder = MessageDecoder(max_size)
        self._come: deque[Item] = deque()
        self._closed: Close | None = None
        self.closing: Close | None = None

    async def receive(self) -> Item:
        """The next message; the end of them is a Close, and so is all behind it.

        What the peer may not send is the end too: it is told so, 1009 for a message that is too
        long, 1013 where too much is kept of those of its connection that aren't whole, 1002 for
        anything else. Raises as the bodies do. Cancelled, it loses nothing.
        """
        while not self._come:
            if self._closed is not None:
                await trio.lowlevel.checkpoint()
                return self._closed
            await self._read()
        return self._come.popleft()

    async def read_to_end(self) -> Close:
        """The end, where the peer's body is whole; what came before it is kept to be received."""
        while self._closed is None:
            await self._read()
        return self._closed

    async def _read(self) -> None:
        # What came behind a message that was given out needs no more to be a problem.
        piece = None if self._decoder.problem is not None else await self._bodies.receive()
        try:
            if piece is None:
                self._decoder.end()
            else:
                self._come += self._decoder.receive(piece)
                if not self._bodies.hold(self._decoder.held):
                    await self._refuse(make_close(CloseCode.TRY_AGAIN_LATER, _TOO_MUCH))
                    return
        except RemoteLimitExceeded as error:
            await self._refuse(make_close(CloseCode.TOO_BIG, str(error)))
        except InvalidMessage as error:
            await self._refuse(make_close(CloseCode.PROTOCOL_ERROR, str(error)))
        else:
            self._closed = self._decoder.closed
            if self._closed is not None:
                self._come.pop()

    async def _refuse(self, close: Close) -> None:
        self._closed = close
        self._bodies.hold(0)
        with trio.move_on_after(_PATIENCE):
            await self.close(close)

    async def send(self, message: str | Buffer) -> bool:
        """Send one; cancelled, it wasn't sent, or goes whole. False where the peer has closed.

        Raises as ``encode_message``, and as the bodies do.
        """
        frame = encode_message(message)
        if self._bodies.ended:
            return False
        return await self._bodies.send_whole(frame)

    async def close(self, close: Close) -> None:
        """Send the end, unless it was sent. Raises as the bodies do."""
        if self.closing is None:
            self.closing = close
            await self._bodies.send_whole(encode_close(close), end=True)
