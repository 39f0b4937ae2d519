"""A pool server with a provider, as a process of its own, to be killed.

    python -m tests.transports.pool.backends.victim URL PREFIX LEASE LOG

It prints a line once it listens, and its provider is there.
"""

from __future__ import annotations

import sys

import trio

from tests.transports.pool.victim import Job
from tests.transports.webwire.victim import tell
from wirecore_trio import pool
from wirecore_trio.pool.backends import RedisBackend


async def main(url: str, prefix: str, lease: str, log: str) -> None:
    """Be a node until it is killed."""
    backend = RedisBackend(url, prefix=prefix, lease=float(lease))
    server = pool.PoolServer(backend=backend)
    server.bind("/pool")
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", 0)
        where = f"ws://127.0.0.1:{listening.port}/pool"
        async with pool.Provider(Job(log)).serve(where, name="victim", concurrency=8, wait=True):
            tell("ready")
            await trio.sleep_forever()


if __name__ == "__main__":
    url, prefix, lease, log = sys.argv[1:]
    trio.run(main, url, prefix, lease, log)
