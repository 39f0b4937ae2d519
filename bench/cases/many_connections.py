"""What a message costs when 10,000 other connections lie idle on the server: ours beside ours."""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import WIRECORE
from bench.harness.model import Goal, Load, Row

ALONE = replace(WIRECORE, name="1 connection")
AMONG = replace(WIRECORE, name="10,000 connections", drive={"idle": "10000"})


def rows() -> list[Row]:
    """The one row. A cost of 1.5 times is a rate of two thirds."""
    return [
        Row(
            name="many_connections/echo",
            title="WebSocket echo, 64 B, 100 in flight, with 10,000 idle connections beside",
            unit="messages/s",
            load=Load(size=64, in_flight=100),
            contenders=(ALONE, AMONG),
            goals=(Goal("10,000 connections", "1 connection", 1 / 1.5, 1 / 1.1),),
            quick={"idle": "200"},
        ),
    ]
