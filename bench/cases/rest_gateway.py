"""The gateway beside a reverse proxy on Go's net/http/httputil: a POST that an application echoes.

Callers speak plain HTTP/1.1 with connections kept alive, by Go's net/http, to all alike. Behind
wirecore's gateway, under hypercorn and under uvicorn, a publisher has dialled in; behind Go's proxy
stands uvicorn; all with the same application. What either server makes of that application by
itself, with nothing between, tells where the time goes.

Nothing is pinned: a program in Go spreads over the cores that it gets.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from bench.contenders import COMPILED
from bench.harness.model import Contender, Goal, Load, Row

_CALLERS = "go/http"
_UPSTREAM = json.dumps([sys.executable, "-m", "bench.peers", "httpx2_uvicorn", "serve"])

GATEWAY = Contender("wirecore gateway", _CALLERS, "wirecore_gateway", environment=COMPILED)
UNDER_UVICORN = Contender(
    "wirecore gateway, uvicorn", _CALLERS, "wirecore_gateway_uvicorn", environment=COMPILED
)
PROXY = Contender("Go's ReverseProxy", _CALLERS, "go/proxy", serve={"upstream": _UPSTREAM})
HYPERCORN = Contender("hypercorn alone", _CALLERS, "hypercorn_rest")
UVICORN = Contender("uvicorn alone", _CALLERS, "httpx2_uvicorn")

CONTENDERS = (GATEWAY, UNDER_UVICORN, PROXY, HYPERCORN, UVICORN)
GOALS = (Goal(UNDER_UVICORN.name, PROXY.name, 0.2, None),)


def rows() -> list[Row]:
    """Small bodies, requests a second; larger ones, MB a second; one and a hundred of each."""
    small = Row(
        name="rest_gateway",
        title="HTTP through a gateway, 64 B each way",
        unit="requests/s",
        load=Load(size=64),
        contenders=CONTENDERS,
        goals=GOALS,
        placement="free",
    )
    large = replace(
        small,
        title="HTTP through a gateway, 64 KiB each way",
        unit="MB/s",
        load=Load(size=64 * 1024, options={"figure": "MB/s"}),
    )
    return [
        replace(
            row,
            name=f"{row.name}/{variant}",
            title=f"{row.title}, {in_flight} in flight",
            load=replace(row.load, in_flight=in_flight),
        )
        for row, variants in ((small, ("1", "100")), (large, ("64KiB-1", "64KiB-100")))
        for variant, in_flight in zip(variants, (1, 100), strict=True)
    ]
