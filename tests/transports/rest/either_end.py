"""Either end of REST as a process of its own, to be killed; it serves, and calls.

    python -m tests.transports.rest.either_end serve PORT LOG FIRST
    python -m tests.transports.rest.either_end dial PORT LOG FIRST CLIENTS

The server prints its port once it listens, and calls every client that there is; so many clients
print a line once all are connected, and call. LOG gets the numbers of requests that were executed
here. Those made here are numbered from FIRST on: LOG.calls.begun gets each before it is sent,
LOG.calls each that was answered.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import trio

from tests.transports.rest.load import SMALL, Calls, Jobs, listener
from tests.transports.webwire.victim import Noted, noting, tell
from wirecore_trio import rest

#: Tasks that request at once over one connection.
CALLERS = 3


async def serve(port: str, log: str, first: str) -> None:
    """Serve, and call, until killed."""
    calls = Calls(Noted(f"{log}.calls", int(first)))

    async def call(connection: rest.Connection) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(CALLERS):
                nursery.start_soon(calls.run, connection)

    server = rest.Server(Jobs(noting(log)), on_connection=call)
    async with trio.open_nursery() as nursery:
        serving = partial(server.serve, listeners=[listener(int(port))])
        listening = await nursery.start(serving)
        tell(listening.port)


async def dial(port: str, log: str, first: str, clients: str) -> None:
    """Serve, and call, until killed."""
    calls = Calls(Noted(f"{log}.calls", int(first)))
    app = Jobs(noting(log))
    url = f"ws://127.0.0.1:{port}/"
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        for number in range(int(clients)):
            connecting = rest.connect(url, app, metadata=number, socket_options=SMALL)
            client = await stack.enter_async_context(connecting)
            for _ in range(CALLERS):
                nursery.start_soon(calls.run, client)
        tell("connected")


async def main() -> None:
    """Run the role of the command line."""
    role, *arguments = sys.argv[1:]
    roles: dict[str, Callable[..., Awaitable[None]]] = {"serve": serve, "dial": dial}
    await roles[role](*arguments)


if __name__ == "__main__":
    trio.run(main)
