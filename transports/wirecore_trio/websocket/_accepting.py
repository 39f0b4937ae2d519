"""What a server is, whatever its connections carry: listeners, upgrades, a registry, drain."""

from __future__ import annotations

import logging
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypedDict, TypeVar

import trio

from wirecore import errors
from wirecore.session.limits import check_at_least

from .._arguments import require_int, require_type
from .._dial import deadline_after, secure_server
from .._link import Link
from .._listeners import listen
from .._listening import Listening
from .._network import Accepted, AnyListener, accepted_link, name_of_peer
from .._serve import MAX_HANDSHAKES, Acceptor, Counts
from ._opened import Upgraded
from ._options import Options
from ._upgrading import OnRequest, Upgrading

if TYPE_CHECKING:
    from wirecore._backend import Backend
    from wirecore.websocket import Request

logger = logging.getLogger("wirecore.websocket")


class ServeOptions(TypedDict, total=False):
    """What a server takes besides host and port; see :func:`wirecore_trio.websocket.serve`."""

    unix_path: str | None
    listeners: Sequence[socket.socket] | None
    ssl_context: ssl.SSLContext | None
    subprotocols: Sequence[str]
    origins: Collection[str] | None
    on_request: OnRequest | None
    max_connections: int
    max_handshakes: int
    options: Options
    backend: Backend | None


class ServeKeywords(TypedDict, total=False):
    """What a protocol's ``serve`` takes besides host and port; its options are its server's."""

    unix_path: str | None
    listeners: Sequence[socket.socket] | None
    ssl_context: ssl.SSLContext | None
    origins: Collection[str] | None
    check_origin: Callable[[Request], bool] | None
    max_connections: int
    max_handshakes: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Serving:
    """All that a server is told, but for what it does with a connection; checked."""

    host: str | None = None
    port: int = 0
    unix_path: str | None = None
    listeners: Sequence[socket.socket] | None = None
    ssl_context: ssl.SSLContext | None = None
    subprotocols: Sequence[str] = ()
    origins: Collection[str] | None = None
    check_origin: Callable[[Request], bool] | None = None
    on_request: OnRequest | None = None
    max_connections: int = 100_000
    max_handshakes: int = MAX_HANDSHAKES
    options: Options = field(default_factory=Options)
    backend: Backend | None = None
    upgrading: Upgrading = field(init=False)

    def __post_init__(self) -> None:
        context = self.ssl_context
        require_type("host", self.host, str, optional=True, hint="the port comes behind it")
        require_type("ssl_context", context, ssl.SSLContext, optional=True)
        if context is not None and context.protocol is ssl.PROTOCOL_TLS_CLIENT:
            raise errors.InvalidOption(
                "ssl_context is a client's: make it with "
                "ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)"
            )
        for name in ("port", "max_connections", "max_handshakes"):
            require_int(name, getattr(self, name))
        check_at_least("max_connections", self.max_connections, 1)
        check_at_least("max_handshakes", self.max_handshakes, 1)
        if self.listeners is not None and (self.host is not None or self.unix_path is not None):
            raise errors.InvalidOption(
                "give either a host, unix_path= or listeners=, not two of them"
            )
        upgrading = Upgrading(
            subprotocols=self.subprotocols,
            origins=self.origins,
            check_origin=self.check_origin,
            on_request=self.on_request,
            options=self.options,
            backend=self.backend,
        )
        object.__setattr__(self, "upgrading", upgrading)

    async def listen(self) -> Sequence[AnyListener]:
        """The sockets to accept on. Raises OSError."""
        if self.listeners is not None:
            return self.listeners
        return await listen(self.host, self.port, unix_path=self.unix_path)


class Drainable(Protocol):
    """An open connection of a server's."""

    def drain(self) -> None:
        """The server stops: close in good order as soon as nothing is being done."""


C = TypeVar("C", bound=Drainable)


class Accepting(Listening, ABC, Generic[C]):
    """A running server; who derives from it says what is done with a connection."""

    def __init__(self, serving: Serving, listeners: Sequence[AnyListener]) -> None:
        self._upgrading = serving.upgrading
        self._ssl_context = serving.ssl_context
        #: The open connections.
        self.connections: set[C] = set()
        self._closed = trio.Event()
        super().__init__(
            Acceptor(
                listeners,
                self._connected,
                max_connections=serving.max_connections,
                max_handshakes=serving.max_handshakes,
                plain=serving.ssl_context is None,
            )
        )

    @abstractmethod
    def _begin(self, upgraded: Upgraded, peer: str) -> C | None:
        """The connection that *upgraded* has opened to *peer*; None: close it."""

    @abstractmethod
    async def _attend(self, connection: C, peer: str) -> None:
        """See to *connection* until it has ended, and take it out of :attr:`connections`."""

    def count(self, counts: Counts) -> None:
        """Count connections in *counts* from now on."""
        self._acceptor.counts = counts

    @property
    def draining(self) -> bool:
        """Whether the server takes no new connections any more."""
        return not self._acceptor.accepting

    async def run(self) -> None:
        """Serve until :meth:`drain` is through. Cancelled, it closes all at once."""
        try:
            await self._acceptor.run()
        finally:
            self._closed.set()

    async def wait_closed(self) -> None:
        """Wait until the server has ended, its last connection too."""
        await self._closed.wait()

    async def drain(self, grace: float | None = 30.0) -> None:
        """Stop in good order, and return when the last connection is through.

        No new connection is taken. A connection is closed in good order as soon as nothing is
        being done: a WebSocket with 1001 when its handler asks for a message and none is queued,
        so that a handler in the middle of its work finishes it; another session when the last
        task of its owner has ended. After *grace* seconds (None: never) what is left is cancelled.
        """
        self._acceptor.stop_accepting()
        for connection in list(self.connections):
            connection.drain()
        with trio.move_on_after(float("inf") if grace is None else grace) as scope:
            await self._acceptor.wait_idle()
        if scope.cancelled_caught:
            self._cancel_left()
            await self._acceptor.wait_idle()

    def _cancel_left(self) -> None:
        self._acceptor.cancel_connections()

    async def _connected(self, sock: Accepted) -> Awaitable[None] | None:
        link = accepted_link(sock)
        connection = None
        try:
            # Asked for now, as a socket knows no peer any more once it is closed.
            peer = _peer(sock)
            connection = await self._open(sock, link, peer)
            if connection is None:
                return None
            self._acceptor.opened(sock)
            self.connections.add(connection)
            if self.draining:
                connection.drain()
            return self._attend(connection, peer)
        finally:
            if connection is None:
                link.close()

    async def _open(self, sock: Accepted, link: Link, peer: str) -> C | None:
        """TLS and upgrade over *link* to *peer*; None where nothing comes of it."""
        # Not in the caller's frame, which lives as long as the connection.
        connection = None
        timeout = self._upgrading.options.open_timeout
        with trio.CancelScope(deadline=deadline_after(timeout)) as scope:
            try:
                await link.wait_readable()  # nothing is made for who sends nothing
                self._acceptor.heard(sock)
                if self._ssl_context is not None:
                    link = await secure_server(link, self._ssl_context)
                upgraded = await self._upgrading.upgrade(link)
                connection = None if upgraded is None else self._begin(upgraded, peer)
            except (errors.RemoteError, trio.BrokenResourceError) as error:
                logger.info("a connection from %s wasn't opened: %s", peer, error)
        if scope.cancelled_caught:
            logger.info("a connection from %s wasn't opened within %s s", peer, timeout)
        if connection is None:
            link.close()  # TLS says goodbye here
        return connection


class Runs(Drainable, Protocol):
    """A connection that a protocol attends to itself."""

    async def _run(self, leftover: bytes) -> None:
        """See to it until it has ended. *leftover* came behind the upgrade."""


R = TypeVar("R", bound=Runs)


class Bound(Accepting[R]):
    """A protocol's running server; who derives from it makes the connections.

    *scope*: what all of it runs in: connections, handlers.
    """

    def __init__(
        self, serving: Serving, listeners: Sequence[AnyListener], scope: trio.CancelScope
    ) -> None:
        super().__init__(serving, listeners)
        self._scope = scope
        self._leftovers: dict[R, bytes] = {}

    @abstractmethod
    def _connect(self, upgraded: Upgraded, peer: str) -> R | None:
        """The connection that *upgraded* has opened to *peer*; None: close it."""

    def _begin(self, upgraded: Upgraded, peer: str) -> R | None:
        connection = self._connect(upgraded, peer)
        if connection is not None and upgraded.leftover:
            self._leftovers[connection] = upgraded.leftover
        return connection

    async def _attend(self, connection: R, peer: str) -> None:
        try:
            await connection._run(self._leftovers.pop(connection, b""))
        finally:
            self.connections.discard(connection)

    def stop_accepting(self) -> None:
        """Close the listeners."""
        self._acceptor.stop_accepting()

    async def wait_idle(self) -> None:
        """Wait until no connection is open."""
        await self._acceptor.wait_idle()

    def cancel(self) -> None:
        """Cancel what is left: connections, handlers."""
        self._scope.cancel()

    def _cancel_left(self) -> None:
        self.cancel()


def _peer(sock: Accepted) -> str:
    """The peer's address, for logs."""
    try:
        peer = name_of_peer(sock)
    except OSError:
        peer = None  # it is gone already
    if not isinstance(peer, tuple):
        return str(peer or "a peer without an address")
    host, port = peer[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
