"""JSON-RPC in place of gob: what Go speaks with net/rpc/jsonrpc, in both directions."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from wirecore_trio import pool


@dataclass
class Order:
    """What is ordered; in JSON {"Item": ..., "Count": ...}."""

    item: str
    count: int = 1


class Shop:
    """What the provider has."""

    @pool.exported
    async def buy(self, order: Order) -> list[str]:
        """One line for each piece."""
        return [f"{order.item} {number}" for number in range(1, order.count + 1)]


class PoolSide:
    """What the pool has for its providers."""

    @pool.exported
    async def price(self, item: str) -> float:
        """What *item* costs."""
        return 2.5


async def main() -> None:
    """Call in both directions."""
    server = pool.PoolServer()
    server.bind("/pool", codec="json")
    server.serve_callbacks("/cb", PoolSide(), codec="json")
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{listening.port}"
        provider = pool.Provider(Shop())
        async with (
            provider.serve(f"{url}/pool", codec="json"),
            provider.connect_callbacks(f"{url}/cb", codec="json") as client,
        ):
            print(await server.call("Shop.Buy", Order("tea", 2), list[str]))
            print(await server.call("Shop.Buy", {"item": "cups", "count": 1}))
            print(await client.call("PoolSide.Price", "tea", float))
        await server.drain()


if __name__ == "__main__":
    trio.run(main)
