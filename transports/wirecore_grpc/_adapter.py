"""gRPC in an asyncio program: its own server of grpc.aio, and trio in a thread for handlers."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import grpc.aio
import trio

from wirecore import errors
from wirecore_trio._dispatch import DEFAULT_THREADS
from wirecore_trio.portal import AsyncioPortal
from wirecore_trio.wsrpc import Service

from ._bridge import Bounds, Bridge
from ._serving import GrpcServing, Services


class Adapter(GrpcServing):
    """Gives services to *server*, and their handlers a trio run: ``async with``, once.

    For asyncio programs; one on trio has :class:`~wirecore_grpc.Server`. Register services within
    the block and before ``server.start()``; stop the server before the block ends, as handlers
    that still run are cancelled then. *max_handlers*, *max_threads* and *handler_timeout* are
    those of :class:`~wirecore_grpc.Server`. Leaving waits for trio's thread, and raises what ended
    its run if something did.
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        *,
        max_handlers: int = 4096,
        max_threads: int = DEFAULT_THREADS,
        handler_timeout: float | None = None,
    ) -> None:
        self._server = server
        self._bounds = Bounds(max_handlers, max_threads, handler_timeout)
        self._services = Services()
        self._bridge: Bridge | None = None
        self._portal: AsyncioPortal | None = None

    @property
    def server(self) -> grpc.aio.Server:
        """The server that this adapts to."""
        return self._server

    def register(self, name: str, service: Service, *, inline: bool = False) -> None:
        if self._bridge is None:
            raise errors.InvalidState(
                "register within async with Adapter(server) as adapter, where handlers can run"
            )
        self._services.add(name, service, inline=inline)
        self._server.add_generic_rpc_handlers((self._services.handler(name, self._bridge),))

    async def __aenter__(self) -> Self:
        if self._portal is not None:
            raise errors.InvalidState("this adapter was entered already: make a new one")
        self._portal = AsyncioPortal()
        await self._portal.__aenter__()
        self._bridge = await self._portal.start(self._serve)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._portal is not None
        await self._portal.__aexit__(kind, error, traceback)

    async def _serve(self, *, task_status: trio.TaskStatus[Bridge]) -> None:
        """Run handlers, until the portal is left."""
        async with trio.open_nursery() as nursery:
            bridge = Bridge(nursery, self._bounds)
            task_status.started(bridge)
            try:
                await trio.sleep_forever()
            finally:
                bridge.close()
