"""The server: who is connected, what serves them, what calls them, and how it stops."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import trio

from wirecore import errors
from wirecore.protocols.rest.handshake import PROTOCOL
from wirecore.session.limits import check_at_least
from wirecore.websocket import Request as HttpRequest
from wirecore.websocket import Response as HttpResponse

from .._arguments import require_async, require_known, require_seconds, require_type
from .._errors import alone, require_trio
from .._listening import Listening
from .._meter import page_of
from .._network import AnyListener
from .._serving_health import ServesHealth
from .._serving_metrics import ServesMetrics
from ..websocket._accepting import ServeKeywords, Serving
from ..websocket._upgrading import Accept, OnRequest
from ._accepting import Bound
from ._asgi import AsgiHandler
from ._connection import Connection, ControlHook, OnConnection
from ._events import Events, Kind, Listener
from ._lifespan import Lifespan
from ._metered import RestMeter
from ._options import Options
from ._registry import Registry

if TYPE_CHECKING:
    from wirecore._backend import Backend

    from ._asgi_types import App

logger = logging.getLogger("wirecore.rest")

_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)


class Server(ServesHealth, ServesMetrics):
    """A server of REST over WebSocket; :meth:`serve` has it listen.

    *app*: an application of ASGI 3.0 that answers what clients request; None: this end calls them,
    or *on_connection* has one serve. *on_connection*: an async function that gets each
    :class:`Connection` once its handshake is through, in a task of its own; what it raises is
    logged, and closes the connection. *on_request*: as ``wirecore_trio.websocket.serve`` has it:
    asked with each HTTP request, may refuse it. *on_ping*, *on_pong*: get the connection and the
    payload of each ping in place of an answer, and of each pong. *root_path*: of the application's
    scopes. *options*: see :class:`Options`. *metrics*: whether what is served is counted, for
    :meth:`metrics` and :meth:`serve_metrics`. *backend*: the codec, for tests.

    Raises TypeError for arguments of other types.
    """

    def __init__(
        self,
        app: App | None = None,
        options: Options | None = None,
        *,
        on_connection: OnConnection | None = None,
        on_request: OnRequest | None = None,
        on_ping: ControlHook | None = None,
        on_pong: ControlHook | None = None,
        root_path: str = "",
        metrics: bool = False,
        backend: Backend | None = None,
    ) -> None:
        require_type("metrics", metrics, bool)
        require_type("options", options, Options, optional=True)
        require_async("app", app, "scope", "receive", "send", optional=True)
        require_async("on_request", on_request, "request", optional=True)
        require_async("on_connection", on_connection, "connection", optional=True)
        self.options = options or Options()
        self.on_ping = on_ping
        self.on_pong = on_pong
        self._app = app
        self._root_path = root_path
        self._handler: AsgiHandler | None = None
        self._on_connection = on_connection
        self._on_request = on_request
        self._backend = backend
        self._meter = RestMeter() if metrics else None
        self._registry = Registry()
        self._events = Events()
        self._bound: list[Bound] = []
        self._stopping = False
        self._closed = trio.Event()

    def __repr__(self) -> str:
        return f"<rest.Server of {len(self._registry)} connections>"

    # --- who is connected -----------------------------------------------------------------------

    @property
    def connections(self) -> list[Connection]:
        """The open connections, oldest first."""
        return self._registry.all()

    def connection(self, connection_id: str) -> Connection | None:
        """The connection of this id; None where there is none."""
        return self._registry.get(connection_id)

    def find(self, metadata: Any) -> list[Connection]:
        """The connections whose clients gave just this metadata, oldest first."""
        return self._registry.with_metadata(metadata)

    def events(self) -> Listener:
        """What happens to connections from now on, for ``async for``."""
        return self._events.listen()

    def _joined(self, bound: Bound, connection: Connection) -> None:
        self._registry.add(connection)
        logger.info("%r is there", connection)
        self._events.tell(Kind.RECEIVED, connection)
        if self._handler is not None:
            connection._serve_with(self._handler)
        if self._on_connection is not None:
            bound.start_soon(self._welcome, self._on_connection, connection)

    async def _welcome(self, on_connection: OnConnection, connection: Connection) -> None:
        try:
            await on_connection(connection)
        except Exception:
            if connection.closed:
                logger.info("on_connection of %r ended with its connection", connection)
            else:
                logger.exception("on_connection failed, and %r is closed", connection)
                connection._channel.close()

    def _left(self, connection: Connection) -> None:
        if self._registry.remove(connection):
            error = connection.error
            logger.info("%r is gone", connection)
            kind = Kind.CLOSED if error is None else Kind.FAILED
            self._events.tell(kind, connection, clean=bool(getattr(error, "clean", False)))

    # --- serving --------------------------------------------------------------------------------

    @property
    def draining(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    async def serve(
        self,
        host: str | None = None,
        port: int = 0,
        *,
        task_status: trio.TaskStatus[Listening] = trio.TASK_STATUS_IGNORED,
        **keywords: Unpack[ServeKeywords],
    ) -> None:
        """Listen on *host* and *port* (0: a free one), and serve.

        *unix_path*, *listeners*, *ssl_context*, *origins*, *max_connections* and *max_handshakes*
        are as :func:`wirecore_trio.websocket.serve` has them; *check_origin* says, in place of
        *origins*, whether a request from a browser may pass; without either, its Origin must be the
        Host.

        ``task_status`` gives a ``Listening``, once the application has started up. Returns after
        :meth:`drain`. Cancelled, it sends every client a close frame, waits for nothing, and
        cancels what runs. Raises OSError where it can't listen, LifespanFailed where the
        application fails to start, InvalidState where the server runs or has ended.
        """
        require_trio()
        require_known("serve", keywords, ServeKeywords.__optional_keys__)
        if self._stopping or self._bound:
            what = "was shut down: make a new one" if self._stopping else "serves already"
            raise errors.InvalidState(f"this server {what}")
        serving = Serving(
            host,
            port,
            on_request=self._answer,
            subprotocols=(PROTOCOL,),
            options=self.options.websocket(),
            backend=self._backend,
            **keywords,
        )
        listeners = await serving.listen()
        if self._closed.is_set():
            self._closed = trio.Event()
        try:
            with alone():
                if self._app is None:
                    await self._accept(serving, listeners, task_status)
                else:
                    async with Lifespan(self._app) as lifespan:
                        self._handler = AsgiHandler(
                            self._app,
                            root_path=self._root_path,
                            state=lifespan.state,
                            max_message_size=self.options.max_message_size,
                        )
                        await self._accept(serving, listeners, task_status)
        finally:
            for listener in listeners:
                listener.close()
            self._events.end()
            self._closed.set()

    async def _accept(
        self,
        serving: Serving,
        listeners: Sequence[AnyListener],
        task_status: trio.TaskStatus[Listening],
    ) -> None:
        bound = None
        try:
            async with trio.open_nursery() as nursery:
                bound = Bound(self, serving, listeners, nursery)
                if self._meter is not None:
                    bound.count(self._meter.accepting)
                self._bound.append(bound)
                task_status.started(bound)
                await bound.run()
                nursery.cancel_scope.cancel()  # the workers have nobody to work for
        finally:
            if bound is not None:
                self._bound.remove(bound)

    async def _answer(self, request: HttpRequest) -> HttpResponse | Accept | None:
        if self._stopping:
            return HttpResponse(503, _TEXT, b"the server is shutting down\n")
        if self._on_request is None:
            return None
        return await self._on_request(request)

    # --- stopping -------------------------------------------------------------------------------

    async def drain(self, grace: float | None = 30.0) -> None:
        """Stop in good order.

        No new connection is taken, and peers of ours are told that no more requests are wanted.
        Each connection closes when the requests that are being served on it are answered. After
        *grace* seconds (None: never) what is left is cancelled.
        """
        require_seconds("grace", grace)
        if grace is not None:
            check_at_least("grace", grace, 0)
        self._stopping = True
        for bound in list(self._bound):
            await bound.drain(grace)
        if self._bound:
            await self._closed.wait()

    async def wait_closed(self) -> None:
        """Wait until the server has ended, its application too."""
        await self._closed.wait()

    def metrics(self) -> str:
        """Connections, and requests that were served, as OpenMetrics text.

        Raises InvalidState where the server was made without *metrics*.
        """
        return page_of(self._meter, len(self._registry))

    def _why_not_ready(self) -> str:
        if self._stopping:
            return "draining"
        return "" if self._bound else "not listening"
