"""A server sends one message to a thousand open connections: ours, ours in a loop, the others.

The client is the same for all: plain sockets. It asks on one of them, reads on all, compares, and
asks again. Most of the time goes to the system, a send and a read for each message, and is the same
for all: no library can be faster than the bare sockets, so ratios are small.
"""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import COMPILED
from bench.harness.model import Contender, Goal, Load, Row


def server(name: str, peer: str, **options: str) -> Contender:
    """*peer* as the server of the one client."""
    return Contender(name, "broadcast_client", peer, serve={"to": "all", **options})


def rows() -> list[Row]:
    """The one row."""
    ours = server("wirecore", "wirecore_websocket")
    contenders = (
        replace(ours, environment=COMPILED),
        replace(
            server("wirecore one by one", "wirecore_websocket", api="single"), environment=COMPILED
        ),
        server("websockets asyncio", "websockets_asyncio"),
        server("aiohttp asyncio", "aiohttp_websocket"),
        server("bare sockets", "raw_broadcast"),
    )
    return [
        Row(
            name="broadcast/1000",
            title="a message of 64 B to 1,000 connections",
            unit="messages/s",
            load=Load(size=64, options={"connections": "1000"}),
            contenders=contenders,
            goals=(
                Goal("wirecore", "websockets asyncio", 1.0, 1.25),
                Goal("wirecore", "wirecore one by one", 1.0, 1.1),
                Goal("wirecore", "bare sockets", None, 0.8),
            ),
            quick={"connections": 100},
        ),
    ]
