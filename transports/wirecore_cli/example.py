"""Something to serve for a try: ``wirecore wsrpc serve wirecore_cli.example:Ping``."""

from __future__ import annotations

from typing import Final

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
