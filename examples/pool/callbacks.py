"""Call-backs: a provider that is called, and meanwhile calls the pool."""

from __future__ import annotations

import trio

from wirecore_trio import pool


class PoolSide:
    """What the pool has for its providers."""

    @pool.exported
    async def notify(self, event: str) -> str:
        """Take note of *event*."""
        call = pool.current_call()
        return f"{event} of {call.connection.identity} is noted"


class Worker:
    """What the provider has for the pool; it tells the pool when it is done."""

    def __init__(self) -> None:
        self.pool: pool.CallbackClient

    @pool.exported
    async def work(self, job: str) -> str:
        """Do *job*."""
        return str(await self.pool.call("PoolSide.Notify", f"{job} done", str))


async def main() -> None:
    """Have a job done."""
    tokens = pool.Tokens({"a-secret": "worker-1"})  # so it knows who is calling
    server = pool.PoolServer(tokens=tokens)
    server.bind("/pool")
    server.serve_callbacks("/cb", PoolSide())
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{listening.port}"
        worker = Worker()
        provider = pool.Provider(worker)
        async with (
            provider.connect_callbacks(f"{url}/cb", token="a-secret") as worker.pool,
            provider.serve(f"{url}/pool", token="a-secret"),
        ):
            print(await server.call("Worker.Work", "job_id-1", str))
        await server.drain()


if __name__ == "__main__":
    trio.run(main)
