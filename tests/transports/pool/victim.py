"""A provider as a process of its own, to be killed; it notes what it executes.

    python -m tests.transports.pool.victim URL CONNECTIONS LOG

It prints a line once all connections are open. LOG gets the numbers of jobs that mustn't run twice,
and LOG.again those of the others.
"""

from __future__ import annotations

import sys

import trio

from tests.transports.webwire.victim import noting, tell
from wirecore_trio import pool


class Job:
    """Gives back the number of a job, after a moment in which much may happen."""

    def __init__(self, log: str) -> None:
        self._note = noting(log)
        self._note_again = noting(f"{log}.again")

    @pool.exported
    async def once(self, number: int) -> int:
        self._note(number)
        await trio.sleep(0.001)
        return number

    @pool.exported(inline=True)
    def quick(self, number: int) -> int:
        self._note(number)
        return number

    @pool.exported
    async def again(self, number: int) -> int:
        self._note_again(number)
        await trio.sleep(0.001)
        return number


async def provide(url: str, connections: int, log: str) -> None:
    """Serve until the process ends."""
    async with pool.Provider(Job(log)).serve(url, connections=connections) as serving:
        async for _ in serving.events():
            if serving.connected == connections:
                tell("ready")
                break
        await serving.wait_closed()


if __name__ == "__main__":
    trio.run(provide, sys.argv[1], int(sys.argv[2]), sys.argv[3])
