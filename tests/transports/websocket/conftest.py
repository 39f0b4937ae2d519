"""A running server, and dialling it, with the backend under test on both sides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import trio

from wirecore_trio.websocket import Server, WebSocket, connect, reconnecting, serve

if TYPE_CHECKING:
    from wirecore._backend import Backend
    from wirecore_trio.websocket._client import Connecting, Reconnecting

Handler: TypeAlias = Callable[[WebSocket], Awaitable[None]]


async def echo(ws: WebSocket) -> None:
    """Sends back what comes."""
    async for message in ws:
        await ws.send(message)


class World:
    """A way to serve and to dial, both with one backend."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def serving(
        self, handler: Handler = echo, host: str | None = "127.0.0.1", **options: Any
    ) -> AbstractAsyncContextManager[Server]:
        """``async with world.serving(handler) as server``; it is cancelled in the end."""
        return self._serving(handler, host, options)

    @asynccontextmanager
    async def _serving(
        self, handler: Handler, host: str | None, options: dict[str, Any]
    ) -> AsyncIterator[Server]:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(
                partial(serve, handler, host, backend=self.backend, **options)
            )
            yield server
            nursery.cancel_scope.cancel()

    def connect(self, server: Server, path: str = "/", **options: Any) -> Connecting:
        """Dial *server* at 127.0.0.1."""
        url = f"ws://127.0.0.1:{server.port}{path}"
        return connect(url, backend=self.backend, **options)

    def reconnecting(self, server: Server, **options: Any) -> Reconnecting:
        """Dial *server* at 127.0.0.1, again and again."""
        url = f"ws://127.0.0.1:{server.port}/"
        return reconnecting(url, backend=self.backend, **options)


@pytest.fixture
def world(backend: Backend) -> World:
    """Serving and dialling with each backend."""
    return World(backend)


async def http(server: Server, request: bytes) -> bytes:
    """Send *request* to *server* as it is; everything that comes back."""
    received = bytearray()
    async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
        await stream.send_all(request)
        await stream.send_eof()
        async for data in stream:
            received += data
    return bytes(received)


@pytest.fixture(name="http")
def http_fixture() -> Callable[[Server, bytes], Awaitable[bytes]]:
    """``await http(server, request)``: everything that comes back."""
    return http
