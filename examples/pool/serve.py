"""The public side: a pool, which calls Backend.Get of whoever connects."""

from __future__ import annotations

import argparse
import logging

import trio

from wirecore_trio import pool


async def main(host: str, port: int, keys: list[str]) -> None:
    """Get what is stored as *keys*, each from the provider that has waited longest."""
    server = pool.PoolServer()
    server.bind("/pool")
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, host, port)
        print(f"listening on ws://{host}:{listening.port}/pool", flush=True)
        for key in keys:
            # It waits for a provider, if there is none yet.
            print(await server.call("Backend.Get", key, str), flush=True)
        await server.drain()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("keys", nargs="*", default=["object_id-1"], help="what to get")
    parser.add_argument("--port", type=int, default=8080, help="0: any (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="the address (%(default)s)")
    given = parser.parse_args()
    logging.basicConfig()
    try:
        trio.run(main, given.host, given.port, given.keys)
    except* KeyboardInterrupt:
        pass  # as good as any other end
