"""Our ends of webwire, to meet a Go peer with."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from wirecore.session import Backoff
from wirecore_trio import webwire

if TYPE_CHECKING:
    from tests.interop.conftest import PeerProcess

#: All kinds of characters: ASCII, two, three and four bytes of UTF-8, surrogates in UTF-16.
TEXT = "plain, é, ✓, 🎈👩🏽‍🚀"

QUICK = webwire.RetryPolicy(backoff=lambda: Backoff(0.02, 1.0, 0.0, 0.02))


def our_client(port: int, *, wait: bool = True, **options: Any) -> webwire.Connecting:
    """Our client, which comes back fast after a loss."""
    return webwire.connect(
        f"ws://127.0.0.1:{port}/", webwire.ClientOptions(retry=QUICK, **options), wait=wait
    )


def make_server(store: webwire.SessionStore | None = None, **options: Any) -> webwire.Server:
    """Our server, which does what the Go peer's does. *store*: in memory by default."""
    server = webwire.Server(webwire.ServerOptions(**options), store=store or webwire.MemoryStore())

    @server.request("echo", inline=True)
    def echo(request: webwire.Request[Any]) -> webwire.Payload:
        return request.payload

    @server.request("to utf16")
    async def to_utf16(request: webwire.Request[Any]) -> webwire.Payload:
        return webwire.Payload.utf16(request.payload.text)

    @server.request("fail")
    async def fail(request: webwire.Request[Any]) -> None:
        code, _, words = request.payload.text.partition(" ")
        raise webwire.RequestError(code, words)

    @server.request("fail within")
    async def fail_within(request: webwire.Request[Any]) -> None:
        raise ValueError("not told")

    @server.request("login")
    async def login(request: webwire.Request[Any]) -> None:
        await request.connection.create_session({"user": request.payload.text})

    @server.request("who am I")
    async def who_am_i(request: webwire.Request[Any]) -> str:
        session = request.connection.session
        return "" if session is None else str(session.info["user"])

    @server.request("end my session")
    async def end_my_session(request: webwire.Request[Any]) -> None:
        await request.connection.close_session()

    @server.signal()
    async def back(signal: webwire.Signal[Any]) -> None:
        await signal.connection.signal(signal.name, signal.payload)

    return server


@asynccontextmanager
async def our_server(
    server: webwire.Server | None = None, port: int = 0
) -> AsyncIterator[tuple[webwire.Server, int]]:
    """*server*, None: one of :func:`make_server`'s, and the port that it listens at."""
    server = server or make_server()
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", port)
        yield server, listening.port
        nursery.cancel_scope.cancel()


async def command(peer: PeerProcess, do: str, **members: object) -> None:
    """Give a Go peer a command; see ``webwirepeer/main.go``."""
    await peer.command(json.dumps({"do": do, **members}))


async def request_many(client: webwire.Client, total: int, in_flight: int) -> int:
    """Request "echo" *total* times, *in_flight* at once; the most that waited at once."""
    numbers = iter(range(total))
    waiting = most = 0

    async def request_on() -> None:
        nonlocal waiting, most
        for number in numbers:
            payload = f"{number}".ljust(64, "x")
            waiting += 1
            most = max(most, waiting)
            assert (await client.request("echo", payload)).text == payload
            waiting -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(in_flight):
            nursery.start_soon(request_on)
    return most
