"""One signal to many: broadcasts, and rooms that span the servers of a shared store."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore import _backend
from wirecore.constants import CloseCode
from wirecore.protocols.webwire import BufferOverflow, Sendable
from wirecore.protocols.webwire.payload import split

from .._arguments import kind_of
from ._codecs import Codec
from ._errors import Disconnected

if TYPE_CHECKING:
    from ._connection import Connection
    from ._server import Server

logger = logging.getLogger("wirecore.webwire")

#: Connections in a row before others of the run get their turn: each costs a send, some µs.
_IN_A_ROW: Final = 256

#: Seconds that what was begun gets to be undone when its task is cancelled.
_UNDO: Final = 5.0

#: What servers that share a store call a room among themselves.
ROOM_TOPIC: Final = "room "


def require_connection(value: object) -> None:
    """Raise TypeError for what can't be sent to: a Request, say, in its connection's place."""
    if not hasattr(value, "connected"):
        raise TypeError(f"a Connection is needed, not {kind_of(value)}: request.connection, say")


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
    for each in everyone:
        require_connection(each)
    for start in range(0, len(everyone) or 1, _IN_A_ROW):
        row = everyone[start : start + _IN_A_ROW]
        left_out += [each for each in row if not each._send_shared(message, encoded)]
        await trio.lowlevel.checkpoint()
    return left_out


class Membership:
    """Who of one server is in a room; kept while anybody is, or is about to be."""

    __slots__ = ("following", "members", "sending", "wanted")

    def __init__(self) -> None:
        self.members: dict[Connection, None] = {}
        self.following = trio.Lock()
        self.sending = trio.Lock()  # all get the messages in one order
        self.wanted = 0  # tasks that tell the store whether there are members


class Room:
    """Connections that get the same signals; ``server.room(name)`` gives it, each time anew.

    With a shared store a signal reaches the members on every server. A member that is slow, with
    more than ``high_water`` bytes waiting to be sent to it, is dropped alone: its connection is
    closed (1013), and its client comes back. A connection that is lost has left.
    """

    __slots__ = ("_server", "name")

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self.name = name

    def __repr__(self) -> str:
        return f"<webwire.Room {self.name!r} of {len(self.members)}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Room):
            return NotImplemented
        return self._server is other._server and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def members(self) -> list[Connection]:
        """The connections of this server that are in it, the oldest member first."""
        kept = self._server._rooms.get(self.name)
        return [] if kept is None else list(kept.members)

    async def join(self, connection: Connection) -> None:
        """*connection* gets what is sent from now on. Idempotent.

        Raises :class:`Disconnected` where it isn't connected, and what a shared store raises.
        """
        require_connection(connection)
        if not connection.connected:
            raise Disconnected("who isn't connected can't join a room", execution="not_sent")
        kept = self._server._rooms.setdefault(self.name, Membership())
        with self._held(kept):
            is_new = connection not in kept.members
            kept.members[connection] = None
            self._server._joined(connection, self)
            try:
                await self._follow(kept)
            except BaseException:
                if is_new:
                    self._remove(connection)
                    await self._unfollow(kept)
                raise

    async def leave(self, connection: Connection) -> None:
        """It gets nothing any longer. Idempotent. Raises what a shared store raises."""
        await trio.lowlevel.checkpoint()
        kept = self._server._rooms.get(self.name)
        if kept is not None:
            with self._held(kept):
                self._remove(connection)
                with trio.CancelScope(deadline=trio.current_time() + _UNDO, shield=True):
                    await self._follow(kept)

    async def _dropped(self) -> None:
        """A member is gone, and was taken out: the store is told if it was the last."""
        kept = self._server._rooms.get(self.name)
        if kept is not None:
            with self._held(kept):
                await self._unfollow(kept)

    @contextmanager
    def _held(self, kept: Membership) -> Iterator[None]:
        """Who comes meanwhile finds *kept*; after that it is forgotten if nobody is in it."""
        rooms = self._server._rooms
        kept.wanted += 1
        try:
            yield
        finally:
            kept.wanted -= 1
            if not kept.members and not kept.wanted and rooms.get(self.name) is kept:
                del rooms[self.name]

    def _remove(self, connection: Connection) -> None:
        kept = self._server._rooms.get(self.name)
        if kept is not None:
            kept.members.pop(connection, None)
        self._server._left(connection, self)

    async def _follow(self, kept: Membership) -> None:
        """Have the store deliver what is sent, for as long as there are members."""
        sharing = self._server._sharing
        if sharing is None:
            await trio.lowlevel.checkpoint()
        else:
            async with kept.following:
                topic, store = ROOM_TOPIC + self.name, sharing.store
                await (store.subscribe(topic) if kept.members else store.unsubscribe(topic))

    async def _unfollow(self, kept: Membership) -> None:
        """Take back what was begun, also where the task is cancelled."""
        with trio.CancelScope(deadline=trio.current_time() + _UNDO, shield=True):
            try:
                await self._follow(kept)
            except Exception as error:  # noqa: BLE001 - whoever joined is told of the first one
                logger.warning("the store couldn't be told that a room is empty: %s", error)

    async def send(
        self, name: str, payload: Sendable | Any = None, *, codec: Codec[Any] | None = None
    ) -> None:
        """Send a signal to all members, encoded once, in the order of sending.

        Raises UnsendableMessage for what can't be sent, BufferOverflow for more than
        ``buffer_size``, and what a shared store raises: then nobody got it.
        """
        message = encode_signal(name, payload, codec, self._server.options.conf.buffer_size)
        sharing = self._server._sharing
        if sharing is not None:
            await sharing.store.publish(ROOM_TOPIC + self.name, message)
        else:
            await trio.lowlevel.checkpoint()
            await self._deliver(message)

    async def _deliver(self, message: bytes) -> None:
        """Give *message* to the members of this server; all get it, or none if cancelled."""
        kept = self._server._rooms.get(self.name)
        if kept is None:
            return
        async with kept.sending:
            with trio.CancelScope(shield=True):
                for member in await send_to_all(kept.members, message):
                    if member.connected and member in kept.members:
                        logger.warning(
                            "%r is too slow for the room %r, and is dropped", member, self.name
                        )
                        member._abort(CloseCode.TRY_AGAIN_LATER)
