"""A store of Redis that runs, as a server has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from wirecore_trio.webwire.stores import RedisStore


@dataclass
class Server:
    """A store that runs, as a server has it, and what it was told."""

    store: RedisStore
    delivered: list[tuple[str, bytes]] = field(default_factory=list)
    resumed: int = 0
    _news: trio.Event = field(default_factory=trio.Event)

    async def deliver(self, topic: str, message: bytes) -> None:
        """As the store wants it."""
        self.delivered.append((topic, message))
        self._tell()

    def resume(self) -> None:
        """As the store wants it."""
        self.resumed += 1
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def until_resumed(self, times: int) -> None:
        """Wait until it was called so often."""
        while self.resumed < times:
            await self._news.wait()

    async def until_delivered(self, count: int) -> None:
        """Wait until so many messages have come."""
        while len(self.delivered) < count:
            await self._news.wait()


@asynccontextmanager
async def serving(url: str, prefix: str, **options: Any) -> AsyncIterator[Server]:
    """A server's store while it serves; at the end it is gone without a word."""
    server = Server(RedisStore(url, prefix=prefix, **options))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.store.run, server.deliver, server.resume)
        yield server
        nursery.cancel_scope.cancel()
