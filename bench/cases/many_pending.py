"""What a call costs while 100,000 others are pending on its connection: ours beside ours."""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import wsrpc
from bench.harness.model import Goal, Load, Row

ALONE = wsrpc("1 pending", mode="inline", tls="off")
AMONG = replace(ALONE, name="100,000 pending", drive={**ALONE.drive, "pending": "100000"})


def rows() -> list[Row]:
    """The one row. A cost of 1.5 times is a rate of two thirds."""
    return [
        Row(
            name="many_pending/call",
            title="unary call, 64 B, 1 in flight, with 100,000 others pending",
            unit="calls/s",
            load=Load(size=64, in_flight=1),
            contenders=(ALONE, AMONG),
            goals=(Goal("100,000 pending", "1 pending", 1 / 1.5, 1 / 1.1),),
            quick={"pending": "1000"},
        ),
    ]
