"""REST over WebSocket: a POST of 64 bytes to an ASGI application, which answers with the same.

All over one connection, by its own ``request``, and by httpx2 on a transport over it. Beside them
is httpx2 by itself, over HTTP/1.1 with connections kept alive, as many as requests are under way,
to uvicorn with the same application.
"""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import COMPILED, pair
from bench.harness.model import Goal, Load, Row

OWN = replace(pair("wirecore request", "wirecore_rest", client="own"), environment=COMPILED)
HTTPX2 = replace(pair("httpx2 on wirecore", "wirecore_rest", client="httpx2"), environment=COMPILED)
UVICORN = pair("httpx2 and uvicorn", "httpx2_uvicorn", loop="asyncio")
UVICORN_TRIO = pair("httpx2 on trio and uvicorn", "httpx2_uvicorn", loop="trio")

GOALS = tuple(
    Goal(ours.name, peer.name, floor, None)
    for ours, floor in ((OWN, 4.0), (HTTPX2, 1.3))
    for peer in (UVICORN, UVICORN_TRIO)
)


def rows() -> list[Row]:
    """One request under way, and a hundred."""
    return [
        Row(
            name=f"rest_request/{in_flight}",
            title=f"HTTP request and response over WebSocket, 64 B, {in_flight} in flight",
            unit="requests/s",
            load=Load(size=64, in_flight=in_flight),
            contenders=(OWN, HTTPX2, UVICORN, UVICORN_TRIO),
            goals=GOALS if in_flight > 1 else (),
        )
        for in_flight in (1, 100)
    ]
