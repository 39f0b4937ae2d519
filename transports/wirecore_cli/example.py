"""Something to serve for a try: ``wirecore wsrpc serve wirecore_cli.example:Ping``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from wirecore_trio import pool
from wirecore_trio.wsrpc import Peer
from wirecore_trio.wsrpc.ping import PingRequest, PingResponse, PingService


class Ping(PingService):
    """Answers a ping with its body."""

    async def Ping(self, request: PingRequest, peer: Peer) -> PingResponse:  # noqa: N802
        """Answer a ping."""
        return PingResponse(body=f"pong {request.body}".rstrip())


def _reverse(data: bytes, peer: Peer) -> bytes:
    return data[::-1]


#: Methods on bytes, by their names.
handlers: Final = {"Reverse": _reverse}


@dataclass
class Pair:
    """Two numbers."""

    a: int = 0
    b: int = 0


class Backend:
    """What a provider has: ``wirecore pool provide wirecore_cli.example:Backend``."""

    @pool.exported
    async def get(self, key: str) -> str:
        """Get what is stored as *key*."""
        return f"the object {key}"

    @pool.exported
    async def add(self, pair: Pair) -> int:
        """Add two numbers."""
        return pair.a + pair.b


class PoolSide:
    """What a pool has for its providers, by call-backs."""

    @pool.exported
    async def notify(self, event: str) -> str:
        """Take note of *event*."""
        return f"{event} is noted"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """An application: ``wirecore tunnel publish wirecore_cli.example:app --name hello``."""
    if scope["type"] == "http":
        body = f"hello from {scope['path']}\n".encode()
        fields = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": body})
