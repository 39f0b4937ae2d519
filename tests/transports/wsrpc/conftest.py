"""Two ways to have both ends of wsrpc in one test: over memory, and over real sockets and TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
import trio
import trio.testing

from wirecore._backend import Backend
from wirecore_trio import wsrpc
from wirecore_trio._dispatch import Workers
from wirecore_trio._link import StreamLink
from wirecore_trio.tls import load_private_key, public_key_of
from wirecore_trio.wsrpc._channel import Channel
from wirecore_trio.wsrpc._registry import Registry
from wirecore_trio.wsrpc._upgrade import make_session

MemoryStream: TypeAlias = trio.StapledStream[
    trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream
]

SERVER, ALICE, BOB, CHARLIE = (bytes([number]) * 32 for number in (1, 2, 3, 4))


def public(private_key: bytes) -> bytes:
    return public_key_of(load_private_key(private_key))


@dataclass
class Pair:
    """Two channels that are each other's peers, without TLS, over memory."""

    client: Channel
    server: Channel
    client_methods: Registry
    server_methods: Registry
    client_stream: MemoryStream
    server_stream: MemoryStream


@pytest.fixture
def open_pair(backend: Backend) -> Callable[..., Any]:
    """``async with open_pair(server=Options(), client=Options()) as pair``."""

    @asynccontextmanager
    async def opener(
        *, client: wsrpc.Options | None = None, server: wsrpc.Options | None = None
    ) -> AsyncIterator[Pair]:
        streams = trio.testing.memory_stream_pair()
        registries = (Registry(), Registry())
        async with trio.open_nursery() as nursery:
            channels = [
                Channel(
                    StreamLink(stream),
                    make_session(client=is_client, options=options, backend=backend),
                    public_key=key,
                    registry=registry,
                    workers=Workers(nursery),
                    options=options,
                )
                for stream, is_client, options, key, registry in (
                    (streams[0], True, client or wsrpc.Options(), b"S" * 32, registries[0]),
                    (streams[1], False, server or wsrpc.Options(), b"C" * 32, registries[1]),
                )
            ]
            for channel in channels:
                nursery.start_soon(channel.run)
            yield Pair(channels[0], channels[1], *registries, *streams)
            for channel in channels:
                channel.close()
            nursery.cancel_scope.cancel()

    return opener


@dataclass
class World:
    """A running server, and what is needed to dial it."""

    server: wsrpc.Server
    credentials: wsrpc.ServerCredentials
    port: int
    nursery: trio.Nursery
    backend: Backend

    def connect(
        self, key: bytes = ALICE, server_key: bytes = SERVER, **arguments: Any
    ) -> wsrpc.Connecting:
        return wsrpc.connect(
            f"127.0.0.1:{self.port}",
            wsrpc.ClientCredentials(key, public(server_key)),
            backend=self.backend,
            **arguments,
        )


@pytest.fixture
def open_world(backend: Backend) -> Callable[..., Any]:
    """``async with open_world() as world``: a server that lets in Alice and Bob."""

    @asynccontextmanager
    async def opener(
        *, prepare: Callable[[wsrpc.Server], object] = lambda _: None, **arguments: Any
    ) -> AsyncIterator[World]:
        credentials = wsrpc.ServerCredentials(SERVER, [public(ALICE), public(BOB)])
        server = wsrpc.Server(credentials, backend=backend, **arguments)
        prepare(server)
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            yield World(server, credentials, listening.port, nursery, backend)
            await server.aclose()
            nursery.cancel_scope.cancel()

    return opener


@pytest.fixture
def run() -> Callable[..., Any]:
    """Run an async function: with a clock that jumps where ``autojump`` is asked for."""

    def runner(main: Callable[[], Awaitable[Any]], *, autojump: bool = False) -> Any:
        async def bounded() -> Any:
            with trio.fail_after(10_000 if autojump else 20):
                return await main()

        clock = trio.testing.MockClock(autojump_threshold=0) if autojump else None
        return trio.run(bounded, clock=clock)

    return runner
