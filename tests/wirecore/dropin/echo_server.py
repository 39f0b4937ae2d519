"""A server of ASGI applications, with one that sends back every message.

Run as a program by test_frameworks.py, with two arguments: the server, hypercorn-asyncio,
hypercorn-trio or uvicorn, and `stock` or `installed`. It prints its port, and ends when its input
does.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import threading
from typing import Any

import trio

from wirecore.dropin import wsproto as dropin


def codec() -> str:
    """Whose connections there are in this process."""
    ours = any(isinstance(each, dropin.Connection) for each in gc.get_objects())
    return "wirecore" if ours else "wsproto"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """ASGI: sends back what it gets; asked for the codec, it names it."""
    while True:
        event = await receive()
        if scope["type"] == "lifespan":
            await send({"type": f"{event['type']}.complete"})
        elif event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif event["type"] == "websocket.disconnect":
            return
        elif event.get("text") == "codec?":
            await send({"type": "websocket.send", "text": codec()})
        elif event.get("text") is not None:
            await send({"type": "websocket.send", "text": event["text"]})
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"]})


def leave_with_parent() -> None:
    """Ends this process once standard input is closed."""
    while os.read(0, 4096):
        pass
    os._exit(0)


def main(server: str, codec_wanted: str) -> None:
    """Serves until the end."""
    if codec_wanted == "installed":
        dropin.install()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - it is how the port is told
    threading.Thread(target=leave_with_parent, daemon=True).start()
    if server == "uvicorn":
        import uvicorn

        config = uvicorn.Config(application, ws="wsproto", log_level="critical")
        uvicorn.Server(config).run(sockets=[listener])
    else:
        run_hypercorn(server, listener)


def run_hypercorn(server: str, listener: socket.socket) -> None:
    """Serves on one of the loops that hypercorn has."""
    import hypercorn.asyncio
    import hypercorn.trio
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.accesslog = None
    config.errorlog = None
    if server == "hypercorn-trio":
        trio.run(hypercorn.trio.serve, application, config)
    else:
        asyncio.run(hypercorn.asyncio.serve(application, config))


if __name__ == "__main__":
    main(*sys.argv[1:])
