"""One address that a server listens on: accepting, and attending to each connection."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from .._dispatch import Workers
from ..websocket._accepting import Accepting, Serving
from ..websocket._opened import Upgraded

if TYPE_CHECKING:
    from ._connection import Connection
    from ._server import Server

logger = logging.getLogger("wirecore.webwire")


class Bound(Accepting["Connection"]):
    """What ``serve`` gives to its ``task_status``: a server's bound addresses."""

    def __init__(
        self,
        server: Server,
        serving: Serving,
        listeners: Sequence[socket.socket],
        workers: Workers,
        scope: trio.CancelScope,
    ) -> None:
        super().__init__(serving, listeners)
        self._scope = scope
        self._server = server
        self._workers = workers
        self._leftovers: dict[Connection, bytes] = {}

    def _begin(self, upgraded: Upgraded, peer: str) -> Connection | None:
        opened = upgraded.opened
        assert opened.request is not None, "a server has the client's request"
        if self._server.stopping:
            return None
        connection = self._server._make_connection(
            upgraded.link, opened.request, opened.answer, self._workers, peer
        )
        if upgraded.leftover:
            self._leftovers[connection] = upgraded.leftover
        return connection

    async def _attend(self, connection: Connection, peer: str) -> None:
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

    def _cancel_left(self) -> None:
        self.cancel()

    def cancel(self) -> None:
        """Cancel what is left: handlers and connections, or the wait for a store."""
        self._scope.cancel()
