"""wirecore's gateway under uvicorn, as ``wirecore tunnel gateway --server uvicorn`` has it.

A server only: those that call speak plain HTTP. Its publisher is ``rest_publisher.py``.
"""

from __future__ import annotations

import trio
import uvicorn

import wirecore
from bench.peers.load import Task
from bench.peers.rest_publisher import NAME
from bench.peers.wirecore_gateway import publisher
from wirecore._backend import default
from wirecore_cli.tunnel.under_uvicorn import UnderUvicorn
from wirecore_trio import rest
from wirecore_trio._listeners import open_listeners
from wirecore_trio.rest.gateway import Gateway, Route

VERSION = f"wirecore {wirecore.__version__}, backend {default.name}, uvicorn {uvicorn.__version__}"


def serve(task: Task) -> None:
    """The gateway, once it has its publisher."""
    server = rest.Server()

    async def main() -> None:
        events = server.events()
        async with trio.open_nursery() as nursery:
            inner = await nursery.start(server.serve, "127.0.0.1", 0)
            with publisher(inner.port):
                await anext(events)
                front = UnderUvicorn(
                    Gateway(server, [Route(name=NAME)]),
                    certificate=None,
                    max_message_size=server.options.max_message_size,
                )
                sockets = await open_listeners("127.0.0.1", 0)
                port = sockets[0].getsockname()[1]
                await nursery.start(front.serve, sockets)
                task.listening(port)
                await trio.sleep_forever()

    trio.run(main)
