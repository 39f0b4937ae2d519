"""Echo against Go: the same library at both ends, as in ``echo_small``, but unpinned.

A Go program spreads over the cores it gets; pinning it to one would measure something that nobody
runs. So both processes of every contender go where the system puts them.
"""

from __future__ import annotations

from bench.contenders import GO_PEERS, WIRECORE, WIRECORE_SINGLE
from bench.harness.model import Goal, Load, Row


def rows() -> list[Row]:
    """One message under way, and a hundred."""
    contenders = (WIRECORE, WIRECORE_SINGLE, *GO_PEERS)
    return [
        Row(
            name=f"echo_go/{in_flight}",
            title=f"WebSocket echo, 64 B, {in_flight} in flight, against Go",
            unit="messages/s",
            load=Load(size=64, in_flight=in_flight),
            contenders=contenders,
            goals=tuple(Goal("wirecore", peer.name, floor, target) for peer in GO_PEERS),
            placement="free",
        )
        for in_flight, floor, target in ((1, 1.0, 1.5), (100, 3.0, 8.0))
    ]
