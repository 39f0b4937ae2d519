"""REST's Go peers: ends of a WebSocket that serve or call, and what they are asked to do.

See ``go/restpeer/main.go`` for their flags, commands and events, ``handlers.go`` there for what a
serving end answers.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.interop.conftest import PeerProcess, StartPeer


def pattern(size: int) -> bytes:
    """The *size* bytes that a handler's or a call's body of that size is made of."""
    letters = string.ascii_lowercase.encode()
    return (letters * (size // len(letters) + 1))[:size]


class GoCallError(Exception):
    """A call of the Go peer's that got no whole response; the text is Go's."""


@dataclass(frozen=True)
class GoAnswer:
    """What a call of the Go peer's got."""

    status: int
    line: str  # version, status and reason
    fields: list[tuple[str, str]]  # as they came
    trailers: dict[str, str]
    length: int
    sha256: str  # of the body, hex
    start: bytes  # the body's first 600 bytes
    messages: int  # that carried it

    def field(self, name: str) -> str | None:
        """The first value of the field *name*, written so."""
        return next((value for key, value in self.fields if key == name), None)

    def has_body(self, body: bytes) -> bool:
        """Whether *body* is what came."""
        return (self.length, self.sha256) == (len(body), hashlib.sha256(body).hexdigest())


class GoEnd:
    """A Go peer that runs, in any role; with a server's its *port*."""

    port: int

    def __init__(self, peer: PeerProcess) -> None:
        self.peer = peer
        self._numbers = itertools.count(1)

    def url(self, path: str = "/") -> str:
        """Where to dial a server."""
        return f"ws://127.0.0.1:{self.port}{path}"

    async def command(self, do: str, **members: object) -> None:
        """Tell it to *do* that."""
        await self.peer.command(json.dumps({"do": do, **members}))

    async def begin(
        self, method: str, path: str, *, body: bytes | int = b"", **members: object
    ) -> int:
        """Have it call; the number that :meth:`answer` wants.

        *body*: bytes, or how many of :func:`pattern`. *members*: ``headers``, ``chunked``,
        ``trailers``.
        """
        number = next(self._numbers)
        if isinstance(body, int):
            members["body_size"] = body
        else:
            members["body"] = body.decode("latin-1")
        await self.command("call", id=number, method=method, path=path, **members)
        return number

    async def answer(self, number: int) -> GoAnswer:
        """How that call ended. Raises GoCallError where it failed."""
        event = await self.peer.wait_for("answer", id=number)
        if "error" in event:
            raise GoCallError(event["error"])
        return GoAnswer(
            event["status"],
            event["line"],
            [(name, value) for name, value in event["headers"]],
            dict(event["trailers"]),
            event["length"],
            event["sha256"],
            event["body"].encode("latin-1"),
            event["messages"],
        )

    async def call(
        self, method: str, path: str, *, body: bytes | int = b"", **members: Any
    ) -> GoAnswer:
        """Have it call; the answer. Raises GoCallError where the call failed."""
        return await self.answer(await self.begin(method, path, body=body, **members))


@asynccontextmanager
async def go_server(start: StartPeer, role: str, *flags: object) -> AsyncIterator[GoEnd]:
    """A server of Go's that serves or calls, as *role* says; *start* is ``rest_peer``."""
    async with start("server", role, *flags) as peer:
        end = GoEnd(peer)
        _, end.port = await peer.address()
        yield end


@asynccontextmanager
async def go_client(start: StartPeer, role: str, url: str, *flags: object) -> AsyncIterator[GoEnd]:
    """A client of Go's that dials *url* and serves or calls."""
    async with start("client", role, "--url", url, *flags) as peer:
        yield GoEnd(peer)
