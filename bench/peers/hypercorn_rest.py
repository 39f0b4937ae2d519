"""hypercorn on trio with the application of the REST rows over plain HTTP; a server only."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio import serve as serve_asgi

from bench.peers.load import Task
from bench.peers.rest_echo import app

PACKAGE = "hypercorn"


def serve(task: Task) -> None:
    """The application."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            task.listening(await listen(nursery, app))

    trio.run(main)


async def listen(nursery: trio.Nursery, application: Any) -> int:
    """Serves *application* in *nursery*; the port."""
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.accesslog = None
    config.errorlog = logging.getLogger("bench.hypercorn")  # its errors alone
    # A connection isn't to be dialled anew in the middle of a measurement: nobody else does that.
    config.keep_alive_max_requests = 10**9
    [url] = await nursery.start(partial(serve_asgi, application, config))
    return int(url.rpartition(":")[2])
