"""Serving: accept, upgrade, run a handler for each connection, drain."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeAlias

import trio

from wirecore.constants import CloseCode

from .._arguments import kind_of, require_async, require_type
from .._dial import fail_after
from .._errors import ConnectionClosed, alone, require_trio, unwrapped
from .._link import link_for
from .._network import AnyListener
from .._serve import MAX_HANDSHAKES
from ._accepting import Accepting, Serving
from ._connection import WebSocket, websocket_of
from ._opened import Upgraded
from ._options import Options
from ._upgrading import OnRequest, Upgrading

if TYPE_CHECKING:
    from wirecore._backend import Backend

logger = logging.getLogger("wirecore.websocket")

#: What a server runs for each connection, which it closes when this returns.
Handler: TypeAlias = Callable[[WebSocket], Awaitable[None]]


class Server(Accepting[WebSocket]):
    """A running server; :func:`serve` gives it to ``task_status``."""

    def __init__(
        self, handler: Handler, serving: Serving, listeners: Sequence[AnyListener]
    ) -> None:
        super().__init__(serving, listeners)
        self._handler = handler

    def _begin(self, upgraded: Upgraded, peer: str) -> WebSocket:
        return websocket_of(upgraded)

    async def _attend(self, websocket: WebSocket, peer: str) -> None:
        try:
            # By except* as handlers have nurseries, and so raise groups.
            try:
                running = self._handler(websocket)
                if not isinstance(running, Awaitable):
                    raise TypeError(f"the handler must be async: it returned {kind_of(running)}")
                await running
            except* Exception as group:
                # The loss of another connection, say a proxy's upstream, is a failure too.
                if websocket.sendable or group.split(ConnectionClosed)[1] is not None:
                    logger.error(
                        "a handler failed (%s); its connection is closed with 1011",
                        _name(websocket, peer),
                        exc_info=unwrapped(group),
                    )
                    websocket.abort(CloseCode.INTERNAL_ERROR)
                else:
                    logger.debug(
                        "a handler ended with its connection (%s): %r",
                        _name(websocket, peer),
                        group.exceptions,
                    )
            await websocket.aclose()
        except* trio.Cancelled:
            websocket.abort(CloseCode.GOING_AWAY)
            raise
        finally:
            websocket.abort()
            self.connections.discard(websocket)


def _name(websocket: WebSocket, peer: str) -> str:
    """A connection's name for logs: without the query, which may be secret."""
    path = "" if websocket.request is None else websocket.request.path
    return f"{path} from {peer}"


async def serve(
    handler: Handler,
    host: str | None = None,
    port: int = 0,
    *,
    unix_path: str | None = None,
    listeners: Sequence[socket.socket] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    subprotocols: Sequence[str] = (),
    origins: Collection[str] | None = None,
    on_request: OnRequest | None = None,
    max_connections: int = 100_000,
    max_handshakes: int = MAX_HANDSHAKES,
    options: Options | None = None,
    backend: Backend | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve WebSockets: ``server = await nursery.start(serve, handler, "127.0.0.1", 8000)``.

    ``nursery.start`` passes on no keyword arguments; bind them first::

        start = functools.partial(serve, handler, "127.0.0.1", 8000, ssl_context=context)
        server = await nursery.start(start)

    *handler* is called with each open connection, in a task of its own; when it returns, the
    connection is closed with 1000. What it raises is logged, and closes it with 1011; it ends
    quietly with its connection.

    Listens on *host* and *port* (None: all interfaces; 0: a free port, see ``server.port``), or
    at *unix_path*, or on *listeners* that are bound already. *ssl_context* makes it ``wss``.
    *subprotocols*: what the server speaks, the one it likes best first. *origins*: values
    of Origin that are let in besides the server's own host and requests without one.
    *on_request*: an async function that is called with every HTTP request (a ``Request``)
    before anything else is decided. It returns a ``Response``, which is sent in place of the
    upgrade, say to a health check or for a refusal (``Response(401)``); an ``Accept``,
    which goes on with the upgrade with headers and subprotocol of its own, though only of a
    proper request from an origin that is let in; or None, which leaves all to the server.
    What it raises is logged and answered with 500.
    *max_connections*: one more is answered with 503. *max_handshakes*: so many of them may be
    anywhere before the end of TLS and upgrade; for one more, the oldest that has sent nothing yet
    is closed, or the new one refused in the same way where there is none.
    *options*: see :class:`Options`.

    ``task_status`` gives the :class:`Server`. Returns after ``server.drain()``; cancelled, it
    sends every peer a close frame (1001), waits for nothing and cancels the handlers. Raises
    OSError where it can't listen, TypeError and InvalidOption for wrong arguments.
    """
    require_trio()
    require_async("handler", handler, "ws")
    serving = Serving(
        host,
        port,
        unix_path=unix_path,
        listeners=listeners,
        ssl_context=ssl_context,
        subprotocols=subprotocols,
        origins=origins,
        on_request=on_request,
        max_connections=max_connections,
        max_handshakes=max_handshakes,
        options=Options() if options is None else options,
        backend=backend,
    )
    server = Server(handler, serving, await serving.listen())
    task_status.started(server)
    with alone():
        await server.run()


async def wrap_server(
    stream: trio.abc.Stream,
    *,
    subprotocols: Sequence[str] = (),
    origins: Collection[str] | None = None,
    on_request: OnRequest | None = None,
    options: Options | None = None,
    backend: Backend | None = None,
) -> WebSocket | None:
    """The server's side of a WebSocket over any ``trio.abc.Stream``, which it then owns.

    None where the request was answered otherwise (not an upgrade, or by the hook). Raises
    HandshakeError, trio.BrokenResourceError, TimeoutError; the stream is then closed.
    """
    require_type("stream", stream, trio.abc.Stream)
    upgrading = Upgrading(
        subprotocols=subprotocols,
        origins=origins,
        on_request=on_request,
        options=Options() if options is None else options,
        backend=backend,
    )
    link = link_for(stream)
    upgraded = None
    try:
        with fail_after(upgrading.options.open_timeout, "no upgrade request"):
            upgraded = await upgrading.upgrade(link)
    finally:
        if upgraded is None:
            link.close()
    return None if upgraded is None else websocket_of(upgraded)
