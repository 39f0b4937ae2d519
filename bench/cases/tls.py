"""What pinned mutual TLS costs a call: ours beside ours without it, inline handlers, one core."""

from __future__ import annotations

from bench.contenders import wsrpc
from bench.harness.model import Goal, Load, Row

PLAIN = wsrpc("plain", mode="inline", tls="off")
PINNED = wsrpc("pinned mTLS", mode="inline")


def rows() -> list[Row]:
    """One call under way, and a hundred."""
    return [
        Row(
            name=f"tls/{in_flight}",
            title=f"unary call over pinned mTLS and plain, 64 B, {in_flight} in flight",
            unit="calls/s",
            load=Load(size=64, in_flight=in_flight),
            contenders=(PINNED, PLAIN),
            goals=(Goal("pinned mTLS", "plain", floor, target),),
        )
        for in_flight, floor, target in ((1, 0.6, 0.85), (100, 0.85, 0.95))
    ]
