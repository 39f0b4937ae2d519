"""A server made of bytes: it upgrades, and then sends and takes frames as a test tells it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from tests.transports.conftest import RawPeer
from tests.transports.webwire.raw_client import read_head

if TYPE_CHECKING:
    from wirecore._backend import Backend

#: RFC 6455 section 1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

#: How an original server with the defaults is set up.
SETTINGS = bytes.fromhex("17020060ea000000200000")


class FakeServer:
    """Listens on *port*; a test accepts its connections one by one."""

    def __init__(self, listener: trio.SocketListener, backend: Backend) -> None:
        self._listener = listener
        self._backend = backend
        self._peers: list[RawPeer] = []
        self.port: int = listener.socket.getsockname()[1]

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"ws://127.0.0.1:{self.port}/"

    @property
    def accepted(self) -> int:
        """How many connections were made."""
        return len(self._peers)

    async def accept(self) -> RawPeer:
        """The next connection, upgraded."""
        stream = await self._listener.accept()
        head, rest = await read_head(stream)
        assert rest == b"", "a client waits for the answer"
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        key = {name.lower(): value for name, value in fields.items()}[b"sec-websocket-key"]
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        peer = RawPeer(stream, self._backend, client=False)
        self._peers.append(peer)
        await stream.send_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        return peer

    async def close(self) -> None:
        """End all."""
        for peer in self._peers:
            await peer.stream.aclose()
        await self._listener.aclose()


@asynccontextmanager
async def fake_server(backend: Backend) -> AsyncIterator[FakeServer]:
    """A server for as long as the block runs."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = FakeServer(listener, backend)
    try:
        yield server
    finally:
        with trio.CancelScope(shield=True):
            await server.close()
