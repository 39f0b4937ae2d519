"""wirecore's gateway under hypercorn, and behind it a publisher, which is a process of its own.

A server only: those that call speak plain HTTP. Its publisher is ``rest_publisher.py``.
"""

from __future__ import annotations

import subprocess
import sys

import trio

import wirecore
from bench.peers.hypercorn_rest import listen
from bench.peers.load import Task
from bench.peers.rest_publisher import NAME
from wirecore._backend import default
from wirecore_trio import rest
from wirecore_trio.rest.gateway import Gateway, Route

VERSION = f"wirecore {wirecore.__version__}, backend {default.name}"


def serve(task: Task) -> None:
    """The gateway, once it has its publisher."""
    server = rest.Server()

    async def main() -> None:
        events = server.events()
        async with trio.open_nursery() as nursery:
            inner = await nursery.start(server.serve, "127.0.0.1", 0)
            with publisher(inner.port):
                await anext(events)
                task.listening(await listen(nursery, Gateway(server, [Route(name=NAME)])))
                await trio.sleep_forever()

    trio.run(main)


def publisher(port: int) -> subprocess.Popen[bytes]:
    """One that dials *port*. It ends when its standard input is closed, and so with us."""
    command = [sys.executable, "-m", "bench.peers", "rest_publisher", "serve", f"--port={port}"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
