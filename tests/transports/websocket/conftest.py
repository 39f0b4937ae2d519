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


# --- cancellation at every step -------------------------------------------------------------


class _CancelAfter(trio.abc.Instrument):
    def __init__(self, task: trio.lowlevel.Task, scope: trio.CancelScope, steps: int) -> None:
        self._task = task
        self._scope = scope
        self._left = steps

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._left -= 1
            if not self._left:
                self._scope.cancel()


async def every_step(
    operation: Callable[[], AbstractAsyncContextManager[Callable[[], Awaitable[Any]]]],
) -> int:
    """Run an operation again and again, cancelled after 0, 1, 2, ... steps of its task.

    *operation* is entered for each run: it prepares, yields what is to be cancelled, and looks
    afterwards whether all is as it should be. Ends with the run that needed fewer steps than
    it was given, and returns how many there were.
    """
    steps = 0
    while True:
        async with operation() as run:
            with trio.CancelScope() as scope:
                if not steps:
                    scope.cancel()
                instrument = _CancelAfter(trio.lowlevel.current_task(), scope, steps)
                trio.lowlevel.add_instrument(instrument)
                try:
                    await run()
                finally:
                    trio.lowlevel.remove_instrument(instrument)
        if not scope.cancel_called:
            return steps
        steps += 1


@pytest.fixture(name="every_step")
def every_step_fixture() -> Callable[..., Awaitable[int]]:
    """Cancel an operation at every await: ``steps = await every_step(operation)``."""
    return every_step
