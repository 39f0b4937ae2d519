"""A path at which providers call what the pool serves: Go's BindIn."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from wirecore.constants import CloseCode
from wirecore.protocols.pool import PROTOCOL, ServingSession

from ._registry import Registry
from ._serving_channel import ServingChannel

if TYPE_CHECKING:
    from wirecore.websocket import Request as HttpRequest

    from ..websocket._opened import Upgraded
    from ._accepting import Bound
    from ._codecs import Gob, Json
    from ._identity import Introduction
    from ._server import PoolServer


logger = logging.getLogger("wirecore.pool")


class CallbackConnection:
    """A connection over which a provider calls the pool; handlers see it in ``current_call()``.

    *identity*, *remote_address*, *http_request* and *connected_at* are as
    :class:`ProviderConnection` has them.
    """

    def __init__(
        self,
        server: PoolServer,
        binding: CallbackBinding,
        identity: str | None,
        request: HttpRequest,
        peer: str,
    ) -> None:
        self._server = server
        self.path = binding.path
        self._binding = binding
        self.identity = identity
        self.http_request = request
        self.remote_address = peer
        self.connected_at = trio.current_time()
        self._channel: ServingChannel

    def __repr__(self) -> str:
        return f"<pool.CallbackConnection {self.identity or self.remote_address} at {self.path}>"

    def close(self, code: int = CloseCode.GOING_AWAY) -> None:
        """End the connection in good order. Never waits. Idempotent."""
        self._channel.close(code)

    def drain(self) -> None:
        """Answer new calls with an error; the server closes it when its handlers are through."""
        self._channel.stop_handling()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        await self._channel.wait_ended()

    async def _run(self, leftover: bytes) -> None:
        if self._server._is_revoked(self.identity):
            logger.warning("%r was revoked: the connection is closed", self)
            self.close(CloseCode.POLICY_VIOLATION)
        self._binding.connections.add(self)
        try:
            await self._channel.run(leftover)
        finally:
            self._binding.connections.discard(self)


class CallbackBinding:
    """What is served to providers that connect at *path*."""

    def __init__(self, path: str, codec: Gob | Json) -> None:
        self.path = path
        self.codec = codec
        self.registry = Registry()
        #: The open connections.
        self.connections: set[CallbackConnection] = set()

    def connect(
        self,
        server: PoolServer,
        bound: Bound,
        upgraded: Upgraded,
        introduction: Introduction,
        identity: str | None,
        peer: str,
    ) -> CallbackConnection:
        """The connection of a provider that was let in."""
        opened = upgraded.opened
        options = server.options
        assert opened.request is not None
        session = ServingSession(
            self.codec.serving(options.max_message_size, server._codec_backend),
            self.registry.find,
            client=False,
            limits=options.limits,
            heartbeat=options.heartbeat(),
            close_timeout=options.close_timeout,
            extended=opened.subprotocol == PROTOCOL,
            backend=server._codec_backend,
        )
        connection = CallbackConnection(server, self, identity, opened.request, peer)
        connection._channel = ServingChannel(
            upgraded.link,
            session,
            bound.workers,
            options,
            peer=f"{identity} ({peer})" if identity else peer,
            total=server._handling,
            connection=connection,
        )
        return connection

    def stop(self) -> None:
        """Answer new calls with an error; those that are being handled go on."""
        for connection in self.connections:
            connection._channel.stop_handling()

    def close(self) -> None:
        """The pool is closed: nobody waits for anything here."""

    async def wait_idle(self) -> None:
        """Wait until no call is being handled."""
        for connection in list(self.connections):
            await connection._channel.wait_handled()
