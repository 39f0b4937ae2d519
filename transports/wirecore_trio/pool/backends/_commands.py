"""The connection to Redis as it is at the moment, for whoever wants something done there."""

from __future__ import annotations

from typing import Any

import trio

from ..._redis_link import RedisLink
from ._errors import LinkLost


class Commands:
    """Runs scripts over the connection that there is, or is to come.

    *prefix*: of all keys; *keep*: ms after which they expire.
    """

    def __init__(self, prefix: bytes, keep: int) -> None:
        self._prefix = prefix
        self.keep = keep
        self._link: RedisLink | None = None
        self._opened = trio.Event()
        #: How many connections there were.
        self.number = 0
        self._ahead = 0.0  # how far Redis's clock is ahead of trio's, in ms

    def set_clock(self, asked: float, told: int) -> None:
        """Redis's clock showed *told* ms, a moment after trio's showed *asked* s."""
        self._ahead = told - 1000 * asked

    def at_redis(self, time: float) -> int:
        """A time of trio's clock as ms of Redis's."""
        return round(1000 * time + self._ahead)

    def opened(self, link: RedisLink) -> None:
        """There is a connection."""
        self._link = link
        self._opened.set()

    def closed(self) -> None:
        """There is none any more."""
        if self._link is not None:
            self._link = None
            self._opened = trio.Event()

    @property
    def is_open(self) -> bool:
        """Whether there is one."""
        return self._link is not None

    async def wait(self) -> None:
        """Wait until there is one: it is there still when this returns."""
        while self._link is None:
            await self._opened.wait()

    async def run(self, script: bytes, *arguments: bytes | str | int) -> Any:
        """What *script* returns, once there is a connection.

        Raises LinkLost where that is lost before the answer came: it may have been run.
        """
        given = [each.encode() if isinstance(each, str) else each for each in arguments]
        await self.wait()
        link = self._link
        assert link is not None
        try:
            return await link.ask(b"EVAL", script, 1, self._prefix, self.keep, *given)
        except LinkLost:
            if self._link is link:
                self.closed()
            raise

    async def insist(self, script: bytes, *arguments: bytes | str | int) -> Any:
        """The same, again until there is an answer: for what may be run more than once."""
        while True:
            try:
                return await self.run(script, *arguments)
            except LinkLost:
                pass
