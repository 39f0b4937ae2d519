"""The server: its routes and hooks, who is connected, and how it stops."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Unpack

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.protocols.webwire import PROTOCOL, Sendable, ServerSession
from wirecore.session.limits import check_at_least
from wirecore.websocket import Request as HttpRequest
from wirecore.websocket import Response
from wirecore.websocket.http import FRAMING_FIELDS, UserFields, check_fields

from .._arguments import kind_of, require_int, require_known, require_seconds, require_type
from .._dispatch import Workers
from .._errors import alone, require_trio
from .._listening import Listening
from .._meter import page_of
from .._network import AnyListener
from .._serving_health import ServesHealth
from .._serving_metrics import ServesMetrics
from ..websocket._accepting import ServeKeywords, Serving
from ..websocket._upgrading import Accept
from ._accepting import Bound
from ._codecs import Codec
from ._connection import Connection
from ._hooks import Hook, Hookable, Hooks, call_hook, tell_hook
from ._metered import MeteredConnection, WebwireMeter
from ._options import ServerOptions
from ._rooms import Membership, Room, encode_signal, send_to_all
from ._routes import Decorator, Routes
from ._sessions import Sessions
from ._sharing import Sharing
from .stores._contract import SessionStore, SharedStore

if TYPE_CHECKING:
    from wirecore._backend import Backend

    from ..websocket._opened import Opened

logger = logging.getLogger("wirecore.webwire")

_TEXT: Final = (
    ("Content-Type", "text/plain; charset=utf-8"),
    ("X-Content-Type-Options", "nosniff"),
)


@dataclass(frozen=True, slots=True, init=False)
class Upgrade(Accept):
    """What ``before_upgrade`` returns to let a client in on terms of its own.

    *info*: what ``connection.info`` holds. *concurrency*: in place of the server's option.
    *headers* go with the answer, *subprotocol* is that of the WebSocket handshake. Raises
    TypeError for other types, InvalidOption for headers that can't be sent.
    """

    info: Mapping[Any, Any] = field(default_factory=dict)
    concurrency: int | None = None

    def __init__(
        self,
        info: Mapping[Any, Any] | None = None,
        *,
        concurrency: int | None = None,
        headers: UserFields = (),
        subprotocol: str | None = None,
    ) -> None:
        require_type("info", info, Mapping, optional=True)
        if concurrency is not None:
            require_int("concurrency", concurrency)
        object.__setattr__(self, "info", {} if info is None else info)
        object.__setattr__(self, "concurrency", concurrency)
        object.__setattr__(self, "headers", headers)
        object.__setattr__(self, "subprotocol", subprotocol)
        Accept.__post_init__(self)


#: The original answers 400 where this would be the better status.
_UPGRADE_REQUIRED: Final = 426
_REPLACED: Final = (b"sec-websocket-version", b"upgrade")


class Server(Hookable, ServesHealth, ServesMetrics):
    """A webwire server: handlers, hooks and sessions; :meth:`serve` has it listen.

    *options*: see :class:`ServerOptions`. *store*: where sessions are kept, None: they are
    disabled. *metrics*: whether requests are counted, for :meth:`metrics` and
    :meth:`serve_metrics`. *backend*: the codec, for tests.
    """

    def __init__(
        self,
        options: ServerOptions | None = None,
        *,
        store: SessionStore | None = None,
        metrics: bool = False,
        backend: Backend | None = None,
    ) -> None:
        require_type("options", options, ServerOptions, optional=True)
        require_type("metrics", metrics, bool)
        if isinstance(store, type):
            raise TypeError(f"store is the class {store.__name__}: give an instance of it")
        if store is not None and not isinstance(store, SessionStore):
            raise TypeError(f"store must be a SessionStore, not {kind_of(store)}")
        self.options = options or ServerOptions()
        self._backend = backend
        self._meter = WebwireMeter() if metrics else None
        self._hooks = Hooks()
        self._requests = Routes("request")
        self._signals = Routes("signal")
        self._sessions = Sessions(store, self._hooks, self.options.max_session_connections)
        self._sharing: Sharing | None = None
        if isinstance(store, SharedStore):
            self._sharing = Sharing(self, store, self._sessions)
        self._rooms: dict[str, Membership] = {}
        self._joined_rooms: dict[Connection, dict[Room, None]] = {}
        self._bound: list[Bound] = []
        self._stopping = False
        self._closed = trio.Event()

    def __repr__(self) -> str:
        return f"<webwire.Server of {len(self.connections)} connections>"

    # --- routes ---------------------------------------------------------------------------------

    def request(
        self,
        name: str | None = None,
        *,
        codec: Codec[Any] | None = None,
        reply: Codec[Any] | None = None,
        inline: bool = False,
    ) -> Decorator[Any]:
        """A decorator: requests called *name* are its function's, None: all that have no other.

        The function takes a :class:`Request` and returns the reply: ``str`` (UTF-8), bytes,
        Payload or None; it raises RequestError to refuse. ``async def`` runs in a task, ``def`` in
        a thread, or, with *inline*, in the reader, the fastest way, where it must never block.
        *codec*: how the payload becomes ``request.value``; what it can't read is refused as
        "INVALID_PAYLOAD". *reply*: how what is returned becomes a payload; None: by *codec*.

        Raises InvalidOption where *name* is taken, or no name; TypeError for another type.
        """
        return self._requests.add(name, codec, reply or codec, inline)

    def signal(
        self, name: str | None = None, *, codec: Codec[Any] | None = None, inline: bool = False
    ) -> Decorator[Any]:
        """A decorator: signals called *name* are its function's, which takes a :class:`Signal`.

        As :meth:`request`, without a reply.
        """
        return self._signals.add(name, codec, None, inline)

    def metrics(self) -> str:
        """Connections and requests as OpenMetrics text.

        Raises InvalidState where the server was made without *metrics*.
        """
        return page_of(self._meter, len(self.connections))

    # --- who is connected -----------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether it was told to shut down."""
        return self._stopping

    @property
    def connections(self) -> list[Connection]:
        """The connections that are open."""
        return [connection for bound in self._bound for connection in bound.connections]

    @property
    def active_sessions(self) -> int:
        """How many sessions have a connection to this server."""
        return len(self._sessions.registry)

    def session_connections(self, key: str) -> list[Connection]:
        """The connections to this server that use the session of *key*."""
        return self._sessions.registry.connections(key)

    async def close_session(
        self, key: str, *, stored: bool = False
    ) -> list[tuple[Connection, Exception | None]]:
        """End the session of *key* on each of its connections, on all servers of a shared store.

        The store forgets it, then each is told. Those of this server are returned, with the error
        of those where it failed: the store's, and then they have it still, or of a client that
        can't be told as it doesn't read. Where nobody is connected with it nothing happens, but
        for *stored*: the store forgets it in any case.
        Raises InvalidState where sessions are disabled, and what the store raises where nobody
        of this server uses it.
        """
        return await self._sessions.close_key(key, stored=stored)

    async def broadcast(
        self,
        name: str,
        payload: Sendable | Any = None,
        *,
        to: Iterable[Connection] | None = None,
        codec: Codec[Any] | None = None,
    ) -> list[Connection]:
        """Send a signal, encoded once, to many; those that it couldn't be sent to are returned.

        *to*: None: all that are connected to this server, and to no other one. Nobody is waited
        for: who isn't connected any more, or has more than ``high_water`` bytes waiting to be
        sent, is left out.
        Raises UnsendableMessage, BufferOverflow; then nobody got it.
        """
        message = encode_signal(name, payload, codec, self.options.conf.buffer_size)
        if to is not None and not isinstance(to, Iterable):
            raise TypeError(f"to must be some connections, not {kind_of(to)}")
        return await send_to_all(self.connections if to is None else to, message)

    def room(self, name: str) -> Room:
        """The room called *name*, which has members or not."""
        require_type("name", name, str)
        return Room(self, name)

    def _joined(self, connection: Connection, room: Room) -> None:
        self._joined_rooms.setdefault(connection, {})[room] = None

    def _left(self, connection: Connection, room: Room) -> None:
        rooms = self._joined_rooms.get(connection, {})
        rooms.pop(room, None)
        if not rooms:
            self._joined_rooms.pop(connection, None)

    def _drop_rooms(self, connection: Connection) -> list[Room]:
        """*connection* is gone: it is in no room any more. Those it was in: see Room._dropped."""
        rooms = list(self._joined_rooms.get(connection, ()))
        for room in rooms:
            room._remove(connection)
        return rooms

    # --- serving --------------------------------------------------------------------------------

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
        *origins*, whether a request from a browser may pass.

        ``task_status`` gives a ``Listening``. Returns after :meth:`shutdown`. Cancelled, it sends
        every client a close frame, waits for nothing, and cancels the handlers. May run several
        times at once, on different addresses. Raises OSError where it can't listen, InvalidState
        where the server has ended.
        """
        require_trio()
        require_known("serve", keywords, ServeKeywords.__optional_keys__)
        if self._stopping:
            raise errors.InvalidState("this server was shut down: make a new one")

        async def on_request(request: HttpRequest) -> Response | Accept | None:
            answer = await self._on_request(request)
            if answer is not None and not isinstance(answer, Accept):
                return answer  # a Response, or what is none and logged as such
            return _with_version(serving.upgrading.problem(request)) or answer

        serving = Serving(
            host,
            port,
            on_request=on_request,
            subprotocols=(PROTOCOL,),
            options=self.options.websocket(),
            backend=self._backend,
            **keywords,
        )
        listeners = await serving.listen()
        if self._stopping:
            for listener in listeners:
                listener.close()
            raise errors.InvalidState("this server was shut down: make a new one")
        if self._closed.is_set():
            self._closed = trio.Event()
        try:
            with alone():
                await self._serve(serving, listeners, task_status)
        finally:
            if not self._bound:
                self._closed.set()

    async def _serve(
        self,
        serving: Serving,
        listeners: Sequence[AnyListener],
        task_status: trio.TaskStatus[Listening],
    ) -> None:
        try:
            # The store is needed until the last connection is through, also when all is cancelled.
            async with nullcontext() if self._sharing is None else self._sharing.running():
                await self._accept(serving, listeners, task_status)
        finally:
            for listener in listeners:
                listener.close()

    async def _accept(
        self,
        serving: Serving,
        listeners: Sequence[AnyListener],
        task_status: trio.TaskStatus[Listening],
    ) -> None:
        bound = None
        has_started = False
        try:
            async with trio.open_nursery() as nursery:
                workers = Workers(nursery, threads=self.options.max_threads)
                bound = Bound(self, serving, listeners, workers, nursery.cancel_scope)
                if self._meter is not None:
                    bound.count(self._meter.accepting)
                self._bound.append(bound)
                if self._sharing is not None:
                    await self._sharing.wait_started()
                has_started = True
                task_status.started(bound)
                await bound.run()
                nursery.cancel_scope.cancel()  # the workers have nobody to work for
        finally:
            if bound is not None:
                self._bound.remove(bound)
        if not has_started and task_status is not trio.TASK_STATUS_IGNORED:
            raise errors.InvalidState("this server was shut down before its store was reached")

    async def _on_request(self, request: HttpRequest) -> Response | Accept | None:
        """What is asked of each HTTP request, in the original's order."""
        if self._stopping:
            return Response(503, _TEXT, b"server shutting down\n")
        if request.method == "OPTIONS":
            hook = self._hooks.options
            answer = None if hook is None else await call_hook(hook, request)
            return Response(200) if answer is None else answer
        hook = self._hooks.before_upgrade
        return None if hook is None else await call_hook(hook, request)

    def _make_connection(
        self, link: Any, opened: Opened, workers: Workers, peer: str
    ) -> Connection:
        """The connection of a client that was let in."""
        request, answer = opened.request, opened.answer
        assert request is not None, "a server has the client's request"
        info: Mapping[Any, Any] = {}
        concurrency = None
        if isinstance(answer, Upgrade):
            info, concurrency = answer.info, answer.concurrency
        elif self._hooks.before_upgrade is None:
            agent = request.header("user-agent") or b""
            info = {"user_agent": agent.decode("latin-1")}
        options = self.options
        make = Connection if self._meter is None else partial(MeteredConnection, self._meter)
        return make(
            self,
            link,
            ServerSession(
                options.conf,
                max_queued_bytes=options.max_queued_bytes,
                close_timeout=options.close_timeout,
                extended=opened.subprotocol == PROTOCOL,
                backend=self._backend,
            ),
            http_request=request,
            info=info,
            concurrency=options.concurrency if concurrency is None else concurrency,
            workers=workers,
            peer=peer,
        )

    async def _tell(self, what: str, hook: Hook | None, *arguments: object) -> None:
        await tell_hook(what, hook, *arguments)

    def _make_id(self) -> str:
        from wirecore._backend import default

        return (self._backend or default).entropy.uuid4_text()

    # --- the end --------------------------------------------------------------------------------

    async def shutdown(self, grace: float | None = None) -> None:
        """Stop in good order, and return when all has ended.

        Handlers that run finish, and their replies go out. Meanwhile new connections get 503,
        new requests ServerShutdown, signals are dropped. Then the listeners close, and the
        connections (1001). After *grace* seconds (None: never) what is left is cancelled; the
        hook on_client_disconnected and the store then have 5 seconds more. Called in a handler it
        would wait for that one too: start it in a task of its own.
        """
        require_seconds("grace", grace)
        if grace is not None:
            check_at_least("grace", grace, 0)
        self._stopping = True
        for connection in self.connections:
            connection._stop()
        with trio.move_on_after(float("inf") if grace is None else grace):
            for connection in self.connections:
                await connection._wait_handled()
            for bound in list(self._bound):
                bound.stop_accepting()
            for connection in self.connections:
                connection._close_with(CloseCode.GOING_AWAY)
            for bound in list(self._bound):
                await bound.wait_idle()
        if grace:
            self._tell_cut()
        for bound in list(self._bound):
            bound.cancel()
        if self._bound:
            await self._closed.wait()
        self._closed.set()

    def _tell_cut(self) -> None:
        cut = [each for each in self.connections if not each._handling.idle]
        if cut:
            logger.warning("the grace is over: handlers of %d connections are cancelled", len(cut))

    async def drain(self, grace: float | None = 30.0) -> None:
        """As :meth:`shutdown`, for ``wirecore_trio.drain_on_signal``."""
        await self.shutdown(grace)

    async def wait_closed(self) -> None:
        """Wait until the server has ended: shut down or cancelled, and all its handlers through."""
        await self._closed.wait()

    def _why_not_ready(self) -> str:
        if self._stopping:
            return "draining"
        return "" if self._bound else "not listening"


def _with_version(problem: Response | None) -> Response | None:
    """*problem* with the fields that the original sends with each handshake that it refuses."""
    if problem is None:
        return None
    status = 400 if problem.status == _UPGRADE_REQUIRED else problem.status
    fields = check_fields(problem.headers, FRAMING_FIELDS)
    kept = [field for field in fields if field[0].lower() not in _REPLACED]
    added = ((b"Sec-Websocket-Version", b"13"), (b"X-Content-Type-Options", b"nosniff"))
    return Response(status, (*kept, *added), problem.body)
