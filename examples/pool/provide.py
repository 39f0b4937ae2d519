"""The private side: a provider, which dials the pool and is called by it."""

from __future__ import annotations

import argparse
import logging
import signal

import trio

from wirecore.errors import RpcError
from wirecore_trio import drain_on_signal, pool


class Backend:
    """What the pool may call: the methods that are marked."""

    def __init__(self) -> None:
        self._objects = {f"object_id-{number}": f"object {number}" for number in range(1, 10)}

    @pool.exported
    async def get(self, key: str) -> str:
        """Get what is stored as *key*; Go calls it Backend.Get."""
        if key not in self._objects:
            raise RpcError(f"there is no {key}")
        return self._objects[key]


async def main(url: str, connections: int) -> None:
    """Serve until Ctrl-C, or SIGTERM; what is lost is dialled again."""
    async with pool.Provider(Backend()).serve(url, connections=connections) as serving:
        await serving.wait_connected()
        print(f"connected to {url}", flush=True)
        await drain_on_signal(serving, signal.SIGINT, signal.SIGTERM, grace=5)
    print("stopped")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "url", nargs="?", default="ws://127.0.0.1:8080/pool", help="the pool's (%(default)s)"
    )
    parser.add_argument("--connections", type=int, default=1, help="to hold (%(default)s)")
    given = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    trio.run(main, given.url, given.connections)
