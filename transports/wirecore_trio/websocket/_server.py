"""Serving: accept, upgrade, run a handler for each connection, drain."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.session.limits import check_at_least
from wirecore.websocket import Request, Response, ServerHandshake, origin_problem
from wirecore.websocket.handshake import HANDSHAKE_FIELDS
from wirecore.websocket.http import UserFields, check_fields, header_fields

from .._arguments import kind_of, require_async, require_int, require_type, require_words
from .._dial import deadline_after, fail_after, secure_server
from .._errors import ConnectionClosed, alone, require_trio, unwrapped
from .._link import Link, SocketLink, link_for
from .._listeners import open_listeners
from .._listening import Listening
from .._serve import MAX_HANDSHAKES, Acceptor
from .._upgrade import linger, receive_request, send_all
from ._connection import WebSocket
from ._options import Options

if TYPE_CHECKING:
    from wirecore._backend import Backend

logger = logging.getLogger("wirecore.websocket")

Handler: TypeAlias = Callable[[WebSocket], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Accept:
    """What an ``on_request`` hook returns to choose the headers or the subprotocol itself.

    *headers*: (name, value) pairs, or a mapping. Raises TypeError for other types, InvalidOption
    for headers that can't be sent.
    """

    headers: UserFields = field(default=(), repr=False)  # cookies are among them
    subprotocol: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", header_fields("headers", self.headers))
        check_fields(self.headers, HANDSHAKE_FIELDS)
        require_type("subprotocol", self.subprotocol, str, optional=True)


#: Asked for every HTTP request: a Response is sent instead of the upgrade (also to a request
#: that is none, like a health check), an Accept takes part in it, None leaves it to the server.
OnRequest: TypeAlias = Callable[[Request], Awaitable[Response | Accept | None]]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Upgrading:
    """How a server answers upgrade requests; see :func:`serve` for the fields."""

    subprotocols: Sequence[str] = ()
    origins: Collection[str] | None = None
    on_request: OnRequest | None = None
    options: Options = field(default_factory=Options)
    backend: Backend | None = None

    def __post_init__(self) -> None:
        require_words("subprotocols", self.subprotocols)
        if self.origins is not None:
            require_words("origins", self.origins)
        require_async("on_request", self.on_request, "request", optional=True)
        require_type("options", self.options, Options)

    async def upgrade(self, link: Link) -> WebSocket | None:
        """The HTTP part over *link*; None where it ended with an ordinary answer.

        Raises HandshakeError, trio.BrokenResourceError, and what the hook raises.
        """
        handshake = ServerHandshake()
        request = await receive_request(link, handshake)
        if request is None:
            return None
        answer = await self._ask(request)
        if isinstance(answer, Accept):
            try:
                head = handshake.accept(
                    subprotocol=answer.subprotocol or self._choose(request),
                    headers=answer.headers,
                    compression=self.options.compression,
                )
            except errors.InvalidOption:
                logger.exception("on_request accepted with what can't be sent: answered with 500")
                answer = Response(500)
            else:
                await send_all(link, head)
                return self._open(link, handshake, request)
        await send_all(link, handshake.respond(answer))
        await linger(link)
        return None

    async def _ask(self, request: Request) -> Response | Accept:
        answer: Response | Accept | None = None
        if self.on_request is not None:
            try:
                running = self.on_request(request)
                if not isinstance(running, Awaitable):
                    raise TypeError(f"on_request must be async: it returned {kind_of(running)}")
                answer = await running
                if not isinstance(answer, Response | Accept | None):
                    wanted = "Response, Accept or None"
                    raise TypeError(f"on_request must return {wanted}, not {kind_of(answer)}")
            except Exception:
                logger.exception("on_request failed; the request is answered with 500")
                return Response(500)
        if isinstance(answer, Response):
            return answer
        refusal = request.problem or origin_problem(request, self.origins)
        return refusal or answer or Accept()

    def _open(self, link: Link, handshake: ServerHandshake, request: Request) -> WebSocket:
        return WebSocket(
            link,
            client=False,
            accepted=handshake.accepted,
            options=self.options,
            request=request,
            leftover=handshake.leftover,
            backend=self.backend,
        )

    def _choose(self, request: Request) -> str | None:
        return next((name for name in self.subprotocols if name in request.subprotocols), None)


class Server(Listening):
    """A running server; :func:`serve` gives it to ``task_status``."""

    def __init__(
        self,
        handler: Handler,
        listeners: Sequence[socket.socket],
        upgrading: Upgrading,
        *,
        ssl_context: ssl.SSLContext | None,
        max_connections: int,
        max_handshakes: int,
    ) -> None:
        self._handler = handler
        self._upgrading = upgrading
        self._ssl_context = ssl_context
        #: The open connections.
        self.connections: set[WebSocket] = set()
        self._closed = trio.Event()
        super().__init__(
            Acceptor(
                listeners,
                self._connected,
                max_connections=max_connections,
                max_handshakes=max_handshakes,
                plain=ssl_context is None,
            )
        )

    @property
    def draining(self) -> bool:
        """Whether the server takes no new connections any more."""
        return not self._acceptor.accepting

    async def run(self) -> None:
        """Serve until :meth:`drain` is through. Cancelled, it closes all with 1001."""
        try:
            await self._acceptor.run()
        finally:
            self._closed.set()

    async def wait_closed(self) -> None:
        """Wait until the server has ended, its last connection too."""
        await self._closed.wait()

    async def drain(self, grace: float | None = 30.0) -> None:
        """Stop in good order, and return when the last handler has returned.

        No new connection is taken. A connection is closed with 1001 as soon as its handler
        asks for a message and none is queued, so that a handler in the middle of its work
        finishes it. After *grace* seconds (None: never) what is left is cancelled.
        """
        self._acceptor.stop_accepting()
        for websocket in list(self.connections):
            websocket.drain()
        with trio.move_on_after(float("inf") if grace is None else grace) as scope:
            await self._acceptor.wait_idle()
        if scope.cancelled_caught:
            self._acceptor.cancel_connections()
            await self._acceptor.wait_idle()

    async def _connected(self, sock: socket.socket) -> Awaitable[None] | None:
        link: Link = SocketLink(sock)
        websocket = None
        try:
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Asked for now, as a socket knows no peer any more once it is closed.
            peer = _peer(sock)
            websocket = await self._open(sock, link, peer)
            if websocket is None:
                return None
            self._acceptor.opened(sock)
            return self._run_handler(websocket, peer)
        finally:
            if websocket is None:
                link.close()

    async def _open(self, sock: socket.socket, link: Link, peer: str) -> WebSocket | None:
        """TLS and upgrade over *link* to *peer*; None where nothing comes of it."""
        # Not in the caller's frame, which lives as long as the connection.
        websocket = None
        timeout = self._upgrading.options.open_timeout
        with trio.CancelScope(deadline=deadline_after(timeout)) as scope:
            try:
                await link.wait_readable()  # nothing is made for who sends nothing
                self._acceptor.heard(sock)
                if self._ssl_context is not None:
                    link = await secure_server(link, self._ssl_context)
                websocket = await self._upgrading.upgrade(link)
            except (errors.RemoteError, trio.BrokenResourceError) as error:
                logger.info("a connection from %s wasn't opened: %s", peer, error)
        if scope.cancelled_caught:
            logger.info("a connection from %s wasn't opened within %s s", peer, timeout)
        if websocket is None:
            link.close()  # TLS says goodbye here
        return websocket

    async def _run_handler(self, websocket: WebSocket, peer: str) -> None:
        self.connections.add(websocket)
        if self.draining:
            websocket.drain()
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


def _peer(sock: socket.socket) -> str:
    """The peer's address, for logs."""
    try:
        peer = sock.getpeername()
    except OSError:
        peer = None  # it is gone already
    if not isinstance(peer, tuple):
        return str(peer or "a peer without an address")
    host, port = peer[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
    upgrade, say to a health check or for a refusal (``Response(401)``); an :class:`Accept`,
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
    require_type("host", host, str, optional=True, hint="the port comes behind it")
    require_type("ssl_context", ssl_context, ssl.SSLContext, optional=True)
    if ssl_context is not None and ssl_context.protocol is ssl.PROTOCOL_TLS_CLIENT:
        raise errors.InvalidOption(
            "ssl_context is a client's: make it with "
            "ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)"
        )
    for name, number in (
        ("port", port),
        ("max_connections", max_connections),
        ("max_handshakes", max_handshakes),
    ):
        require_int(name, number)
    check_at_least("max_connections", max_connections, 1)
    check_at_least("max_handshakes", max_handshakes, 1)
    if listeners is not None and (host is not None or unix_path is not None):
        raise errors.InvalidOption("give either a host, unix_path= or listeners=, not two of them")
    upgrading = Upgrading(
        subprotocols=subprotocols,
        origins=origins,
        on_request=on_request,
        options=Options() if options is None else options,
        backend=backend,
    )
    if listeners is None:
        listeners = await open_listeners(host, port, unix_path=unix_path)
    server = Server(
        handler,
        listeners,
        upgrading,
        ssl_context=ssl_context,
        max_connections=max_connections,
        max_handshakes=max_handshakes,
    )
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
    websocket = None
    try:
        with fail_after(upgrading.options.open_timeout, "no upgrade request"):
            websocket = await upgrading.upgrade(link)
    finally:
        if websocket is None:
            link.close()
    return websocket
