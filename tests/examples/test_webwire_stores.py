"""The program on docs/webwire-stores.md that needs a Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples.pages import blocks
from tests.transports.redis_server import RedisServer

if TYPE_CHECKING:
    from tests.examples.conftest import Run


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()


def test_two_servers_are_one(run: Run, redis: RedisServer, tmp_path: Path) -> None:
    [program] = [block for block in blocks("docs/webwire-stores.md", "python") if block.file]
    (tmp_path / program.file).write_text(program.text, encoding="utf-8")
    assert program.promised.count("\n") == 3
    assert run(program.file, redis.url) == program.promised
