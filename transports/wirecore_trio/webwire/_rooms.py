"""One signal to many: broadcasts, and rooms that span the servers of a shared store."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore import _backend
from wirecore.constants import CloseCode
from wirecore.errors import InvalidState, WirecoreError
from wirecore.protocols.webwire import BufferOverflow, Sendable
from wirecore.protocols.webwire.payload import split

from ._codecs import Codec

if TYPE_CHECKING:
    from ._connection import Connection
    from ._server import Server

logger = logging.getLogger("wirecore.webwire")

#: Connections in a row before others of the run get their turn: each costs a send, some µs.
_IN_A_ROW: Final = 256

#: Seconds that a store gets to forget what was asked of it when that has failed.
_UNDO: Final = 5.0

#: What servers that share a store call a room among themselves.
ROOM_TOPIC: Final = "room "


def encode_signal(name: str, payload: Any, codec: Codec[Any] | None, buffer_size: int) -> bytes:
    """A signal's message. Raises UnsendableMessage, BufferOverflow."""
    data, encoding = split(payload if codec is None else codec.encode(payload))
    message = _backend.default.webwire.encode_signal(name, data, encoding)
    if len(message) > buffer_size:
        raise BufferOverflow("buffer_size", len(message), buffer_size)
    return message


async def send_to_all(connections: Iterable[Connection], message: bytes) -> list[Connection]:
    """Send *message* to each; those that it couldn't be sent to are returned."""
    encoded: dict[int, list[bytes]] = {}
    left_out: list[Connection] = []
    everyone = list(connections)
    for start in range(0, len(everyone) or 1, _IN_A_ROW):
        row = everyone[start : start + _IN_A_ROW]
        left_out += [each for each in row if not each.send_shared(message, encoded)]
        await trio.lowlevel.checkpoint()
    return left_out


class Room:
    """Connections that get the same signals; ``server.room(name)`` gives it.

    With a shared store a signal reaches the members on every server. A member that is slow, with
    more than ``high_water`` bytes waiting to be sent to it, is dropped alone: its connection is
    closed (1013), and its client comes back. A connection that is lost has left.
    """

    __slots__ = ("__weakref__", "_members", "_server", "_subscribed", "name")

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self._members: dict[Connection, None] = {}
        self._subscribed = trio.Lock()
        self.name = name

    def __repr__(self) -> str:
        return f"<webwire.Room {self.name!r} of {len(self._members)}>"

    @property
    def members(self) -> list[Connection]:
        """The connections of this server that are in it, the oldest member first."""
        return list(self._members)

    async def join(self, connection: Connection) -> None:
        """*connection* gets what is sent from now on. Idempotent.

        Raises InvalidState where it isn't connected, and what a shared store raises.
        """
        if not connection.connected:
            raise InvalidState("who isn't connected can't join a room")
        self._members[connection] = None
        self._server._joined(connection, self)
        try:
            await self._follow()
        except BaseException:
            self._remove(connection)
            # A store that is out of reach would still deliver, from when it is back.
            with suppress(WirecoreError), trio.move_on_after(_UNDO, shield=True):
                await self._follow()
            raise

    async def leave(self, connection: Connection) -> None:
        """It gets nothing any longer. Idempotent. Raises what a shared store raises."""
        self._remove(connection)
        await self._follow()

    def _remove(self, connection: Connection) -> None:
        self._members.pop(connection, None)
        self._server._left(connection, self)

    async def _follow(self) -> None:
        """Have the store deliver what is sent, for as long as there are members."""
        store = self._server._shared
        if store is not None:
            async with self._subscribed:
                topic = ROOM_TOPIC + self.name
                if self._members:
                    await store.subscribe(topic)
                else:
                    await store.unsubscribe(topic)

    async def send(
        self, name: str, payload: Sendable | Any = None, *, codec: Codec[Any] | None = None
    ) -> None:
        """Send a signal to all members, encoded once, in the order of sending.

        Raises UnsendableMessage for what can't be sent, BufferOverflow for more than
        ``buffer_size``, and what a shared store raises: then nobody got it.
        """
        message = encode_signal(name, payload, codec, self._server.options.conf.buffer_size)
        store = self._server._shared
        if store is not None:
            await store.publish(ROOM_TOPIC + self.name, message)
        else:
            self.deliver(message)
            await trio.lowlevel.checkpoint()

    def deliver(self, message: bytes) -> None:
        """Give *message* to the members of this server. Never waits."""
        encoded: dict[int, list[bytes]] = {}
        for member in self.members:
            if not member.send_shared(message, encoded) and member.connected:
                logger.warning("%r is too slow for the room %r, and is dropped", member, self.name)
                member.abort(CloseCode.TRY_AGAIN_LATER)
