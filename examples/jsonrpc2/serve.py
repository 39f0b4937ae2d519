"""A JSON-RPC 2.0 server over WebSocket: adds, asks its callers back, and tells them the time."""

from __future__ import annotations

import logging
import signal
import sys
from functools import partial

import trio
from peer import Method, Peer, make_session
from session import INVALID_PARAMS, Fault

from wirecore_trio import serve_session


async def add(peer: Peer, *numbers: float) -> float:
    """The sum of *numbers*."""
    if not all(isinstance(number, int | float) for number in numbers):
        raise Fault(INVALID_PARAMS, data="numbers only")
    return sum(numbers)


async def greet(peer: Peer) -> str:
    """A greeting, for which the caller is asked its name."""
    return f"hello, {await peer.call('name')}"


async def count(peer: Peer, to: int) -> None:
    """Notifies its caller of each number up to *to*, while it is being called."""
    for number in range(1, to + 1):
        await peer.notify("counted", number)


METHODS: dict[str, Method] = {"add": add, "greet": greet, "count": count}


async def main(port: int) -> None:
    """Serve until Ctrl-C; what is being handled then gets five seconds to finish."""
    serve = partial(
        serve_session,
        make_session,
        partial(Peer, methods=METHODS),
        "127.0.0.1",
        port,
        subprotocols=["jsonrpc2"],
    )
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve)
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            print(f"listening on ws://127.0.0.1:{server.port}/", flush=True)
            await anext(signals)
            await server.drain(grace=5)
    print("stopped")


if __name__ == "__main__":
    logging.basicConfig()
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
