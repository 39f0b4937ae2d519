"""A client of the chat for terminals: what is typed is said, what others say is printed.

Lines that begin with / are commands: /join ROOM, /leave, /who, /rooms, /logout, /quit. The
password is asked for, or taken from the environment variable CHAT_PASSWORD.
"""

from __future__ import annotations

import argparse
import getpass
import logging
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Any

import trio
from words import BUFFER_SIZE, Credentials, Member, Room, RoomName, Said, Saying, Welcome

from wirecore.errors import CallTimeout, RemoteError
from wirecore_trio import CallLost, webwire

#: What a client prints of a payload is checked first, as what the server takes is.
_SAID = webwire.Struct(Said)
_MEMBER = webwire.Struct(Member)
_WELCOME = webwire.Struct(Welcome)


async def lines() -> AsyncGenerator[str, None]:
    """What is typed, line by line, until the input ends.

    A thread waits for it: trio goes on meanwhile. The file itself is read, as a thread that is left
    waiting in ``sys.stdin`` would keep Python from ending.
    """
    rest = b""
    while data := await trio.to_thread.run_sync(os.read, 0, 65536, abandon_on_cancel=True):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").strip()
    if rest:
        yield rest.decode(errors="replace").strip()


def plain(text: str) -> str:
    """*text* without what a terminal would take for a command."""
    return "".join(character if character.isprintable() else "�" for character in text)


class Terminal:
    """One who chats. *rooms*: those that they are in; what is typed goes to the last one."""

    def __init__(self, client: webwire.Client) -> None:
        self._client = client
        self._last: dict[str, int] = {}  # of each room: the last message that was printed
        self.name = ""
        self.rooms: list[str] = []
        self.known: list[str] = []

    async def come_in(self, credentials: Credentials, *, new: bool, room: str | None) -> None:
        """Log in, or register, and join the first room or *room*."""
        request = "register" if new else "login"
        codec = webwire.Struct(Credentials)
        welcome = await self._client.request(request, credentials, codec=codec, reply=_WELCOME)
        self.name, self.known = welcome.name, welcome.rooms
        print(f"you are {plain(welcome.name)}; rooms: {', '.join(map(plain, self.known))}")
        await self.join(room or self.known[0])

    async def join(self, room: str) -> None:
        """Join *room*, and print what was said there since we were here last."""
        found: Room = await self._client.request(
            "join", RoomName(room), codec=webwire.Struct(RoomName), reply=webwire.Struct(Room)
        )
        if room in self.rooms:
            self.rooms.remove(room)
        self.rooms.append(room)
        for said in found.history.said:
            self.print_said(said)
        print(f"[{plain(room)}] here: {', '.join(map(plain, found.members))}", flush=True)

    async def say(self, text: str) -> None:
        """Say *text* in the room that was joined last."""
        if not self.rooms:
            print("join a room first: /join ROOM", flush=True)
            return
        saying = Saying(self.rooms[-1], text)
        await self._client.request(
            "say", saying, codec=webwire.Struct(Saying), reply=webwire.Struct(Said)
        )

    async def leave(self) -> None:
        """Leave the room that was joined last."""
        if self.rooms:
            room = self.rooms.pop()
            await self._client.request(
                "leave", RoomName(room), codec=webwire.Struct(RoomName), reply=webwire.Json()
            )
            now = f"you speak in {plain(self.rooms[-1])}" if self.rooms else "you are in no room"
            print(f"left {plain(room)}; {now}", flush=True)

    async def obey(self, line: str) -> bool:
        """Do what a typed *line* says; False: that was the last one."""
        command, _, argument = line.partition(" ")
        if not line:
            pass
        elif not line.startswith("/"):
            await self.say(line)
        elif command == "/join" and argument:
            await self.join(argument.strip())
        elif command == "/leave":
            await self.leave()
        elif command == "/who" and self.rooms:
            await self.join(self.rooms[-1])
        elif command == "/rooms":
            print(f"rooms: {', '.join(map(plain, self.known))}", flush=True)
        elif command in ("/quit", "/logout"):
            if command == "/logout":
                await self._client.request("logout")
            return False
        else:
            print("commands: /join ROOM, /leave, /who, /rooms, /logout, /quit", flush=True)
        return True

    def print_said(self, said: Said) -> None:
        """Print a message, once: after a reconnect history brings some again."""
        if said.id > self._last.get(said.room, 0):
            self._last[said.room] = said.id
            clock = datetime.fromtimestamp(said.time).astimezone().strftime("%H:%M")
            where, who, what = map(plain, (said.room, said.name, said.text))
            print(f"[{where}] {clock} {who}: {what}", flush=True)

    def print_member(self, member: Member, what: str) -> None:
        """Print who came or left, unless that is who reads it."""
        if member.name != self.name:
            print(f"[{plain(member.room)}] {plain(member.name)} {what}", flush=True)

    async def back(self) -> None:
        """The session was restored on a new connection, which is in no room yet."""
        print("connected again", flush=True)
        for room in list(self.rooms):
            await self.join(room)


def take_signals(connecting: webwire.Connecting, terminal: Terminal) -> None:
    """Have *terminal* print what happens."""

    @connecting.on_signal("said", codec=_SAID)
    def said(signal: webwire.ServerSignal[Said]) -> None:
        terminal.print_said(signal.value)

    @connecting.on_signal("joined", codec=_MEMBER)
    def joined(signal: webwire.ServerSignal[Member]) -> None:
        terminal.print_member(signal.value, "came")

    @connecting.on_signal("left", codec=_MEMBER)
    def left(signal: webwire.ServerSignal[Member]) -> None:
        terminal.print_member(signal.value, "left")

    @connecting.on_session_created
    async def session_created(session: webwire.Session) -> None:
        if terminal.rooms:
            await terminal.back()

    @connecting.on_disconnected
    def disconnected() -> None:
        print("disconnected; trying again", flush=True)


async def main(url: str, credentials: Credentials, new: bool, room: str | None) -> int:
    """Chat until the input ends, or /quit."""
    options = webwire.ClientOptions(buffer_size=BUFFER_SIZE)
    connecting = webwire.connect(url, options)
    async with connecting as client:
        terminal = Terminal(client)
        take_signals(connecting, terminal)
        try:
            await terminal.come_in(credentials, new=new, room=room)
        except webwire.RequestError as error:
            print(plain(error.message), file=sys.stderr)
            return 1
        async with aclosing(lines()) as typed:
            async for line in typed:
                try:
                    if not await terminal.obey(line):
                        break
                except webwire.RequestError as error:
                    print(plain(error.message), flush=True)
                except (CallLost, CallTimeout, RemoteError) as error:
                    print(f"that may not have been done: {plain(str(error))}", flush=True)
    return 0


def parse() -> Any:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="who you are")
    parser.add_argument(
        "url", nargs="?", default="ws://127.0.0.1:8080/", help="the server's (%(default)s)"
    )
    parser.add_argument("--new", action="store_true", help="register the name")
    parser.add_argument("--room", help="the room to join (the server's first)")
    return parser.parse_args()


if __name__ == "__main__":
    given = parse()
    password = os.environ.get("CHAT_PASSWORD") or getpass.getpass()
    logging.basicConfig(format="%(message)s")
    status = 130
    try:
        status = trio.run(main, given.url, Credentials(given.name, password), given.new, given.room)
    except* KeyboardInterrupt:
        pass
    sys.exit(status)
