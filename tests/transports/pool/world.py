"""A pool and its providers, over sockets of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Protocol

import trio

from wirecore._backend import Backend as CodecBackend
from wirecore.errors import RpcError
from wirecore_trio import pool
from wirecore_trio.pool.backends import Backend

#: Passes of trio's loop that a connection is waited for.
_MOST_STEPS = 100_000


async def until(happened: Callable[[], bool], *, step: float = 0.01) -> None:
    """Wait until *happened*, which nobody tells of; it is looked at every *step* seconds.

    Each step takes real time, also where the clock jumps: give a longer one to long waits.
    """
    while not happened():  # noqa: ASYNC110
        await trio.sleep(step)


class Echo:
    """Gives back what it gets."""

    @pool.exported(inline=True)
    def text(self, value: str) -> str:
        return value

    @pool.exported(inline=True)
    def number(self, value: int) -> int:
        return value

    @pool.exported
    async def fail(self, text: str) -> str:
        raise RpcError(text)


class Worker:
    """Works on what it gets until it is told to go on; knows what it got."""

    def __init__(self, name: str = "worker") -> None:
        self.name = name
        self.begun: list[str] = []
        self.go_on = trio.Event()
        self._change = trio.Event()

    @pool.exported(inline=True)
    def who(self, _: str) -> str:
        return self.name

    @pool.exported
    async def work(self, job: str) -> str:
        self.begun.append(job)
        change, self._change = self._change, trio.Event()
        change.set()
        await self.go_on.wait()
        return f"{job} by {self.name}"

    async def wait_begun(self, count: int = 1) -> None:
        """Wait until so many jobs have been begun."""
        while len(self.begun) < count:
            await self._change.wait()


class World:
    """A pool that listens; its fields are for the stories."""

    def __init__(
        self,
        server: pool.PoolServer,
        port: int,
        nursery: trio.Nursery,
        backend: CodecBackend,
        stack: AsyncExitStack,
    ) -> None:
        self.server = server
        self.port = port
        self.nursery = nursery
        self.backend = backend
        self.stack = stack

    def url(self, path: str = "/pool") -> str:
        """The URL of *path*."""
        return f"ws://127.0.0.1:{self.port}{path}"

    def provider(self, *services: Any, **options: Any) -> pool.Provider:
        """A provider of *services*; *options* make its ProviderOptions."""
        made = pool.ProviderOptions(**options) if options else None
        return pool.Provider(*services, options=made, backend=self.backend)

    async def provide(
        self,
        *services: Any,
        path: str = "/pool",
        options: dict[str, Any] | None = None,
        **keywords: Any,
    ) -> pool.Serving:
        """A provider of *services* that is connected until the story ends."""
        known = len(self.server.providers)
        provider = self.provider(*services, **(options or {}))
        serving = provider.serve(self.url(path), wait=True, **keywords)
        entered = await self.stack.enter_async_context(serving)
        wanted = known + keywords.get("connections", 1)
        # The server is a few steps behind; a sleep would be longer than these.
        for _ in range(_MOST_STEPS):
            if len(self.server.providers) >= wanted:
                return entered
            await trio.lowlevel.checkpoint()
        raise AssertionError(f"{wanted} providers never came")

    async def http(self, path: str, *fields: str) -> tuple[str, bytes]:
        """The status line and the rest of the answer to a request for an upgrade at *path*."""
        head = (
            f"GET {path} HTTP/1.1",
            "Host: localhost",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            *fields,
            "\r\n",
        )
        received = bytearray()
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            await stream.send_all("\r\n".join(head).encode())
            await stream.send_eof()
            async for data in stream:
                received += data
        status, _, rest = bytes(received).partition(b"\r\n")
        return status.decode(), rest


class OpenPool(Protocol):
    """``async with open_pool(prepare, max_queue=5) as world``."""

    def __call__(
        self,
        prepare: Callable[[pool.PoolServer], object] = ...,
        *,
        keywords: dict[str, Any] | None = None,
        **options: Any,
    ) -> Any: ...


def default_path(server: pool.PoolServer) -> None:
    """Bind /pool for all calls."""
    server.bind("/pool")


@asynccontextmanager
async def serving(
    backend: CodecBackend,
    prepare: Callable[[pool.PoolServer], object] = default_path,
    *,
    keywords: dict[str, Any] | None = None,
    tokens: pool.Tokens | None = None,
    on_connection: Any = None,
    nodes: Backend | None = None,
    **options: Any,
) -> AsyncIterator[World]:
    """A pool that *prepare* has bound; in the end it is cancelled.

    *keywords* go to ``serve``, *options* make its PoolOptions; *nodes* joins it with others.
    """
    server = pool.PoolServer(
        pool.PoolOptions(**options),
        tokens=tokens,
        on_connection=on_connection,
        backend=nodes,
        codec_backend=backend,
    )
    prepare(server)
    async with trio.open_nursery() as nursery:
        start = partial(server.serve, "127.0.0.1", 0, **(keywords or {}))
        listening = await nursery.start(start)
        async with AsyncExitStack() as stack:
            yield World(server, listening.port, nursery, backend, stack)
        nursery.cancel_scope.cancel()
