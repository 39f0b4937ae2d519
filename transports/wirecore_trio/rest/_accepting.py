"""One address that a server listens on: upgrades, handshakes, and attending to each connection."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from wirecore._backend import default

from .._dispatch import Workers
from .._network import AnyListener
from ..websocket import _accepting
from ..websocket._accepting import Serving
from ..websocket._opened import Upgraded
from ._channel import Channel
from ._connection import Connection
from ._metered import MeteredConnection
from ._opening import open_channel

if TYPE_CHECKING:
    from ._server import Server

logger = logging.getLogger("wirecore.rest")


class Bound(_accepting.Bound["Connection"]):
    """What ``serve`` gives to its ``task_status``: a server's bound addresses."""

    def __init__(
        self,
        server: Server,
        serving: Serving,
        listeners: Sequence[AnyListener],
        nursery: trio.Nursery,
    ) -> None:
        super().__init__(serving, listeners, nursery.cancel_scope)
        self._server = server
        self._nursery = nursery
        self._workers = Workers(nursery)

    def _connect(self, upgraded: Upgraded, peer: str) -> Connection | None:
        server, opened = self._server, upgraded.opened
        if server.draining:
            return None
        assert opened.request is not None, "a server has the client's request"
        options = server.options
        meter = server._meter
        make = Connection if meter is None else partial(MeteredConnection, meter)
        connection = make(
            options,
            self._workers,
            remote_address=peer,
            host=b"localhost",
            scheme=b"http",
            http_request=opened.request,
            on_ping=server.on_ping,
            on_pong=server.on_pong,
        )
        connection.id = default.entropy.uuid4_text()
        connection._channel = open_channel(
            connection,
            upgraded,
            _Listener(server, self, connection),
            options,
            client=False,
            nursery=self._nursery,
            backend=server._backend,
        )
        return connection

    def start_soon(self, function: Any, *arguments: Any) -> None:
        """A task, which ends with the server at the latest."""
        self._nursery.start_soon(function, *arguments)


class _Listener:
    """Passes on what a channel tells, to its connection and its server."""

    __slots__ = ("_bound", "_connection", "_server")

    def __init__(self, server: Server, bound: Bound, connection: Connection) -> None:
        self._server = server
        self._bound = bound
        self._connection = connection

    def _ready(self, channel: Channel, value: Any) -> None:
        self._connection.metadata = value
        self._server._joined(self._bound, self._connection)

    def _requested(self, channel: Channel, stream: Any) -> None:
        self._connection._requested(channel, stream)

    def _leaving(self, channel: Channel) -> None:
        self._connection._leaving(channel)

    def _ended(self, channel: Channel) -> None:
        problem = channel.session.problem
        if problem is not None:
            logger.warning("%r is closed: %s", self._connection, problem)
        self._server._left(self._connection)
