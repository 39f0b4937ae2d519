"""The calls of ``wirecore_pool`` made directly: over one connection, with no pool in between.

That is how a provider calls its pool back: a client dials, a server has the services. Same codecs,
frames and channels; no providers to choose from. Option ``mode`` of the server as in ``arith.py``,
``codec`` of the driver: the path that it dials.
"""

from __future__ import annotations

import trio

from bench.peers.arith import service
from bench.peers.load import Outcome, Task
from bench.peers.wirecore_pool import VERSION, measure
from wirecore_trio import pool

__all__ = ["VERSION", "drive", "serve"]


def serve(task: Task) -> None:
    """A server of Arith, with a path for each codec."""
    server = pool.PoolServer()
    for codec in ("gob", "json"):
        server.serve_callbacks(f"/{codec}", codec=codec, Arith=service(task))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            task.listening(listening.port)

    trio.run(main)


def drive(task: Task) -> Outcome:
    """Calls over one connection, each caller in a task of its own."""
    codec = task.options["codec"]
    url = f"ws://127.0.0.1:{task.port}/{codec}"

    async def main() -> Outcome:
        async with pool.Provider().connect_callbacks(url, codec=codec, wait=True) as client:
            return await measure(task, client)

    return trio.run(main)
