"""The client: a connection that is kept up, what serves on it, and requests over it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.protocols.rest.handshake import PROTOCOL, metadata_message
from wirecore.protocols.rest.happenings import Stream

from .._arguments import require_async, require_known, require_type
from .._dial import fail_after, parse_url
from .._dispatch import Workers
from .._entered import Entered
from .._errors import NotConnected, require_trio
from .._supervise import dial_until_open, supervise
from .._tasks import HiddenNursery
from ..websocket._client import Dialer, Dialing
from ._asgi import AsgiHandler
from ._channel import Channel
from ._connection import Connection, ControlHook
from ._lifespan import Lifespan
from ._opening import open_channel
from ._options import ClientOptions
from ._requesting import Requesting

if TYPE_CHECKING:
    from wirecore._backend import Backend

    from ._asgi_types import App

logger = logging.getLogger("wirecore.rest")


class Client(Requesting):
    """A client; :func:`connect` makes it. Its methods may be called by any number of tasks."""

    def __init__(
        self,
        dialer: Dialer,
        options: ClientOptions,
        *,
        metadata: Any,
        host: bytes,
        scheme: bytes,
        trust_forwarded: bool,
        on_ping: ControlHook | None,
        on_pong: ControlHook | None,
        backend: Backend | None,
    ) -> None:
        self._dialer = dialer
        self._trusts = trust_forwarded
        self._options: ClientOptions = options
        self._metadata = metadata
        self._host = host
        self._scheme = scheme
        self._on_ping = on_ping
        self._on_pong = on_pong
        self._backend = backend
        self._handler: AsgiHandler | None = None
        self._connection: Connection | None = None
        self._connections = 0
        self._closing = False
        self._failure: Exception | None = None
        self._changed = trio.Event()
        self._nursery: trio.Nursery
        self._workers: Workers

    def __repr__(self) -> str:
        return f"<rest.Client of {self._dialer.name}>"

    # --- state ----------------------------------------------------------------------------------

    @property
    def connection(self) -> Connection | None:
        """The open connection; None while there is none. After a loss there is another one."""
        return self._connection

    @property
    def connections(self) -> int:
        """Connections made so far: 1 after the first, one more with each reconnect."""
        return self._connections

    @property
    def metadata(self) -> Any:
        """What is said of this client at each connection."""
        return self._metadata

    async def wait_connected(self) -> Connection:
        """Wait for a connection. Raises what ended the attempts for good, or NotConnected."""
        while self._connection is None or self._connection.closed:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            if self._closing:
                raise NotConnected("the client was left")
            await self._changed.wait()
        return self._connection

    def _change(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    # --- serving and calling --------------------------------------------------------------------

    def serve(
        self, app: App, *, root_path: str = "", state: Mapping[str, Any] | None = None
    ) -> None:
        """Answer the server's requests with *app*, on this connection and each that follows.

        *root_path*, *state*: see :class:`AsgiHandler`; of the application's lifespan
        :class:`Lifespan` takes care. Raises InvalidState where there is an application already, and
        as ``Connection.serve``.
        """
        self._serve_with(self._handler_of(app, root_path, state))

    def _handler_of(self, app: App, root_path: str, state: Mapping[str, Any] | None) -> AsgiHandler:
        most = self._options.max_message_size
        return AsgiHandler(
            app,
            root_path=root_path,
            state=state,
            trust_forwarded=self._trusts,
            max_message_size=most,
        )

    def _serve_with(self, handler: AsgiHandler) -> None:
        if self._handler is not None:
            raise errors.InvalidState("an application serves for this client already")
        if self._connection is not None:
            self._connection._serve_with(handler)
        self._handler = handler

    async def _acquire(self, *, multiplexed: bool = False) -> Channel:
        while True:
            connection = self._connection or await self.wait_connected()
            if not connection.leaving and not connection.closed:
                with suppress(NotConnected):
                    return await connection._acquire(multiplexed=multiplexed)
            await connection.wait_closed()  # it is ending, or has ended: the next one, then

    async def _reach(self) -> None:
        await self.wait_connected()

    # --- connecting -----------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        policy = replace(self._options.retry, patience=self._options.give_up_after)
        name = self._dialer.name
        try:
            first = await dial_until_open(self._attempt, policy, what=name)
            # Once it was let in, a refusal may be a server's that is just being restarted.
            again = replace(policy, persist=True)
            await supervise(first, self._attend, self._attempt, again, what=name)
        except Exception as error:  # noqa: BLE001 - raised to whoever waits for the connection
            self._failure = error
            self._change()

    async def _attempt(self) -> Connection:
        """One attempt, up to the server's id."""
        options = self._options
        name = self._dialer.name
        with fail_after(options.open_timeout, f"no connection to {name}"):
            upgraded = await self._dialer.open()
        connection = Connection(
            options,
            self._workers,
            remote_address=name,
            host=self._host,
            scheme=self._scheme,
            metadata=self._metadata,
            on_ping=self._on_ping,
            on_pong=self._on_pong,
        )
        channel = connection._channel = open_channel(
            connection,
            upgraded,
            _Listener(connection),
            options,
            client=True,
            metadata=self._metadata,
            nursery=self._nursery,
            backend=self._backend,
        )
        session = channel.session
        self._nursery.start_soon(channel.run, upgraded.leftover)
        try:
            while not session.ready:
                if channel.ended or session.problem is not None:
                    raise session.problem or channel.error or NotConnected("it ended at once")
                await channel.wait_for_change()
        except BaseException:
            channel.abort()
            raise
        return connection

    async def _attend(self, connection: Connection) -> bool:
        """Use *connection* until it is lost; whether another one is wanted then."""
        try:
            if not self._closing and not connection.closed:
                if self._handler is not None:
                    connection._serve_with(self._handler)
                self._connection = connection
                self._connections += 1
                self._change()
            await connection.wait_closed()
            self._log_end(connection.error)
        finally:
            if self._connection is connection:
                self._connection = None
                self._change()
        return not self._closing

    def _log_end(self, error: Exception | None) -> None:
        """Say why a connection has ended, unless this end closed it."""
        if error is None or self._closing:
            return
        # A server that doesn't want this client says so, and it dials again all the same.
        unwanted = getattr(error, "code", None) == CloseCode.POLICY_VIOLATION
        level = logging.WARNING if unwanted else logging.INFO
        logger.log(level, "the connection to %s has ended: %s", self._dialer.name, error)

    # --- async with, see Connecting ---------------------------------------------------------------

    async def _leave(self) -> None:
        self._closing = True
        connection = self._connection
        if connection is not None:
            connection.drain()
            with trio.move_on_after(self._options.close_timeout):
                await connection.wait_closed()
            connection._channel.abort()
        self._change()


class _Listener:
    """Passes on what a channel tells, to its connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _ready(self, channel: Channel, value: str) -> None:
        self._connection.id = value

    def _requested(self, channel: Channel, stream: Stream) -> None:
        self._connection._requested(channel, stream)

    def _leaving(self, channel: Channel) -> None:
        self._connection._leaving(channel)

    def _ended(self, channel: Channel) -> None:
        problem = channel.session.problem
        if problem is not None:
            logger.warning("%r is closed: %s", self._connection, problem)


class Connecting(Entered):
    """What :func:`connect` returns: ``async with`` it, once."""

    _use = "use async with rest.connect(...) as client"

    def __init__(self, client: Client, app: App | None, root_path: str, *, wait: bool) -> None:
        self._client = client
        self._app = app
        self._root_path = root_path
        self._wait = wait
        self._lifespan: Lifespan | None = None
        self._entered = False
        self._tasks = HiddenNursery()

    async def __aenter__(self) -> Client:
        require_trio()
        if self._entered:
            raise errors.InvalidState("this client was entered already: call connect again")
        self._entered = True
        client = self._client
        if self._app is not None:
            self._lifespan = Lifespan(self._app)
            await self._lifespan.__aenter__()
        try:
            await self._tasks.enter()
            try:
                client._nursery = self._tasks.nursery
                client._workers = Workers(client._nursery)
                if self._app is not None and self._lifespan is not None:
                    state = self._lifespan.state
                    client._serve_with(client._handler_of(self._app, self._root_path, state))
                client._nursery.start_soon(client._keep_connected)
                if self._wait:
                    await client.wait_connected()
            except BaseException as error:
                client._closing = True
                await self._tasks.leave(error)
                raise
        except BaseException as error:
            if self._lifespan is not None:
                await self._lifespan.__aexit__(type(error), error, error.__traceback__)
            raise
        return client

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            try:
                if error is None:
                    await self._client._leave()
            finally:
                self._client._closing = True
                await self._tasks.leave(error)
        finally:
            if self._lifespan is not None:
                await self._lifespan.__aexit__(kind, error, traceback)


def connect(
    url: str | None = None,
    app: App | None = None,
    options: ClientOptions | None = None,
    *,
    metadata: Any = None,
    host: str = "",
    root_path: str = "",
    trust_forwarded: bool = False,
    wait: bool = True,
    on_ping: ControlHook | None = None,
    on_pong: ControlHook | None = None,
    backend: Backend | None = None,
    **dialing: Unpack[Dialing],
) -> Connecting:
    """Connect to a server: ``async with connect("ws://127.0.0.1:8080/") as client: ...``.

    *url*: ``ws://`` or ``wss://``. *app*: an application of ASGI 3.0 that answers what the server
    requests. *options*: see :class:`ClientOptions`. *metadata*: what the server is told of this
    client: anything that JSON has. *host*: the Host of requests, by default the URL's.
    *root_path*, *trust_forwarded*: of what *app*, and one that ``serve`` is given, learns; see
    :class:`AsgiHandler`: a gateway at the other end is to be trusted. Entering waits for the
    connection, trying again as ``options.retry`` says; with *wait* false it returns at once, and
    connects in the background.

    Underneath it connects again after each loss, and serves again. Leaving answers what is being
    served, and closes the connection; an exception of the body arrives as itself. The other
    arguments are those of :func:`wirecore_trio.websocket.connect`: *headers*, *ssl_context*,
    *proxy*, *origin*, *prepare* and so on.

    Raises InvalidOption for an URL that is none, and for metadata that JSON hasn't; TypeError for
    arguments of a wrong type.
    """
    require_known("connect", dialing, Dialing.__optional_keys__)
    require_type("options", options, ClientOptions, optional=True)
    require_async("app", app, "scope", "receive", "send", optional=True)
    require_type("host", host, str)
    require_type("trust_forwarded", trust_forwarded, bool)
    metadata_message(metadata)
    options = options or ClientOptions()
    dialer = Dialer(
        url, subprotocols=(PROTOCOL,), options=options.websocket(), backend=backend, **dialing
    )
    target = None if url is None else parse_url(url)
    client = Client(
        dialer,
        options,
        metadata=metadata,
        host=(host or ("localhost" if target is None else target.authority)).encode("ascii"),
        scheme=b"https" if target is not None and target.secure else b"http",
        trust_forwarded=trust_forwarded,
        on_ping=on_ping,
        on_pong=on_pong,
        backend=backend,
    )
    return Connecting(client, app, root_path, wait=wait)
