"""gRPC in a trio program: grpc.aio on a loop in a thread, the handlers in the program's run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import trio

from wirecore import errors
from wirecore.session.limits import check_at_least
from wirecore_trio._arguments import require_seconds, require_type
from wirecore_trio._dispatch import DEFAULT_THREADS
from wirecore_trio._errors import alone, require_trio
from wirecore_trio.wsrpc import Service

from ._bridge import Bounds, Bridge
from ._serving import GrpcServing, Services
from ._stopping import Stopping


@dataclass(frozen=True, slots=True)
class Listening:
    """A server that listens; ``task_status`` of :meth:`Server.serve` gives it.

    *port* is the bound TCP port; of a Unix socket it says nothing.
    """

    address: str
    port: int


class Server(GrpcServing):
    """Serves services over gRPC from a trio program, all handlers in the program's own run.

    The same object may be served over wsrpc at the same time. *interceptors* and *options* are
    those of ``grpc.aio.server``; the interceptors run on gRPC's loop, which is another thread's.
    *max_handlers*: requests that are handled at once; one more is answered with
    RESOURCE_EXHAUSTED. *max_threads*: plain handlers that run at once, in threads.
    *handler_timeout*: seconds until a handler is cancelled; None: as long as its client waits.
    Raises TypeError and InvalidOption for values that make no sense.
    """

    def __init__(
        self,
        *,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        options: Sequence[tuple[str, Any]] = (),
        max_handlers: int = 4096,
        max_threads: int = DEFAULT_THREADS,
        handler_timeout: float | None = None,
    ) -> None:
        self._interceptors = tuple(interceptors)
        self._options = tuple(options)
        self._bounds = Bounds(max_handlers, max_threads, handler_timeout)
        self._services = Services()
        self._stopping = Stopping()
        self._begun = False
        self._closed = False
        self._ended = trio.Event()

    def register(self, name: str, service: Service, *, inline: bool = False) -> None:
        if self._begun:
            raise errors.InvalidState("a gRPC server takes no service once it has started")
        self._services.add(name, service, inline=inline)

    async def serve(
        self,
        address: str,
        *,
        credentials: grpc.ServerCredentials | None = None,
        task_status: trio.TaskStatus[Listening] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen on *address*, as gRPC writes it (``"127.0.0.1:0"``, ``"unix:/run/x"``), and serve.

        Without *credentials*, which ``grpc.ssl_server_credentials`` makes, there is no TLS.
        ``task_status`` gives a :class:`Listening`. Returns after :meth:`aclose` or :meth:`drain`.
        Cancelled, it cancels all calls. Raises OSError where it can't listen, InvalidState the
        second time.
        """
        require_trio()
        require_type("address", address, str)
        if self._begun or self._closed:
            raise errors.InvalidState("a gRPC server serves once: make a new one")
        self._begun = True
        try:
            with alone():
                await self._serve(address, credentials, task_status)
        finally:
            self._closed = True
            self._ended.set()

    async def _serve(
        self,
        address: str,
        credentials: grpc.ServerCredentials | None,
        task_status: trio.TaskStatus[Listening],
    ) -> None:
        async with trio.open_nursery() as nursery:
            bridge = Bridge(nursery, self._bounds)
            loop = _Loop(self, address, credentials, bridge)
            nursery.start_soon(loop.run)
            try:
                task_status.started(Listening(address, await loop.wait_started()))
                await loop.ended.wait()
            finally:
                # The thread ends by itself, and the nursery waits for that.
                self._stopping.ask(None)
                bridge.close()
            # The workers have nobody to work for.
            nursery.cancel_scope.cancel()

    async def drain(self, grace: float | None = 30.0) -> None:
        """Stop in good order: no new call, running ones finish, after *grace* seconds are cut.

        None: they have all the time. Raises InvalidOption for a *grace* below 0.
        """
        require_seconds("grace", grace)
        if grace is not None:
            check_at_least("grace", grace, 0)
        await self._stop(_FOR_EVER if grace is None else grace)

    async def aclose(self) -> None:
        """Cancel all calls and stop listening, and wait until that is done."""
        await self._stop(None)

    async def wait_closed(self) -> None:
        """Wait until :meth:`aclose` or :meth:`drain` is through, or :meth:`serve` has ended."""
        await self._ended.wait()

    async def _stop(self, grace: float | None) -> None:
        self._closed = True
        if self._begun:
            self._stopping.ask(grace)
        else:
            self._ended.set()
        await self._ended.wait()


#: gRPC's None is no time at all, so that for ever needs a number: ten years of seconds.
_FOR_EVER = 10 * 365 * 86400.0


class _Loop:
    """An asyncio loop in a thread of its own, for as long as the server runs."""

    def __init__(
        self,
        server: Server,
        address: str,
        credentials: grpc.ServerCredentials | None,
        bridge: Bridge,
    ) -> None:
        self._server = server
        self._address = address
        self._credentials = credentials
        self._bridge = bridge
        self._token = trio.lowlevel.current_trio_token()
        self._port = 0
        self._started = trio.Event()
        self.ended = trio.Event()

    async def run(self) -> None:
        """Run the loop; raises what it raised. Cancelled, it still waits for the thread's end."""
        try:
            # A limiter of its own: name look-ups and others' threads go on beside it.
            await trio.to_thread.run_sync(self._in_thread, limiter=trio.CapacityLimiter(1))
        finally:
            self.ended.set()

    async def wait_started(self) -> int:
        """Wait until the server listens; the port."""
        await self._started.wait()
        return self._port

    def _in_thread(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        server = grpc.aio.server(
            interceptors=self._server._interceptors, options=self._server._options
        )
        server.add_generic_rpc_handlers(tuple(self._server._services.handlers(self._bridge)))
        try:
            self._port = _listen(server, self._address, self._credentials)
            await server.start()
            self._token.run_sync_soon(self._started.set)
            await self._server._stopping.run(server)
        finally:
            await server.stop(None)


def _listen(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None
) -> int:
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        # gRPC's own text for it names an environment variable, and no reason.
        raise OSError(
            f"gRPC can't listen on {address}: is it taken, or none of this machine?"
        ) from error
