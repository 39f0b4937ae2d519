"""What a message costs when other connections lie idle on the server: ours beside ours.

One connection echoes; the others, up to 10,000, say nothing. Each process holds as many open files;
where a limit is lower, those contenders are left out and say so.
"""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import WIRECORE
from bench.harness.model import Goal, Load, Row

ALONE = replace(WIRECORE, name="1 connection")
AMONG = tuple(
    replace(WIRECORE, name=f"{number:,} connections", drive={"idle": str(number)})
    for number in (100, 1000, 10_000)
)


def rows() -> list[Row]:
    """The one row. A cost of 1.5 times is a rate of two thirds."""
    return [
        Row(
            name="many_connections/echo",
            title="WebSocket echo, 64 B, 100 in flight, with idle connections beside",
            unit="messages/s",
            load=Load(size=64, in_flight=100),
            contenders=(ALONE, *AMONG),
            goals=tuple(Goal(each.name, ALONE.name, 1 / 1.5, 1 / 1.1) for each in AMONG),
            quick={"idle": 200},
        ),
    ]
