"""One end of wsrpc as a process of its own, to be killed; it notes what it executes.

    python -m tests.transports.wsrpc.victim serve|dial PORT LOG

It serves ``Do`` and ``DoAsync``: the first eight bytes of a request are its number, which is
written to LOG before the answer is made; no kill can take it back from there. And it calls the
other end's ``Back`` without a pause. It prints a line once calls can come.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import trio

from tests.transports.killing import NUMBER
from wirecore_trio import tls, wsrpc

SERVER, CLIENT = (bytes([number]) * 32 for number in (1, 2))


def do(log: int, payload: bytes, peer: wsrpc.Peer) -> bytes:
    """Note the request's number, and give it back."""
    number = payload[:NUMBER]
    os.write(log, number)
    return number


async def do_async(log: int, payload: bytes, peer: wsrpc.Peer) -> bytes:
    """The same in a task, with a call to the other end in between."""
    number = do(log, payload, peer)
    await peer.call("Back", number)
    return number


async def call_back(caller: wsrpc.Caller) -> None:
    """Call the other end without a pause."""
    while True:
        try:
            await caller.call("Back", bytes(NUMBER))
        except wsrpc.CallLost:
            await trio.sleep(0.001)


async def main() -> None:
    """Run the role of the command line until killed."""
    role, port, path = sys.argv[1:]
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    handlers: dict[str, Callable[[bytes, wsrpc.Peer], Any]] = {
        "Do": partial(do, log),
        "DoAsync": partial(do_async, log),
    }
    async with trio.open_nursery() as nursery:
        if role == "serve":
            credentials = wsrpc.ServerCredentials(SERVER, [tls.public_key_of(CLIENT)])
            server = wsrpc.Server(credentials)
            for name, handler in handlers.items():
                server.handle(name, handler, inline=name == "Do")
            listening = await nursery.start(server.serve, "127.0.0.1", int(port))
            sys.stdout.write(f"{listening.port}\n")
            sys.stdout.flush()
            await call_back(server.peer(tls.public_key_of(CLIENT)))
        connecting = wsrpc.connect(
            f"127.0.0.1:{port}", wsrpc.ClientCredentials(CLIENT, tls.public_key_of(SERVER))
        )
        for name, handler in handlers.items():
            connecting.handle(name, handler, inline=name == "Do")
        async with connecting as client:
            sys.stdout.write("connected\n")
            sys.stdout.flush()
            await call_back(client)


if __name__ == "__main__":
    trio.run(main)
