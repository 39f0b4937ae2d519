"""The chat itself: who is who, who is in which room, and what is said there."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import trio
from records import Records
from words import (
    BUFFER_SIZE,
    MOST_NAME,
    MOST_NAMED,
    MOST_TEXT,
    Before,
    Credentials,
    History,
    Member,
    Room,
    RoomName,
    Said,
    Saying,
    Welcome,
)

from wirecore_trio import webwire

T = TypeVar("T")

logger = logging.getLogger("chat")

_NAME: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{MOST_NAME}}}")
_LEAST_PASSWORD: Final = 8
_MOST_PASSWORD: Final = 200

#: Wrong passwords that a connection may send; then it is closed.
_TRIES: Final = 5

_MEMBER: Final = webwire.Struct(Member)
_SAID: Final = webwire.Struct(Said)


@dataclass(eq=False)
class Guest:
    """Somebody who is in rooms, by one connection of theirs."""

    name: str
    key: str
    rooms: set[str] = field(default_factory=set)


class Chat:
    """A webwire server with the chat's requests. *rooms*: the names of all there are.

    Who has a session is logged in; its info holds the name. The store keeps it beyond a restart,
    as *records* keep the rest.
    """

    def __init__(self, records: Records, store: webwire.SessionStore, rooms: list[str]) -> None:
        self._records = records
        self._guests: dict[webwire.Connection, Guest] = {}
        self.rooms = rooms
        # What is said in a room is kept and sent in one order.
        self._speaking = {room: trio.Lock() for room in rooms}
        options = webwire.ServerOptions(buffer_size=BUFFER_SIZE)
        self.server = server = webwire.Server(options, store=store)
        for name, takes, replies, handler in (
            ("register", Credentials, Welcome, self._register),
            ("login", Credentials, Welcome, self._login),
            ("join", RoomName, Room, self._join),
            ("leave", RoomName, type(None), self._leave),
            ("say", Saying, Said, self._say),
            ("history", Before, History, self._history),
        ):
            codec: webwire.Struct[Any] = webwire.Struct(takes)
            server.request(name, codec=codec, reply=webwire.Struct(replies))(handler)
        server.request("who", reply=webwire.Struct(Welcome))(self._who)
        server.request("logout")(self._logout)
        server.on_client_disconnected(self._disconnected)
        server.on_session_closed(self._session_closed)

    # --- who is who -----------------------------------------------------------------------------

    async def _register(self, request: webwire.Request[Credentials]) -> Welcome:
        name, password = request.value.name, request.value.password
        if not _NAME.fullmatch(name):
            allowed = f"1 to {MOST_NAME} letters, digits, _ and -"
            raise webwire.RequestError("BAD_NAME", f"a name has {allowed}")
        if not _LEAST_PASSWORD <= len(password) <= _MOST_PASSWORD:
            raise webwire.RequestError(
                "BAD_PASSWORD", f"a password has {_LEAST_PASSWORD} to {_MOST_PASSWORD} characters"
            )
        self._check_stranger(request)
        if not await self._records.add_user(name, password):
            raise webwire.RequestError("NAME_TAKEN", "somebody else has this name")
        return await self._welcome(request, name)

    async def _login(self, request: webwire.Request[Credentials]) -> Welcome:
        self._check_stranger(request)
        connection = request.connection
        name: str | None = None
        if len(request.value.password) <= _MOST_PASSWORD:
            name = await self._records.check_user(request.value.name, request.value.password)
        if name is None:
            tries = connection.info["tries"] = connection.info.get("tries", 0) + 1
            if tries >= _TRIES:
                connection.close()  # when this is answered
            # The same for both: who is registered is nobody's business.
            raise webwire.RequestError("WRONG_PASSWORD", "no such name, or a wrong password")
        return await self._welcome(request, name)

    async def _welcome(self, request: webwire.Request[Any], name: str) -> Welcome:
        await request.connection.create_session({"name": name})
        return Welcome(name, self.rooms)

    def _check_stranger(self, request: webwire.Request[Any]) -> None:
        if request.connection.session is not None:
            raise webwire.RequestError("LOGGED_IN", "log out first")

    def _session(self, request: webwire.Request[Any]) -> webwire.Session:
        session = request.connection.session
        if session is None:
            raise webwire.RequestError("NOT_LOGGED_IN", "log in first")
        return session

    async def _who(self, request: webwire.Request[Any]) -> Welcome:
        return Welcome(self._session(request).info["name"], self.rooms)

    async def _logout(self, request: webwire.Request[Any]) -> None:
        await self._leave_all(request.connection)
        await request.connection.close_session()

    async def _session_closed(self, key: str) -> None:
        """A session is no more, whoever closed it: without one nobody stays in a room."""
        for connection, guest in list(self._guests.items()):
            if guest.key == key:
                await self._leave_all(connection)

    async def _disconnected(self, connection: webwire.Connection, reason: Exception | None) -> None:
        await self._leave_all(connection)

    # --- rooms ----------------------------------------------------------------------------------

    async def _join(self, request: webwire.Request[RoomName]) -> Room:
        session, room = self._session(request), self._room(request.value.room)
        connection = request.connection
        guest = self._guests.get(connection) or Guest(session.info["name"], session.key)
        # First in, then read: what is said meanwhile comes as a signal, and may come twice.
        was_there = guest.name in self._names(room)
        await self.server.room(room).join(connection)
        guest.rooms.add(room)
        self._guests[connection] = guest
        if not was_there:
            await self._tell("joined", room, guest.name)
        history = await self._records.history(room)
        # Last of all: who comes while the history is read is told of to those who are in, and what
        # is said here would undo it.
        names = self._names(room)
        return Room(room, names[:MOST_NAMED], len(names), history)

    async def _leave(self, request: webwire.Request[RoomName]) -> None:
        self._session(request)
        await self._leave_room(request.connection, self._room(request.value.room))

    async def _leave_all(self, connection: webwire.Connection) -> None:
        guest = self._guests.get(connection)
        if guest is not None:
            for room in sorted(guest.rooms):
                await self._leave_room(connection, room)

    async def _leave_room(self, connection: webwire.Connection, room: str) -> None:
        guest = self._guests.get(connection)
        if guest is None or room not in guest.rooms:
            return
        guest.rooms.discard(room)
        if not guest.rooms:
            del self._guests[connection]
        await self.server.room(room).leave(connection)
        if guest.name not in self._names(room):
            await self._tell("left", room, guest.name)

    async def _tell(self, what: str, room: str, name: str) -> None:
        member = Member(room, name, len(self._names(room)))
        await self.server.room(room).send(what, member, codec=_MEMBER)

    def _names(self, room: str) -> list[str]:
        """Who is in *room*, each once, however many connections they have."""
        return sorted({guest.name for guest in self._guests.values() if room in guest.rooms})

    def _room(self, room: str) -> str:
        if room not in self._speaking:
            raise webwire.RequestError("NO_SUCH_ROOM", "there is no such room")
        return room

    # --- what is said ---------------------------------------------------------------------------

    async def _say(self, request: webwire.Request[Saying]) -> Said:
        session, room = self._session(request), self._member_of(request, request.value.room)
        text = request.value.text.strip()
        if not 1 <= len(text) <= MOST_TEXT:
            raise webwire.RequestError("BAD_TEXT", f"say 1 to {MOST_TEXT} characters")
        async with self._speaking[room]:
            said = await self._records.add(room, session.info["name"], text)
            await self.server.room(room).send("said", said, codec=_SAID)
        return said

    async def _history(self, request: webwire.Request[Before]) -> History:
        self._session(request)
        room = self._member_of(request, request.value.room)
        return await self._records.history(room, request.value.id)

    def _member_of(self, request: webwire.Request[Any], room: str) -> str:
        guest = self._guests.get(request.connection)
        if guest is None or self._room(room) not in guest.rooms:
            raise webwire.RequestError("NOT_IN_ROOM", "join the room first")
        return room
