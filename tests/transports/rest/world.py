"""A server on loopback, its clients, applications for both, and a peer that isn't ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import trio

from tests.transports.conftest import RawPeer
from tests.transports.pool.world import until
from wirecore._backend import Backend
from wirecore.constants import Opcode
from wirecore.events import Ping
from wirecore.protocols.rest.handshake import ack_message, metadata_message
from wirecore_trio import rest, websocket
from wirecore_trio._listening import Listening

#: Where it is opened: ``async with open_server(app) as world``.
OpenServer: TypeAlias = Callable[..., AbstractAsyncContextManager["World"]]

AT_ONCE = rest.RetryPolicy(backoff=lambda: rest.Backoff(0.02, 1.0, 0.0, 0.02))

_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with method, path and body; knows no lifespan."""
    assert scope["type"] == "http"
    body = await read(receive)
    await answer(send, b"%b %b %b" % (scope["method"].encode(), scope["raw_path"], body))


async def read(receive: Any) -> bytes:
    """The whole body of a request."""
    body = b""
    while True:
        message: dict[str, Any] = await receive()
        assert message["type"] == "http.request", message
        body += bytes(message["body"])
        if not message["more_body"]:
            return body


async def answer(send: Any, body: bytes, status: int = 200) -> None:
    """A whole response."""
    fields = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def under_way(connection: rest.Connection | None) -> list[Any]:
    """The streams of what is asked over *connection* and isn't answered yet."""
    assert connection is not None
    wire: Any = connection._channel.wire
    return list(wire._ours.values())


class Parked:
    """An application whose requests are answered when the story says so."""

    def __init__(self) -> None:
        self.waiting: dict[str, trio.Event] = {}
        self.gone: list[str] = []
        self.cancelled: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        released = self.waiting[path] = trio.Event()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, path, receive)
                await released.wait()
                await answer(send, path.encode())
                nursery.cancel_scope.cancel()
        finally:
            if not released.is_set():
                self.cancelled.append(path)

    async def _watch(self, path: str, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.append(path)

    async def wait_for(self, *paths: str) -> None:
        """Wait until those requests have come."""
        await until(lambda: all(path in self.waiting for path in paths))


class Original(RawPeer):
    """A client that does nothing by itself, and is no peer of ours."""

    async def text(self, payload: bytes) -> None:
        """Send a text message."""
        await self.send(self.frame(Opcode.TEXT, payload))

    async def shake(self, metadata: Any = None) -> bytes:
        """Do the three messages; the second one."""
        await self.text(metadata_message(metadata))
        second = await self.next()
        await self.text(ack_message())
        assert isinstance(second, str)
        return second.encode()

    async def next(self) -> Any:
        """The next thing that came but pings, which the original doesn't answer between calls."""
        while isinstance(item := await super().next(), Ping):
            pass
        return item

    async def answer(self) -> bytes:
        """The next message."""
        item = await self.next()
        return item.encode() if isinstance(item, str) else bytes(item)


class World:
    """A running server."""

    def __init__(self, server: rest.Server, bound: Listening, backend: Backend) -> None:
        self.server = server
        self.bound = bound
        self.backend = backend

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.bound.port

    @property
    def url(self) -> str:
        """The same as a URL."""
        return f"ws://127.0.0.1:{self.port}/"

    def connect(self, app: Any = None, **more: Any) -> Any:
        """``async with world.connect(app, metadata=...) as client``; options by their names.

        It comes back at once.
        """
        own = {"metadata", "host", "wait", "root_path", "on_ping", "on_pong"}
        options = {name: more.pop(name) for name in [*more] if name not in own}
        options.setdefault("retry", AT_ONCE)
        return rest.connect(
            self.url, app, rest.ClientOptions(**options), backend=self.backend, **more
        )

    @asynccontextmanager
    async def original(self) -> AsyncIterator[Original]:
        """A peer that isn't ours, after the upgrade."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        async with stream:
            await stream.send_all(_HANDSHAKE % b"127.0.0.1")
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive_some(1)
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"sec-websocket-protocol" not in head.lower()
            yield Original(stream, self.backend, client=True)

    async def joined(self, count: int = 1) -> list[rest.Connection]:
        """The server's connections, once there are so many."""
        await until(lambda: len(self.server.connections) == count)
        return self.server.connections


@asynccontextmanager
async def serving(backend: Backend, app: Any = None, **more: Any) -> AsyncIterator[World]:
    """A server of *app*; its options, and what else it takes, by their names."""
    own = {"on_connection", "on_request", "on_ping", "on_pong", "root_path"}
    given = {name: more.pop(name) for name in [*more] if name in own}
    server = rest.Server(app, rest.Options(**more), backend=backend, **given)
    async with trio.open_nursery() as nursery:
        bound = await nursery.start(server.serve, "127.0.0.1", 0)
        yield World(server, bound, backend)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def original_server(backend: Backend) -> AsyncIterator[tuple[str, Any]]:
    """A server that isn't ours: its URL, and where its connections come from, one for each call."""
    send, receive = trio.open_memory_channel[websocket.WebSocket](10)

    async def attend(ws: websocket.WebSocket) -> None:
        await send.send(ws)
        await ws.wait_closed()

    async with trio.open_nursery() as nursery:
        bound = await nursery.start(websocket.serve, attend, "127.0.0.1", 0)
        yield f"ws://127.0.0.1:{bound.port}/", receive.receive
        nursery.cancel_scope.cancel()
