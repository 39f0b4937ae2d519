"""uvicorn with an ASGI application that sends back every message; a server only.

Option ``ws`` is uvicorn's ``--ws``: one of its own protocols or the import string of another;
``loop`` is ``asyncio`` or ``uvloop``.
"""

from __future__ import annotations

import socket
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from bench.peers.load import Task

PACKAGE = "uvicorn"


async def echo_back(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Sends back every message."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": event["bytes"]})


def serve(task: Task) -> None:
    """An echo server."""
    warnings.simplefilter("ignore")  # uvicorn's oldest protocol is deprecated
    if task.options["loop"] == "uvloop":
        import uvloop  # noqa: F401  so that a missing one is told as such
    config = uvicorn.Config(
        echo_back,
        ws=task.options["ws"],
        loop=task.options["loop"],
        lifespan="off",
        log_level="error",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task.listening(listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])
