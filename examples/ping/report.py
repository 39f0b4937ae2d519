"""What the example's processes tell each other's watcher: one line of JSON for each event."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable

import trio


def tell(event: str, **details: object) -> None:
    """Print *event* as a line of JSON, at once."""
    sys.stdout.write(json.dumps({"event": event, **details}) + "\n")
    sys.stdout.flush()


async def timed(calls: int, call: Callable[[], Awaitable[object]]) -> list[float]:
    """Make *calls* calls at once, with 2 s for all of them; how long each took, in ms."""
    times: list[float] = []

    async def one() -> None:
        begun = trio.current_time()
        await call()
        times.append((trio.current_time() - begun) * 1000)

    with trio.fail_after(2):
        async with trio.open_nursery() as nursery:
            for _ in range(calls):
                nursery.start_soon(one)
    return times
