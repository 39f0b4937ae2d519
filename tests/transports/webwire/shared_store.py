"""A shared store in memory: what one server does, the others see, with a step in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import trio

from wirecore_trio.webwire import Session
from wirecore_trio.webwire.stores import Deliver, MemoryStore


class Behind:
    """What the stores of several servers have in common."""

    def __init__(self) -> None:
        self.sessions = MemoryStore()
        self.users: dict[str, set[str]] = {}
        self.stores: list[FakeSharedStore] = []


class FakeSharedStore:
    """One server's access to it. *broken*: methods that fail, with what they raise.

    Each call takes a moment, as it would over a network.
    """

    def __init__(self, behind: Behind) -> None:
        self.behind = behind
        self.topics: set[str] = set()
        self.broken: dict[str, Exception] = {}
        self._send: trio.MemorySendChannel[tuple[str, bytes]]
        self._send, self._receive = trio.open_memory_channel[tuple[str, bytes]](1000)
        behind.stores.append(self)

    async def _do(self, method: str) -> None:
        await trio.lowlevel.checkpoint()
        if method in self.broken:
            raise self.broken[method]

    async def create(self, session: Session) -> None:
        await self._do("create")
        await self.behind.sessions.create(session)

    async def look_up(self, key: str, now: datetime) -> Session | None:
        await self._do("look_up")
        return await self.behind.sessions.look_up(key, now)

    async def close(self, key: str) -> None:
        await self._do("close")
        await self.behind.sessions.close(key)

    async def contains(self, key: str) -> bool:
        await self._do("contains")
        return key in self.behind.sessions._sessions

    async def attach(self, key: str, connection: str, most: int) -> bool:
        await self._do("attach")
        users = self.behind.users.setdefault(key, set())
        if connection not in users and 0 < most <= len(users):
            return False
        users.add(connection)
        return True

    async def detach(self, key: str, connection: str, *, forget: bool = False) -> int:
        await self._do("detach")
        users = self.behind.users.get(key, set())
        users.discard(connection)
        if not users:
            self.behind.users.pop(key, None)
            if forget:
                self.behind.sessions._sessions.pop(key, None)
        return len(users)

    async def publish(self, topic: str, message: bytes) -> None:
        await self._do("publish")
        for store in self.behind.stores:
            if topic in store.topics:
                store._send.send_nowait((topic, message))

    async def subscribe(self, topic: str) -> None:
        await self._do("subscribe")
        self.topics.add(topic)

    async def unsubscribe(self, topic: str) -> None:
        await self._do("unsubscribe")
        self.topics.discard(topic)

    async def run(
        self,
        deliver: Deliver,
        resumed: Callable[[], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        self.resumed = resumed
        task_status.started()
        async for topic, message in self._receive:
            await deliver(topic, message)
