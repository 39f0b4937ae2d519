"""Messages of 64 bytes of text through the engine, beside a loop that receives and nothing else.

A server of plain sockets sends as many as are taken, and costs next to nothing. The callbacks are
async functions that count; what came is compared with what was sent. Then the same with a tracer
provider that samples nothing, with one that samples all, and over ``websockets``.
"""

from __future__ import annotations

from bench.contenders import COMPILED
from bench.harness.model import Contender, Goal, Load, Row


def contender(name: str, **options: str) -> Contender:
    """The flood at one end; *options* are the other's."""
    given = {"through": "engine", "library": "wirecore", "workers": "4", "tracing": "off"}
    return Contender(
        name, "engine_messages", "flood", drive={**given, **options}, environment=COMPILED
    )


LOOP = contender("bare loop", through="loop")
ONE = contender("engine, 1 worker", workers="1")
FOUR = contender("engine, 4 workers")
UNSAMPLED = contender("engine, unsampled", tracing="unsampled")
TRACED = contender("engine, traced", tracing="on")
OTHER_LOOP = contender("websockets, bare loop", through="loop", library="websockets")
OTHER = contender("engine on websockets", library="websockets")


def rows() -> list[Row]:
    """The one row."""
    return [
        Row(
            name="engine_messages/64",
            title="Messages through the engine, 64 B of text",
            unit="messages/s",
            load=Load(size=64),
            contenders=(LOOP, ONE, FOUR, UNSAMPLED, TRACED, OTHER_LOOP, OTHER),
            goals=(
                Goal(ONE.name, LOOP.name, 0.5, None),
                Goal(FOUR.name, LOOP.name, 0.5, None),
                Goal(OTHER.name, OTHER_LOOP.name, 0.5, None),
            ),
        ),
    ]
