"""httpx2 on asyncio as it is, or with our frames under its wsproto: option ``codec=wirecore``."""

from __future__ import annotations

import asyncio

from httpx2 import AsyncClient

from bench.peers.dropin_connection import install
from bench.peers.load import Outcome, Task, echo

PACKAGE = "httpx2"


def drive(task: Task) -> Outcome:
    """Echoes over one connection."""
    install(task)

    async def main() -> Outcome:
        url = f"ws://127.0.0.1:{task.port}/"
        async with AsyncClient() as client, client.websocket(url) as websocket:
            return await echo(task, websocket.send_bytes, websocket.receive_bytes)

    return asyncio.run(main())
