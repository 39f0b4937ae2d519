"""Two pool servers that are one by way of Redis: calls of the one go to the other's provider.

The server is Redis, the second node and its provider; the driver is the first node. Option ``mode``
of the server as in ``arith.py``.
"""

from __future__ import annotations

import trio

from bench.peers import redis_server
from bench.peers.arith import service
from bench.peers.load import Outcome, Task
from bench.peers.wirecore_pool import VERSION, measure
from wirecore_trio import pool
from wirecore_trio.pool.backends import RedisBackend

__all__ = ["VERSION", "drive", "serve"]


def _node(port: int) -> pool.PoolServer:
    server = pool.PoolServer(backend=RedisBackend(f"redis://127.0.0.1:{port}"))
    server.bind("/")
    return server


def serve(task: Task) -> None:
    """The node with a provider, which has one connection."""
    port = redis_server.start()
    server = _node(port)
    provider = pool.Provider()
    provider.register(service(task), name="Arith")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            async with provider.serve(f"ws://127.0.0.1:{listening.port}/", wait=True):
                task.listening(port)
                await trio.sleep_forever()

    trio.run(main)


def drive(task: Task) -> Outcome:
    """Calls at the node without one, each caller in a task of its own."""
    server = _node(task.port)

    async def main() -> Outcome:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, "127.0.0.1", 0)
            async for state in server.changes(0.005):
                if any(
                    providers for paths in state.others.values() for providers in paths.values()
                ):
                    break
            outcome = await measure(task, server)
            nursery.cancel_scope.cancel()
        return outcome

    return trio.run(main)
