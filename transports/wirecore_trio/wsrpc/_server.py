"""The server: listed clients connect, call, and are called."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.session.limits import check_at_least
from wirecore.websocket import Response, ServerHandshake, origin_problem

from .._arguments import require_int, require_seconds, require_type
from .._dial import deadline_after
from .._dispatch import DEFAULT_THREADS, Workers
from .._errors import NotConnected, alone, require_trio
from .._link import Link, SocketLink
from .._listeners import open_listeners
from .._serve import MAX_HANDSHAKES, Acceptor
from .._upgrade import linger, receive_request, send_all
from ..tls import ServerCredentials, load_public_key
from ..tls.keys import PublicKey
from ._address import peer_address
from ._channel import Channel
from ._options import Options
from ._peer import Peer, check_call
from ._registry import NO_HANDLERS, Handlers, Registry, Serving
from ._service import Service
from ._upgrade import Secured, make_session, secure

if TYPE_CHECKING:
    from wirecore._backend import Backend

logger = logging.getLogger("wirecore.wsrpc")


class Listening:
    """A server that listens; ``task_status`` of :meth:`Server.serve` gives it."""

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor

    @property
    def addresses(self) -> list[object]:
        """The bound addresses, as ``getsockname`` gives them."""
        return self._acceptor.addresses

    @property
    def port(self) -> int:
        """The port of the first TCP address. Raises InvalidState where there is none."""
        for address in self.addresses:
            if isinstance(address, tuple):
                return int(address[1])
        raise errors.InvalidState("this server listens on no port: it has a Unix socket")


class Server(Serving):
    """Serves the clients whose keys *credentials* list, and calls them.

    One connection a client: a second one of the same key is refused (the client sees HTTP
    status 200 in place of the upgrade, as the Go server answers it).

    *services*, and *handlers* that take and give bytes, by their methods' names, are served as
    `register` and `handle` do it, which may be called at any time.
    *max_connections*: one more is closed at once. *max_handshakes*: so many of them may be
    anywhere before the end of TLS and upgrade, where anybody can get; for one more, the oldest
    that has sent nothing yet is closed, or the new one itself where there is none.
    *max_threads*: plain handlers that run at once, in threads, of all clients together.
    *backend*: the codec, for tests.

    Raises TypeError for arguments of a wrong type, InvalidOption for a bound below 1, or where
    two of *services* and *handlers* have the same name.
    """

    def __init__(
        self,
        credentials: ServerCredentials,
        *,
        services: Sequence[Service] = (),
        handlers: Handlers = NO_HANDLERS,
        options: Options | None = None,
        max_connections: int = 100_000,
        max_handshakes: int = MAX_HANDSHAKES,
        max_threads: int = DEFAULT_THREADS,
        backend: Backend | None = None,
    ) -> None:
        require_type(
            "credentials",
            credentials,
            ServerCredentials,
            hint="a server has ServerCredentials: its private key and the clients' public keys",
        )
        require_type("options", options, Options, optional=True)
        for name, count in (
            ("max_connections", max_connections),
            ("max_handshakes", max_handshakes),
            ("max_threads", max_threads),
        ):
            require_int(name, count)
            check_at_least(name, count, 1)
        self._credentials = credentials
        self._options = options or Options()
        self._max_connections = max_connections
        self._max_handshakes = max_handshakes
        self._max_threads = max_threads
        self._backend = backend
        self._registry = Registry()
        self._registry.add(services, handlers)
        self._channels: dict[bytes, Channel] = {}
        self._opening: set[bytes] = set()
        self._acceptors: list[Acceptor] = []
        self._closing = False

    def __repr__(self) -> str:
        count = len(self._channels)
        return (
            f"<Server with public key {self._credentials.public_key.hex()}, "
            f"{count} {'client' if count == 1 else 'clients'} connected>"
        )

    # --- its clients ----------------------------------------------------------------------

    @property
    def connected_keys(self) -> list[bytes]:
        """The public keys of the clients that are connected now."""
        return list(self._channels)

    def peer(self, public_key: PublicKey) -> Peer:
        """The client with *public_key*, to be called whenever it is connected.

        The key comes in any form that `load_public_key` takes; raises InvalidKey where it is
        none. Peers of the same key are equal.
        """
        return ClientPeer(self, load_public_key(public_key, name="public_key"))

    def _channel(self, public_key: bytes) -> Channel:
        channel = self._channels.get(public_key)
        if channel is None:
            listed = public_key in self._credentials.client_public_keys
            why = "" if listed else ", which isn't let in"
            raise NotConnected(f"client not connected: {public_key.hex()}{why}")
        return channel

    # --- serving --------------------------------------------------------------------------

    async def serve(
        self,
        host: str | None = None,
        port: int = 0,
        *,
        listeners: Sequence[socket.socket] | None = None,
        task_status: trio.TaskStatus[Listening] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen on *host* and *port* (0: a free one), or on bound *listeners*, and serve.

        ``task_status`` gives a :class:`Listening`. Returns after :meth:`aclose` or
        :meth:`drain`. Cancelled, it sends every client a close frame, waits for nothing, and
        cancels the handlers. Raises OSError where it can't listen.
        """
        require_trio()
        require_type("host", host, str, optional=True)
        require_int("port", port)
        if self._closing:
            raise errors.InvalidState("this server was closed: make a new one")
        if listeners is None:
            listeners = await open_listeners(host, port)
        unsubscribe = self._credentials.subscribe(self._keys_removed)
        try:
            with alone():
                await self._serve(listeners, task_status)
        finally:
            unsubscribe()

    async def _serve(
        self, listeners: Sequence[socket.socket], task_status: trio.TaskStatus[Listening]
    ) -> None:
        async with trio.open_nursery() as nursery:
            share = self._options.max_handler_threads or max(1, self._max_threads // 4)
            workers = Workers(nursery, threads=self._max_threads, share=share)

            async def connected(sock: socket.socket) -> None:
                await self._connected(sock, workers, acceptor)

            acceptor = Acceptor(
                listeners,
                connected,
                max_connections=self._max_connections,
                max_handshakes=self._max_handshakes,
                plain=False,
            )
            self._acceptors.append(acceptor)
            task_status.started(Listening(acceptor))
            try:
                await acceptor.run()
            finally:
                self._acceptors.remove(acceptor)
                # The workers have nobody to work for.
                nursery.cancel_scope.cancel()

    async def drain(self, grace: float | None = 30.0) -> None:
        """Stop in good order: no new connection, running handlers finish, then all close.

        What the handlers answered is sent first. After *grace* seconds (None: never) the rest is
        cancelled and cut. Raises InvalidOption for a *grace* below 0.
        """
        require_seconds("grace", grace)
        if grace is not None:
            check_at_least("grace", grace, 0)
        self._closing = True
        for acceptor in self._acceptors:
            acceptor.stop_accepting()
        with trio.move_on_after(float("inf") if grace is None else grace):
            for channel in self._channels.values():
                channel.stop_handling()
            # Two rounds, as a handler of one client may call another.
            for channel in list(self._channels.values()):
                await channel.wait_handled()
            for channel in list(self._channels.values()):
                await channel.finish()
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections and listeners now, and wait until they are gone."""
        self._closing = True
        for channel in list(self._channels.values()):
            channel.close()
        for acceptor in list(self._acceptors):
            acceptor.cancel_connections()
            await acceptor.wait_idle()

    def _keys_removed(self, keys: frozenset[bytes]) -> None:
        for key in keys:
            channel = self._channels.pop(key, None)
            if channel is not None:
                logger.info("the key %s was removed; its connection is closed", key.hex())
                channel.close(CloseCode.NORMAL)

    async def _connected(self, sock: socket.socket, workers: Workers, acceptor: Acceptor) -> None:
        link: Link = SocketLink(sock)
        address = peer_address(sock)  # asked now: a connection that was reset has none
        try:
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel = None
            with trio.CancelScope(deadline=deadline_after(self._options.open_timeout)):
                try:
                    await link.wait_readable()  # nothing is made for who sends nothing
                    acceptor.heard(sock)
                    channel = await self._open(link, workers, address)
                except errors.PeerRefused as error:
                    logger.warning("a client at %s wasn't let in: %s", address, error)
                except (errors.RemoteError, trio.BrokenResourceError) as error:
                    logger.info("a client at %s wasn't let in: %s", address, error)
            if channel is not None:
                acceptor.opened(sock)
                await self._run(channel)
        finally:
            link.close()

    async def _open(self, link: Link, workers: Workers, address: str) -> Channel | None:
        secured = await secure(link, self._credentials)
        channel = None
        try:
            channel = await self._upgrade(secured, workers, address)
        finally:
            if channel is None:
                secured.link.close()
        return channel

    async def _upgrade(self, secured: Secured, workers: Workers, address: str) -> Channel | None:
        key = secured.public_key
        handshake = ServerHandshake()
        request = await receive_request(secured.link, handshake)
        if request is None:
            return None
        refusal = request.problem or origin_problem(request)
        if refusal is None and (self._closing or key in self._channels or key in self._opening):
            logger.warning("a second connection of %s, from %s, was refused", key.hex(), address)
            refusal = Response(200)
        if refusal is not None:
            await send_all(secured.link, handshake.respond(refusal))
            await linger(secured.link)
            return None
        # Reserved while the answer is sent: of two at the same instant one must be refused.
        self._opening.add(key)
        try:
            await send_all(secured.link, handshake.accept())
        finally:
            self._opening.discard(key)
        if self._closing or not self._credentials.allowed(key):
            return None
        channel = self._channels[key] = Channel(
            secured.link,
            make_session(client=False, options=self._options, backend=self._backend),
            public_key=key,
            registry=self._registry,
            workers=workers,
            options=self._options,
        )
        channel.feed(handshake.leftover)
        return channel

    async def _run(self, channel: Channel) -> None:
        try:
            await channel.run()
        finally:
            # An old connection's end must not unregister a newer one of the same key.
            if self._channels.get(channel.public_key) is channel:
                del self._channels[channel.public_key]
            channel.close()


class ClientPeer(Peer):
    """A client as its server knows it: by key, over whichever connection it has now."""

    __slots__ = ("_public_key", "_server")

    def __init__(self, server: Server, public_key: bytes) -> None:
        self._server = server
        self._public_key = public_key

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClientPeer):
            return NotImplemented
        return self._server is other._server and self._public_key == other._public_key

    def __hash__(self) -> int:
        return hash(self._public_key)

    @property
    def public_key(self) -> bytes:
        return self._public_key

    async def call(self, method: str, payload: bytes) -> bytes:
        try:
            channel = self._server._channel(self._public_key)
        except NotConnected:
            check_call(method, payload)
            # Who tries again and again must let others run meanwhile.
            await trio.lowlevel.checkpoint()
            raise
        return await channel.call(method, payload)
