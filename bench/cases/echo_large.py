"""Echo of 1 MiB binary messages over one WebSocket connection, one under way, on one core."""

from __future__ import annotations

from bench.contenders import RAW, WEBSOCKET_PEERS, WIRECORE, WIRECORE_PURE
from bench.harness.model import Goal, Load, Row


def rows() -> list[Row]:
    """The one row."""
    return [
        Row(
            name="echo_large/1MiB",
            title="WebSocket echo, 1 MiB, 1 in flight",
            unit="messages/s",
            load=Load(size=2**20, in_flight=1),
            contenders=(WIRECORE, WIRECORE_PURE, *WEBSOCKET_PEERS, RAW),
            goals=(
                Goal("wirecore", "trio-websocket", 10.0, 30.0),
                Goal("wirecore", "picows asyncio", 1.0, 1.5),
            ),
        ),
    ]
