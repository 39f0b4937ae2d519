"""gRPC in an asyncio program: its own server of grpc.aio, and trio in a thread for handlers."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Self

import grpc.aio
import trio

from wirecore import errors
from wirecore_trio._dispatch import DEFAULT_THREADS
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
        self._stop: trio.CancelScope
        self._token: trio.lowlevel.TrioToken
        self._opened: Future[Bridge] = Future()
        self._ended: Future[None] = Future()
        self._thread: threading.Thread | None = None

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
        if self._thread is not None:
            raise errors.InvalidState("this adapter was entered already: make a new one")
        self._thread = threading.Thread(target=self._in_thread, name="wirecore-grpc-trio")
        self._thread.start()
        self._bridge = await asyncio.wrap_future(self._opened)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._token.run_sync_soon(self._cancel)
        except trio.RunFinishedError:
            pass  # it has ended by itself, and tells below why
        # Cancelled here, the thread ends all the same: it was asked to.
        ended = asyncio.wrap_future(self._ended)
        await asyncio.wait([ended])
        assert self._thread is not None
        self._thread.join()  # it has said its last word
        ended.result()

    def _cancel(self) -> None:
        assert self._bridge is not None
        self._bridge.close()
        self._stop.cancel()

    def _in_thread(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:  # noqa: BLE001 - a thread's end: it is raised where one leaves
            failed = self._ended if self._opened.done() else self._opened
            failed.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            self._stop = nursery.cancel_scope
            self._opened.set_result(Bridge(nursery, self._bounds))
            await trio.sleep_forever()
