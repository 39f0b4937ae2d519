"""A client of serve.py, which is called back by it: ``python call.py ws://127.0.0.1:8080/``."""

from __future__ import annotations

import sys
from functools import partial

import trio
from peer import Method, Peer, make_session
from session import Fault

from wirecore_trio import connect_session


async def name(peer: Peer) -> str:
    """What the server asks for."""
    return "Alice"


async def counted(peer: Peer, number: int) -> None:
    """What the server notifies of."""
    print(f"counted to {number}")


async def main(url: str) -> None:
    """Call every method once."""
    methods: dict[str, Method] = {"name": name, "counted": counted}
    make_peer = partial(Peer, methods=methods)
    async with connect_session(url, make_session, make_peer, subprotocols=["jsonrpc2"]) as peer:
        print(await peer.call("add", 1, 2, 3.5))
        print(await peer.call("greet"))
        await peer.call("count", to=3)
        print(await peer.batch(("add", [1, 2]), ("add", ["a"]), ("subtract", [2, 1])))
        with trio.move_on_after(1) as scope:
            try:
                await peer.call("subtract", 2, 1)
            except Fault as fault:
                print(fault)
        assert not scope.cancelled_caught


if __name__ == "__main__":
    trio.run(main, sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/")
