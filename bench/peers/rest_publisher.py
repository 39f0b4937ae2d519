"""Publishes the application of the REST rows at a gateway, whose ``--port`` it dials."""

from __future__ import annotations

import trio

from bench.peers.load import Task
from bench.peers.rest_echo import app
from wirecore_trio import rest

NAME = "echo"


def serve(task: Task) -> None:
    """Until its standard input is closed."""

    async def main() -> None:
        url = f"ws://127.0.0.1:{task.port}/"
        async with rest.connect(url, app, metadata=NAME):  # type: ignore[arg-type]  # a dict's scope
            await trio.sleep_forever()

    trio.run(main)
