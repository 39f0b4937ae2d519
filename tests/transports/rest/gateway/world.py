"""A gateway under hypercorn, its publishers and its callers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import httpx2
import trio
from hypercorn.config import Config

from tests.transports.rest.world import AT_ONCE
from wirecore._backend import Backend
from wirecore_trio import rest
from wirecore_trio.rest.gateway import Gateway, Route
from wirecore_trio.rest.hypercorn import serve

#: Where it is opened: ``async with open_gateway(*routes, max_body_size=10) as world``.
OpenGateway: TypeAlias = Callable[..., AbstractAsyncContextManager["World"]]


class World:
    """A gateway that runs: *url* for its callers, *publish* and *caller* for both sides."""

    def __init__(self, gateway: Gateway, port: int, url: str, backend: Backend) -> None:
        self.gateway = gateway
        self.server = gateway.server
        self.url = url
        self._port = port
        self._backend = backend

    def publish(
        self, app: Any, metadata: Any, bounds: dict[str, Any] | None = None, **more: Any
    ) -> Any:
        """``async with world.publish(app, "name")``. *bounds*: options by their names."""
        options = rest.ClientOptions(retry=AT_ONCE, **(bounds or {}))
        url = f"ws://127.0.0.1:{self._port}/"
        return rest.connect(url, app, options, metadata=metadata, backend=self._backend, **more)

    def caller(self, **more: Any) -> httpx2.AsyncClient:
        """``async with world.caller() as http``."""
        return httpx2.AsyncClient(base_url=self.url, timeout=20, **more)


@asynccontextmanager
async def running(backend: Backend, *routes: Route, **more: Any) -> AsyncIterator[World]:
    """A gateway with *routes*, none: by names in paths; *more*: its other arguments."""
    tokens = more.get("tokens")
    hooks = {} if tokens is None else {"on_request": tokens.admit, "on_connection": tokens.welcome}
    server = rest.Server(backend=backend, **hooks)
    gateway = Gateway(server, routes or None, **more)
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.graceful_timeout = 0
    config.max_app_queue_size = 1  # messages that hypercorn reads ahead, each of up to 16 MiB
    async with trio.open_nursery() as nursery:
        bound = await nursery.start(server.serve, "127.0.0.1", 0)
        [url] = await nursery.start(partial(serve, gateway, config))
        yield World(gateway, bound.port, url, backend)
        nursery.cancel_scope.cancel()
