"""What a call costs while others are pending on its connection: ours beside ours."""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import wsrpc
from bench.harness.model import Goal, Load, Row

ALONE = wsrpc("1 pending", mode="inline", tls="off")
AMONG = tuple(
    replace(ALONE, name=f"{number:,} pending", drive={**ALONE.drive, "pending": str(number)})
    for number in (100, 10_000, 100_000)
)


def rows() -> list[Row]:
    """The one row. A cost of 1.5 times is a rate of two thirds."""
    return [
        Row(
            name="many_pending/call",
            title="unary call, 64 B, 1 in flight, with others pending",
            unit="calls/s",
            load=Load(size=64, in_flight=1),
            contenders=(ALONE, *AMONG),
            goals=tuple(Goal(each.name, ALONE.name, 1 / 1.5, 1 / 1.1) for each in AMONG),
            quick={"pending": 1000},
        ),
    ]
