"""The server that Autobahn|Testsuite's fuzzing client tests: echoes, compression offered.

Prints the port that it listens on (127.0.0.1), and serves until standard input is closed.
"""

from __future__ import annotations

import os
import sys
from functools import partial

import trio

from wirecore_trio import websocket

#: The suite compresses messages of any size, so nothing is too small for us either.
OPTIONS = websocket.Options(compression=websocket.DeflateOffer(threshold=0))


async def echo(ws: websocket.WebSocket) -> None:
    """Sends back every message, as text or binary as it came."""
    async for message in ws:
        await ws.send(message)


async def main() -> None:
    """Serves."""
    async with trio.open_nursery() as nursery:
        start = partial(websocket.serve, echo, "127.0.0.1", 0, options=OPTIONS)
        server = await nursery.start(start)
        sys.stdout.write(f"listening {server.port}\n")
        sys.stdout.flush()
        # A test run that is killed takes the server with it.
        await trio.to_thread.run_sync(os.read, 0, 1, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
