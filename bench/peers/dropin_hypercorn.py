"""hypercorn, which is wsproto under an ASGI application; a server only.

Options: ``loop``, ``asyncio`` or ``trio``; ``codec=wirecore`` puts our frames under its wsproto.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import hypercorn.asyncio
import hypercorn.trio
import trio
from hypercorn.config import Config

from bench.peers.dropin_connection import install
from bench.peers.load import Task

PACKAGE = "hypercorn"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """ASGI: sends back every message."""
    while True:
        event = await receive()
        if scope["type"] == "lifespan":
            await send({"type": f"{event['type']}.complete"})
        elif event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif event["type"] == "websocket.disconnect":
            return
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"]})


def serve(task: Task) -> None:
    """An echo server."""
    install(task)
    listener = socket.create_server(("127.0.0.1", 0))
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.accesslog = None
    config.errorlog = None
    # The socket listens: who connects before hypercorn has begun is answered when it has.
    task.listening(listener.getsockname()[1])
    if task.options["loop"] == "trio":
        trio.run(hypercorn.trio.serve, application, config)
    else:
        asyncio.run(hypercorn.asyncio.serve(application, config))
