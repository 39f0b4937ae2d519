"""Our end of wsrpc as a process of its own, so that a test can kill it.

    python wsrpc_process.py serve|dial SEED KEY HOST:PORT

It serves Ping, and as a client calls Ping without a pause. It reports "listening" and "connected"
as the Go peer does, and ends when its standard input is closed.
"""

from __future__ import annotations

import json
import sys

import trio

from wirecore_trio import wsrpc
from wirecore_trio.wsrpc.ping import PingRequest, PingStub


def report(event: str, **members: object) -> None:
    """Print one event."""
    sys.stdout.write(json.dumps({"event": event, **members}) + "\n")
    sys.stdout.flush()


def give_back(payload: bytes, _: wsrpc.Peer) -> bytes:
    """Ping on encoded messages: request and reply have the same field."""
    return payload


async def serve(seed: bytes, key: bytes, address: str) -> None:
    """Serve until cancelled."""
    host, _, port = address.rpartition(":")
    server = wsrpc.Server(wsrpc.ServerCredentials(seed, [key]))
    server.handle("Ping", give_back, inline=True)
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, host, int(port))
        report("listening", address=f"{host}:{listening.port}")


async def dial(seed: bytes, key: bytes, address: str) -> None:
    """Call until cancelled."""
    async with wsrpc.connect(address, wsrpc.ClientCredentials(seed, key)) as client:
        client.handle("Ping", give_back, inline=True)
        report("connected")
        while True:
            await PingStub(client).Ping(PingRequest(body="x"))


async def main() -> None:
    """Run the role of the command line until standard input ends."""
    role, seed, key, address = sys.argv[1:]
    async with trio.open_nursery() as nursery:
        run = {"serve": serve, "dial": dial}[role]
        nursery.start_soon(run, bytes.fromhex(seed), bytes.fromhex(key), address)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
