"""A connection to Redis by itself."""

from __future__ import annotations

import anyio
import pytest

from tests.transports.pool.backends.conftest import run
from wirecore_trio._redis_link import RedisAddress, RedisLink
from wirecore_trio.pool.backends import BackendError
from wirecore_trio.pool.backends._errors import LinkLost


@pytest.mark.parametrize("error", [anyio.ClosedResourceError, anyio.BrokenResourceError])
def test_a_connection_that_is_gone_is_told_as_lost(error: type[Exception]) -> None:
    """coredis lets errors of its buffers through, which are anyio's and not trio's."""

    class Gone:
        async def create_request(self, *_: object, **__: object) -> None:
            raise error

        @property
        def push_messages(self) -> None:
            raise error

    async def ignore(channel: bytes, message: bytes) -> None: ...

    async def story() -> None:
        address = RedisAddress("redis://127.0.0.1:1/0", 1.0, BackendError, LinkLost)
        link = RedisLink(address, Gone(), 1.0)  # type: ignore[arg-type]
        with pytest.raises(LinkLost, match="the connection is lost"):
            await link.ask(b"PING")
        with pytest.raises(LinkLost, match="the connection is lost"):
            await link.read(ignore)

    run(story)
