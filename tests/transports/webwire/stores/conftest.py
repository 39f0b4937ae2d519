"""The stores, each opened afresh, and sessions to keep in them."""

from __future__ import annotations

import gc
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trio

from tests.transports.redis_server import RedisServer
from wirecore.protocols.webwire import Session
from wirecore_trio.webwire.stores import FileStore, MemoryStore, SessionStore, SQLiteStore

Story: TypeAlias = Callable[[], Awaitable[None]]
Open: TypeAlias = Callable[..., AbstractAsyncContextManager[SessionStore]]

#: Seconds that a story gets before it hangs.
_PATIENCE = 120.0

#: When the sessions of these tests begin: with microseconds, and long ago.
BEGIN = datetime(2021, 2, 3, 4, 5, 6, 789012, UTC)


def after(seconds: float) -> datetime:
    """So long after the beginning."""
    return BEGIN + timedelta(seconds=seconds)


def session(key: str, info: dict[str, Any] | None = None, at: datetime = BEGIN) -> Session:
    """A session that was created, and not looked up since."""
    return Session(key, at, at, info or {})


def run(story: Story) -> None:
    """Run *story*, with threads and processes and in real time."""

    async def bounded() -> None:
        with trio.fail_after(_PATIENCE):
            await story()

    trio.run(bounded)
    gc.collect()  # what wasn't closed says so now, and not in somebody else's test


@pytest.fixture(scope="session")
def redis_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that no test stops; each takes another prefix."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, which runs already."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def _memory(**options: Any) -> AsyncIterator[SessionStore]:
    yield MemoryStore(**options)


@pytest.fixture(params=["memory", "files", "sqlite", "redis"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the store; what is opened again later has what it had, but for memory."""
    if request.param == "memory":
        return _memory
    if request.param == "redis":
        from wirecore_trio.webwire.stores import RedisStore

        url = request.getfixturevalue("redis_for_all").url
        prefix = secrets.token_hex(8) + ":"

        @asynccontextmanager
        async def in_redis(**options: Any) -> AsyncIterator[SessionStore]:
            store = RedisStore(url, prefix=prefix, **options)
            async with trio.open_nursery() as nursery:
                await nursery.start(store.run, lambda *_: None, lambda: None)
                yield store
                nursery.cancel_scope.cancel()

        return in_redis

    @asynccontextmanager
    async def in_file(**options: Any) -> AsyncIterator[SessionStore]:
        if request.param == "files":
            yield FileStore(tmp_path / "sessions", **options)
            return
        async with SQLiteStore(tmp_path / "sessions.db", **options) as store:
            yield store

    return in_file
