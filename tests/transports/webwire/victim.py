"""Either end of webwire as a process of its own, to be killed; it notes what it executes.

    python -m tests.transports.webwire.victim serve PORT LOG STORE [MOST]
    python -m tests.transports.webwire.victim dial PORT LOG KEYS FIRST

The server prints its port once it listens, and drains at SIGTERM. STORE is a file of SQLite's, or
a URL of Redis'. MOST: how many connections may use one session.

The clients, one for each user in the file KEYS, take up the sessions there, or log in and write
their keys there, and print a line once all have one. They number their requests from FIRST on,
note in LOG which of them were answered, and in LOG.begun, before it is sent, each that was begun.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from tests.transports.killing import NUMBER, Ledger
from tests.transports.webwire.fleet import Load, open_fleet
from tests.transports.webwire.served import add_what_servers_share, make_server
from wirecore_trio import drain_on_signal, webwire

#: Seconds after which a dead server's connections don't count at Redis any more.
LEASE = 3.0


def noting(path: str) -> Callable[[int], None]:
    """Appends numbers to the file *path*."""
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(number: int) -> None:
        os.write(log, number.to_bytes(NUMBER, "big"))

    return note


def tell(line: object) -> None:
    """Print one line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def open_store(where: str) -> webwire.SessionStore:
    """The store that the command line names."""
    if where.startswith("redis:"):
        return webwire.RedisStore(where, lease=LEASE)
    return webwire.SQLiteStore(where)


def listen(port: int) -> socket.socket:
    """A listener whose connections take in little that isn't read: the rest stays with clients."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    listener.bind(("127.0.0.1", port))
    listener.listen(100)
    return listener


async def serve(port: str, log: str, store: str, most: str = "0") -> None:
    """Serve until drained."""
    server = make_server(noting(log), open_store(store), max_session_connections=int(most))
    add_what_servers_share(server)
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(partial(server.serve, listeners=[listen(int(port))]))
        await nursery.start(drain_on_signal, server)
        tell(listening.port)


class Noted(Ledger):
    """A ledger of which something stays when the process is killed."""

    def __init__(self, log: str, first: int) -> None:
        super().__init__(first)
        self._note_answered = noting(log)
        self._note_begun = noting(f"{log}.begun")

    def begin(self) -> int:
        number = super().begin()
        self._note_begun(number)
        return number

    def end(self, number: int, how: str) -> None:
        super().end(number, how)
        if how == self.ANSWERED:
            self._note_answered(number)


async def dial(port: str, log: str, file: str, first: str) -> None:
    """Request without a pause until killed."""
    path = trio.Path(file)
    keys = json.loads(await path.read_text())
    async with open_fleet(int(port), keys) as members, trio.open_nursery() as nursery:
        await path.write_text(json.dumps(keys))
        tell("connected")
        Load(members, Noted(log, int(first)), random.Random(20)).start(nursery)


async def main() -> None:
    """Run the role of the command line."""
    role, *arguments = sys.argv[1:]
    roles: dict[str, Callable[..., Awaitable[None]]] = {"serve": serve, "dial": dial}
    await roles[role](*arguments)


if __name__ == "__main__":
    trio.run(main)
