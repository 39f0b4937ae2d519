"""The server: listed clients connect, call, and are called."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.protocols.wsrpc import PROTOCOL
from wirecore.session.limits import check_at_least
from wirecore.websocket import Response, ServerHandshake, origin_problem

from .._arguments import require_int, require_seconds, require_type
from .._connections import Changes, Connections
from .._dial import deadline_after
from .._dispatch import DEFAULT_THREADS, Workers
from .._errors import NotConnected, alone, require_trio
from .._link import Link
from .._listeners import listen
from .._listening import Listening
from .._meter import page_of
from .._network import Accepted, AnyListener, accepted_link
from .._serve import MAX_HANDSHAKES, Acceptor
from .._serving_health import ServesHealth
from .._serving_metrics import ServesMetrics
from .._upgrade import linger, receive_request, send_all
from ..tls import ServerCredentials, load_public_key
from ..tls.keys import PublicKey
from ._address import peer_address
from ._channel import Channel
from ._metered import MeteredChannel, WsrpcMeter
from ._options import Options
from ._peer import Peer, check_call
from ._registry import NO_HANDLERS, Handlers, Registry, Serving
from ._service import Service
from ._upgrade import Secured, make_session, secure

if TYPE_CHECKING:
    from wirecore._backend import Backend

logger = logging.getLogger("wirecore.wsrpc")


#: Seconds that the connection of a key has to answer a ping when another one wants its place.
_PROBE: Final = 2.0

_UPGRADE_REQUIRED: Final = 426

_REPLACED: Final = "its peer has connected anew, and no ping was answered here"


class Server(Serving, ServesHealth, ServesMetrics):
    """Serves the clients whose keys *credentials* list, and calls them.

    One connection a client: while the first one lives, a second one of the same key is refused
    (the client sees HTTP status 200 in place of the upgrade, as the Go server answers it). The
    first is pinged meanwhile: if 2 s bring no answer, nor anything else from it, the second takes
    its place, so that a client whose old connection died unseen isn't locked out.

    *services*, and *handlers* that take and give bytes, by their methods' names, are served as
    `register` and `handle` do it, which may be called at any time.
    *max_connections*: one more is closed at once. *max_handshakes*: so many of them may be
    anywhere before the end of TLS and upgrade, where anybody can get; for one more, the oldest
    that has sent nothing yet is closed, or the new one itself where there is none.
    *max_threads*: plain handlers that run at once, in threads, of all clients together.
    *metrics*: whether calls are counted, for :meth:`metrics` and :meth:`serve_metrics`.
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
        metrics: bool = False,
        backend: Backend | None = None,
    ) -> None:
        require_type("metrics", metrics, bool)
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
        self._connections: Connections[Channel] = Connections()
        self._meter = WsrpcMeter() if metrics else None
        self._opening: set[bytes] = set()
        self._acceptors: list[Acceptor] = []
        self._closing = False
        self._serving = 0

    def __repr__(self) -> str:
        count = len(self._connections)
        return (
            f"<Server with public key {self._credentials.public_key.hex()}, "
            f"{count} {'client' if count == 1 else 'clients'} connected>"
        )

    # --- its clients ----------------------------------------------------------------------

    @property
    def connected_keys(self) -> list[bytes]:
        """The public keys of the clients that are connected now."""
        return self._connections.keys

    def changes(self) -> Changes:
        """Whose connections come and go, from now on: ``async for change in server.changes()``.

        A key is listed before its first request is read. See :class:`Changes`.
        """
        return self._connections.changes()

    def peer(self, public_key: PublicKey) -> Peer:
        """The client with *public_key*, to be called whenever it is connected.

        The key comes in any form that `load_public_key` takes; raises InvalidKey where it is
        none. Peers of the same key are equal.
        """
        return ClientPeer(self, load_public_key(public_key, name="public_key"))

    def _channel(self, public_key: bytes) -> Channel:
        channel = self._connections.get(public_key)
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
        cancels the handlers. May run several times at once, on different addresses; when the last
        has ended, for whatever reason, so has the server. Raises OSError where it can't listen,
        InvalidState where the server has ended.
        """
        require_trio()
        require_type("host", host, str, optional=True)
        require_int("port", port)
        if self._closing:
            raise errors.InvalidState("this server was closed: make a new one")
        found = await listen(host, port) if listeners is None else listeners
        if self._closing:  # meanwhile
            for listener in found:
                listener.close()
            return
        unsubscribe = self._credentials.subscribe(self._keys_removed)
        self._serving += 1
        try:
            with alone():
                await self._serve(found, task_status)
        finally:
            unsubscribe()
            self._serving -= 1
            if not self._serving:
                self._closing = True
                self._connections.close()

    async def _serve(
        self, listeners: Sequence[AnyListener], task_status: trio.TaskStatus[Listening]
    ) -> None:
        async with trio.open_nursery() as nursery:
            share = self._options.max_handler_threads or max(1, self._max_threads // 4)
            workers = Workers(nursery, threads=self._max_threads, share=share)

            async def connected(sock: Accepted) -> None:
                await self._connected(sock, workers, acceptor)

            acceptor = Acceptor(
                listeners,
                connected,
                max_connections=self._max_connections,
                max_handshakes=self._max_handshakes,
                plain=False,
            )
            if self._meter is not None:
                acceptor.counts = self._meter.accepting
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
            for channel in self._connections.all:
                channel.stop_handling()
            # Two rounds, as a handler of one client may call another.
            for channel in self._connections.all:
                await channel.wait_handled()
            for channel in self._connections.all:
                await channel.finish()
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections and listeners now, and wait until they are gone."""
        self._closing = True
        for channel in self._connections.all:
            channel.close()
        for acceptor in list(self._acceptors):
            acceptor.cancel_connections()
            await acceptor.wait_idle()
        if not self._serving:
            self._connections.close()

    async def wait_closed(self) -> None:
        """Wait until the server has ended: closed or cancelled, and all its handlers are through.

        One that never served has ended with :meth:`aclose`.
        """
        await self._connections.wait_closed()

    def metrics(self) -> str:
        """Connections and calls, in both directions, as OpenMetrics text.

        Raises InvalidState where the server was made without *metrics*.
        """
        return page_of(self._meter, len(self._connections))

    def _why_not_ready(self) -> str:
        if self._closing:
            return "draining"
        return "" if self._acceptors else "not listening"

    def _keys_removed(self, keys: frozenset[bytes]) -> None:
        for key in keys:
            channel = self._connections.remove(key)
            if channel is not None:
                logger.info("the key %s was removed; its connection is closed", key.hex())
                channel.close(CloseCode.NORMAL)

    async def _connected(self, sock: Accepted, workers: Workers, acceptor: Acceptor) -> None:
        address = peer_address(sock)  # asked now: a connection that was reset has none
        link = accepted_link(sock)
        try:
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
        refusal = _as_original(request.problem) or origin_problem(request)
        reserved = refusal is None and key not in self._opening
        if reserved:
            # Of two at the same instant one must be refused, also while the answer is sent.
            self._opening.add(key)
        try:
            if refusal is None and not (reserved and await self._may_enter(key)):
                why = "this server stops" if self._closing else "its first one lives"
                logger.warning(
                    "a connection of %s, from %s, was refused: %s", key.hex(), address, why
                )
                refusal = Response(200)
            if refusal is None:
                if handshake.leftover:
                    raise errors.HandshakeError("data came before the upgrade was answered")
                agreed = PROTOCOL if PROTOCOL in request.subprotocols else None
                await send_all(secured.link, handshake.accept(subprotocol=agreed))
        finally:
            if reserved:
                self._opening.discard(key)
        if refusal is not None:
            await send_all(secured.link, handshake.respond(refusal))
            await linger(secured.link)
            return None
        if self._closing or not self._credentials.allowed(key):
            return None
        make = Channel if self._meter is None else partial(MeteredChannel, self._meter)
        channel = make(
            secured.link,
            make_session(
                client=False,
                options=self._options,
                extended=handshake.accepted.subprotocol == PROTOCOL,
                backend=self._backend,
            ),
            public_key=key,
            registry=self._registry,
            workers=workers,
            options=self._options,
        )
        self._connections.add(key, channel)
        return channel

    async def _may_enter(self, key: bytes) -> bool:
        """Whether a new connection of *key* may be opened: no other one is alive."""
        first = self._connections.get(key)
        if first is not None:
            timeout = self._options.open_timeout
            within = _PROBE if timeout is None else min(_PROBE, timeout / 2)
            if await first.lives(within):
                return False
            if self._closing:
                return False  # and the first one may end in good order
            # It may have ended by itself, and nobody else can have entered meanwhile.
            if self._connections.remove(key) is not None:
                logger.warning(
                    "the connection of %s gave no sign of life for %g s: a new one takes its place",
                    key.hex(),
                    within,
                )
                first.close(why=_REPLACED)
        return not self._closing

    async def _run(self, channel: Channel) -> None:
        try:
            await channel.run()
        finally:
            self._connections.remove(channel.public_key, channel)
            channel.close()


def _as_original(problem: Response | None) -> Response | None:
    """The answer to what is no proper upgrade, with the status that the original gives it."""
    if problem is not None and problem.status == _UPGRADE_REQUIRED:
        return Response(400, problem.headers, problem.body)
    return problem


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
