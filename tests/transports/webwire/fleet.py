"""Many clients with sessions, all of which request and signal all the time."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import trio
import trio.testing

from tests.transports.killing import NUMBER, Ledger
from tests.transports.webwire.served import BUFFER_SIZE, answer_to, digest
from wirecore._backend import Backend
from wirecore.session import Backoff
from wirecore_trio import webwire

#: Tasks of one client that request at once.
REQUESTERS = 3

#: Bytes of a request: a few large ones fill a socket, so that others never leave.
SIZES = (2 * NUMBER, 64, 4_000, 60_000)

OPTIONS = webwire.ClientOptions(
    buffer_size=BUFFER_SIZE,
    retry=webwire.RetryPolicy(backoff=lambda: Backoff(0.01, 1.2, 0, 0.05)),
)

#: So that what can't be sent waits in this process and not in the system.
SMALL = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)]


class Member:
    """One client, and what it was told."""

    def __init__(self, user: str, connecting: webwire.Connecting) -> None:
        self.user = user
        self.client: webwire.Client
        #: How often a session of its own was given to it or restored.
        self.sessions = 0
        self.closed = 0
        #: What was said in rooms that it has joined.
        self.heard: list[str] = []
        self._connecting = connecting
        self._changed = trio.Event()
        self._tick = 0
        self._ticked = trio.Event()
        connecting.on_session_created(self._session_created)
        connecting.on_session_closed(self._session_closed)
        connecting.on_disconnected(self._disconnected)
        connecting.on_signal("tock", inline=True)(self._tock)
        connecting.on_signal("said")(self._said)

    async def enter(self, stack: AsyncExitStack, key: str) -> None:
        """Connect, and take up the session of *key*, or log in where it is empty."""
        self.client = await stack.enter_async_context(self._connecting)
        if key:
            await self.client.restore_session(key)
        else:
            await self.client.request("login", self.user)
        assert self.client.session is not None
        assert self.client.session.info == {"user": self.user}

    def _session_created(self, session: webwire.Session) -> None:
        assert session.info == {"user": self.user}
        self.sessions += 1
        self._tell()

    def _session_closed(self) -> None:
        self.closed += 1
        self._tell()

    def _said(self, signal: webwire.ServerSignal[Any]) -> None:
        self.heard.append(signal.payload.text)
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def until_sessions(self, count: int) -> None:
        """Wait until its session was restored for the time *count*, and requests go through."""
        while self.sessions < count:
            await self._changed.wait()
        await self.client.connect()

    async def until_heard(self, count: int) -> None:
        """Wait until so much was said."""
        while len(self.heard) < count:
            await self._changed.wait()

    async def until_closed(self, count: int) -> None:
        """Wait until the server has ended its session for the time *count*."""
        while self.closed < count:
            await self._changed.wait()

    # --- signals: one is out at a time, and comes back, or is lost with its connection ------------

    async def signal_on(self, load: Load) -> None:
        """Signal without a pause."""
        while not load.over:
            self._tick += 1
            self._ticked = trio.Event()
            try:
                await self.client.signal("tick", f"{self._tick}", wait=True)
            except webwire.Disconnected:
                continue
            await self._ticked.wait()
            load.signals += 1

    def _tock(self, signal: webwire.ServerSignal[Any]) -> None:
        assert signal.payload.text == f"{self._tick}", "not what was sent last"
        assert not self._ticked.is_set(), "sent back twice"
        self._ticked.set()

    def _disconnected(self) -> None:
        self._ticked.set()


class Load:
    """What the clients do all the time, until *over*."""

    def __init__(self, members: Sequence[Member], ledger: Ledger, chance: random.Random) -> None:
        self.over = False
        self.signals = 0
        self.ledger = ledger
        self._members = members
        self._chance = chance

    def start(self, nursery: trio.Nursery) -> None:
        """Begin."""
        self.over = False
        for member in self._members:
            nursery.start_soon(member.signal_on, self)
            for _ in range(REQUESTERS):
                nursery.start_soon(self._request_on, member)

    async def fill(self, nursery: trio.Nursery) -> None:
        """The server reads no more: the first client requests until some wait in this process."""
        member = self._members[0]
        while (channel := member.client._channel) is not None:
            await trio.testing.wait_all_tasks_blocked(0.02)
            if channel._session.outbox.pending > max(SIZES):
                break
            nursery.start_soon(self._request_on, member)

    async def _request_on(self, member: Member) -> None:
        while not self.over:
            number = self.ledger.begin()
            name = self._chance.choice(("do_async", "do_slowly", "do_in_thread", "do_inline"))
            payload = _payload(number, self._chance)
            try:
                reply = await member.client.request(name, payload)
            except webwire.Disconnected as error:
                self.ledger.end(number, error.execution)
            except webwire.ServerShutdown:
                self.ledger.end(number, Ledger.REFUSED)
            else:
                assert reply.text == answer_to(payload.text, member.user)
                assert reply.encoding is payload.encoding
                self.ledger.end(number, Ledger.ANSWERED)


def _payload(number: int, chance: random.Random) -> webwire.Payload:
    encoding = chance.choice(list(webwire.Encoding))
    size = chance.choice(SIZES)
    text = f"{number:0{NUMBER}}"
    if encoding is webwire.Encoding.UTF16:
        return webwire.Payload.utf16(text.ljust(size // 2, "x"))
    return webwire.Payload(text.ljust(size, "x").encode(), encoding)


async def enter_member(
    stack: AsyncExitStack, port: int, user: str, key: str = "", backend: Backend | None = None
) -> Member:
    """A client of *user*, with the session of *key*, or a new one where that is empty."""
    connecting = webwire.connect(
        f"ws://127.0.0.1:{port}/", OPTIONS, socket_options=SMALL, backend=backend
    )
    member = Member(user, connecting)
    await member.enter(stack, key)
    return member


@asynccontextmanager
async def open_fleet(
    port: int, keys: dict[str, str], backend: Backend | None = None
) -> AsyncIterator[list[Member]]:
    """A client for each user in *keys*, with the session of the key there.

    Where that is empty, it logs in, and the key of its new session is put there.
    """
    async with AsyncExitStack() as stack:
        members = []
        for user, key in keys.items():
            member = await enter_member(stack, port, user, key, backend)
            assert member.client.session is not None
            keys[user] = member.client.session.key
            members.append(member)
        yield members


def sessions_of(keys: dict[str, str]) -> list[list[str]]:
    """What a server's report says of the sessions when all of *keys* are connected."""
    return sorted([user, digest(key)] for user, key in keys.items())
