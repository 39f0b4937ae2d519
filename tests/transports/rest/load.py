"""Requests without a pause over connections that may end, and an application that notes them.

A request's body is its number, and as much more as fills sockets; the answer is the number.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from typing import Any

import trio

from tests.transports.killing import NUMBER, Ledger
from tests.transports.rest.world import answer, read
from wirecore import errors
from wirecore_trio import rest

#: Bytes of a request.
SIZES = (NUMBER, 64, 4_000)

#: Bytes of one of which a few fill a socket, so that others never leave.
LARGE = 30_000

#: So that what can't be sent waits in this process and not in the system.
SMALL = [(socket.SOL_SOCKET, name, 32_768) for name in (socket.SO_SNDBUF, socket.SO_RCVBUF)]


class Jobs:
    """An application that *note* is told each request's number, before the answer."""

    def __init__(self, note: Callable[[int], object]) -> None:
        self._note = note
        #: Requests that are being answered.
        self.running = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        self.running += 1
        try:
            number = int.from_bytes((await read(receive))[:NUMBER], "big")
            self._note(number)
            if number % 2:
                await trio.sleep(0.001)
            await answer(send, b"%d" % number)
        finally:
            self.running -= 1


class Calls:
    """Tasks that request all the time, until it is *over*; *ledger* has how each request ended."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.over = False
        self._chance = random.Random(20)

    async def run(self, target: rest.Client | rest.Connection) -> None:
        """Request over *target*: a client's next connection goes on where one was lost."""
        while not self.over and not (isinstance(target, rest.Connection) and target.closed):
            await self.request(target, self._chance.choice(SIZES))

    async def request(self, target: rest.Client | rest.Connection, size: int) -> None:
        """One request of *size* bytes."""
        number = self.ledger.begin()
        body = number.to_bytes(NUMBER, "big").ljust(size, b".")
        try:
            response = await target.request("POST", "/job", content=body)
        except errors.CallLost as error:
            self.ledger.end(number, error.execution)
            await trio.lowlevel.checkpoint()  # what fails at once may do so without one
        else:
            assert (response.status, response.body) == (200, b"%d" % number)
            self.ledger.end(number, Ledger.ANSWERED)


def listener(port: int = 0) -> socket.socket:
    """One whose connections hold little that isn't read, or can't be sent."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option in SMALL:
        found.setsockopt(*option)
    found.bind(("127.0.0.1", port))
    found.listen(100)
    return found
