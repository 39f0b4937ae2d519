"""Echo of 64-byte binary messages over one WebSocket connection, 1 and 100 under way.

Client and server of a row are of the same library, both on one core: what counts is the work for
a message, not how well two processes overlap.
"""

from __future__ import annotations

from bench.contenders import RAW, WEBSOCKET_PEERS, WIRECORE, WIRECORE_PURE, WIRECORE_SINGLE
from bench.harness.model import Goal, Load, Row


def rows() -> list[Row]:
    """The two rows."""
    contenders = (WIRECORE, WIRECORE_SINGLE, WIRECORE_PURE, *WEBSOCKET_PEERS, RAW)
    return [
        Row(
            name="echo_small/1",
            title="WebSocket echo, 64 B, 1 in flight",
            unit="messages/s",
            load=Load(size=64, in_flight=1),
            contenders=contenders,
            goals=(
                Goal("wirecore", "trio-websocket", 3.5, 4.0),
                Goal("wirecore", "websockets trio", 3.5, 4.0),
            ),
        ),
        Row(
            name="echo_small/100",
            title="WebSocket echo, 64 B, 100 in flight",
            unit="messages/s",
            load=Load(size=64, in_flight=100),
            contenders=contenders,
            goals=(
                Goal("wirecore", "trio-websocket", 10.0, 40.0),
                Goal("wirecore", "websockets trio", 10.0, 40.0),
                Goal("wirecore", "picows asyncio", 2.0, 8.0),
            ),
        ),
    ]
