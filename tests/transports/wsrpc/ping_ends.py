"""The ping service at both ends, for tests that make their own connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wirecore.session import Backoff
from wirecore_trio import wsrpc
from wirecore_trio.tls import load_private_key, public_key_of
from wirecore_trio.wsrpc import Peer, RetryPolicy
from wirecore_trio.wsrpc.ping import (
    GnipRequest,
    GnipResponse,
    GnipService,
    GnipStub,
    PingRequest,
    PingResponse,
    PingService,
)

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE, BOB, CHARLIE = (bytes([number]) * 32 for number in (1, 2, 3, 4))

#: Fast enough for a test, slow enough to see the states.
QUICK = RetryPolicy(backoff=lambda: Backoff(0.01, 1.5, 0, 0.05))
ONCE = RetryPolicy(attempts=1)


def public(private_key: bytes) -> bytes:
    return public_key_of(load_private_key(private_key))


class Ping(PingService):
    async def Ping(self, request: PingRequest, peer: Peer) -> PingResponse:  # noqa: N802
        reply = await GnipStub(peer).Gnip(GnipRequest(body=request.body))
        return PingResponse(body=f"pong {reply.body}")


class Gnip(GnipService):
    async def Gnip(self, request: GnipRequest, peer: Peer) -> GnipResponse:  # noqa: N802
        return GnipResponse(body=request.body[::-1])


def serve_ping(server: wsrpc.Server) -> None:
    server.register(Ping())
