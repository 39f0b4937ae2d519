"""A Redis for all these tests, and one of a test's own, which it may stop and freeze."""

from __future__ import annotations

import gc
import secrets
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import trio

from tests.transports.redis_server import RedisServer

Story: TypeAlias = Callable[[], Awaitable[None]]

#: Seconds that a story gets before it hangs.
_PATIENCE = 60.0


def run(story: Story, patience: float = _PATIENCE) -> None:
    """Run *story*, with processes and in real time, of which it gets *patience* seconds."""

    async def bounded() -> None:
        with trio.fail_after(patience):
            await story()

    trio.run(bounded)
    gc.collect()  # what wasn't closed says so now, and not in somebody else's test


@pytest.fixture(autouse=True)
def no_garbage(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What a test has logged holds errors, and they what wasn't closed: that ends here."""
    yield
    caplog.get_records("call").clear()
    gc.collect()


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


@pytest.fixture
def prefix() -> str:
    """One that no other test has."""
    return secrets.token_hex(8) + ":"
