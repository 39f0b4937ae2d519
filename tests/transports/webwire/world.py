"""A webwire server on loopback, its clients, and a client of single messages that does nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import trio
import trio.testing

from tests.transports.conftest import RawPeer
from wirecore._backend import Backend
from wirecore.events import Close
from wirecore.protocols.webwire import AcceptConf
from wirecore_py.webwire import decode_message
from wirecore_trio import websocket, webwire
from wirecore_trio.webwire.stores import SessionStore

_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n"
)

HEARTBEAT = b"\x21"

#: Where it is opened: ``async with open_server(prepare) as world``.
OpenServer: TypeAlias = Callable[..., AbstractAsyncContextManager["World"]]


class Raw(RawPeer):
    """A client that sends and takes single messages."""

    async def request(self, request_id: int, name: str = "", payload: bytes = b"") -> None:
        """Send a binary request."""
        head = b"\x7f" + request_id.to_bytes(8, "little") + bytes([len(name)])
        await self.message(head + name.encode() + payload)

    async def signal(self, name: str, payload: bytes = b"") -> None:
        """Send a binary signal."""
        await self.message(b"\x3f" + bytes([len(name)]) + name.encode() + payload)

    async def restore(self, request_id: int, key: str) -> None:
        """Ask for a session."""
        await self.message(b"\x20" + request_id.to_bytes(8, "little") + key.encode())

    async def close_session(self, request_id: int) -> None:
        """Ask for the end of the session."""
        await self.message(b"\x1f" + request_id.to_bytes(8, "little"))

    async def heartbeat(self) -> None:
        """Send one."""
        await self.message(HEARTBEAT)

    async def answer(self) -> tuple[int, Any, str, bytes]:
        """The next message, decoded. A close or the end is an error."""
        item = await self.next()
        assert isinstance(item, bytes), item
        return decode_message(item)

    async def nothing_comes(self) -> None:
        """Nothing comes before everybody waits for something."""
        with trio.move_on_after(0.5):
            raise AssertionError(f"something came: {await self.next()!r}")

    async def closing(self) -> Close:
        """What comes next is a close frame: it is answered, and the stream ends then."""
        item = await self.next()
        assert isinstance(item, Close), item
        await self.close(item.code)
        assert await self.next() is None
        return item

    async def lose(self) -> None:
        """Go without a word."""
        await self.stream.aclose()


class World:
    """A running *server*, and what is needed to connect to it."""

    def __init__(
        self,
        server: webwire.Server,
        port: int,
        nursery: trio.Nursery,
        backend: Backend,
    ) -> None:
        self.server = server
        self.port = port
        self.nursery = nursery
        self.backend = backend

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self.port}/"

    def connect(
        self, options: webwire.ClientOptions | None = None, **keywords: Any
    ) -> webwire.Connecting:
        """``async with world.connect() as client``."""
        return webwire.connect(self.url, options, backend=self.backend, **keywords)

    @asynccontextmanager
    async def raw(self, headers: bytes = b"", *, conf: bool = True) -> AsyncIterator[Raw]:
        """``async with world.raw() as raw``: upgraded, and its first message taken."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        async with stream:
            raw = await upgraded(stream, self.backend, headers)
            if conf:
                assert (await raw.answer())[0] == 23
            yield raw

    async def http(self, request: bytes) -> tuple[bytes, bytes]:
        """The head and the body of the answer to *request*, which is sent as it is."""
        received = bytearray()
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            await stream.send_all(request)
            await stream.send_eof()
            async for data in stream:
                received += data
        head, _, body = bytes(received).partition(b"\r\n\r\n")
        return head, body

    def only(self) -> webwire.Connection:
        """The one connection that there is."""
        [connection] = self.server.connections
        return connection

    def of(self, raw: Raw) -> webwire.Connection:
        """The server's end of *raw*."""
        assert isinstance(raw.stream, trio.SocketStream)
        port = raw.stream.socket.getsockname()[1]
        [found] = [
            connection
            for connection in self.server.connections
            if connection.remote_address == f"127.0.0.1:{port}"
        ]
        return found


async def upgraded(stream: trio.SocketStream, backend: Backend, headers: bytes = b"") -> Raw:
    """Have *stream* upgraded."""
    await stream.send_all(_HANDSHAKE % (b"127.0.0.1", headers))
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = await stream.receive_some(1)
        assert byte, f"not upgraded: {bytes(head)!r}"
        head += byte
    assert head.startswith(b"HTTP/1.1 101 "), bytes(head)
    return Raw(stream, backend, client=True)


@asynccontextmanager
async def serving(
    backend: Backend,
    prepare: Callable[[webwire.Server], object] = lambda _: None,
    *,
    store: SessionStore | None = None,
    keywords: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[World]:
    """A server that *prepare* has given its handlers; in the end it is cancelled.

    *keywords* go to ``serve``, *options* make its ServerOptions.
    """
    server = webwire.Server(webwire.ServerOptions(**options), store=store, backend=backend)
    prepare(server)
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(partial(server.serve, "127.0.0.1", 0, **(keywords or {})))
        yield World(server, listening.port, nursery, backend)
        nursery.cancel_scope.cancel()


def conf_message(
    *,
    major: int = 2,
    minor: int = 0,
    read_timeout_ms: int = 60_000,
    buffer_size: int = 8192,
    subprotocol: bytes = b"",
) -> bytes:
    """A server's first message."""
    return AcceptConf(major, minor, read_timeout_ms, buffer_size, subprotocol).encode()


@asynccontextmanager
async def scripted(
    backend: Backend, script: Callable[[websocket.WebSocket], Any]
) -> AsyncIterator[str]:
    """The URL of a server that does with each connection what *script* says, and no more."""
    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            partial(websocket.serve, script, "127.0.0.1", 0, backend=backend)
        )
        yield f"ws://127.0.0.1:{server.port}/"
        nursery.cancel_scope.cancel()


async def settle() -> None:
    """Wait until nothing moves any more, over sockets, too."""
    await trio.testing.wait_all_tasks_blocked(0.02)


# --- what many stories use ----------------------------------------------------------------------


def echo(server: webwire.Server) -> None:
    """Sends back what comes."""
    server.request(inline=True)(lambda request: request.payload)


async def lose_all(world: World) -> None:
    """All connections are lost, without a close frame."""
    for connection in world.server.connections:
        connection._pump.end(None)
    await settle()


async def let_be(ws: websocket.WebSocket) -> None:
    """Read until the client goes."""
    async for _ in ws:
        pass
