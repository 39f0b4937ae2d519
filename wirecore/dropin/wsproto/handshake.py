"""Handshakes: wsproto's H11Handshake, with our Connection at its end."""

from __future__ import annotations

import h11
from wsproto.events import AcceptConnection
from wsproto.handshake import (
    WEBSOCKET_UPGRADE,
    WEBSOCKET_VERSION,
    client_extensions_handshake,
    server_extensions_handshake,
)
from wsproto.handshake import H11Handshake as _H11Handshake

from wirecore.dropin.wsproto._bound import check_bound
from wirecore.dropin.wsproto.connection import Connection, ConnectionType

__all__ = [
    "WEBSOCKET_UPGRADE",
    "WEBSOCKET_VERSION",
    "H11Handshake",
    "client_extensions_handshake",
    "server_extensions_handshake",
]


class H11Handshake(_H11Handshake):
    """wsproto's H11Handshake, made the same way; *max_message_size* is of its Connection.

    Raises InvalidOption where that isn't 1 to sys.maxsize, TypeError where it isn't an int or None.
    """

    def __init__(
        self, connection_type: ConnectionType, *, max_message_size: int | None = None
    ) -> None:
        check_bound(max_message_size)
        super().__init__(connection_type)
        self._max_message_size = max_message_size

    # Each of the two leaves a Connection that has done nothing yet: ours takes its place.

    def _accept(self, event: AcceptConnection) -> bytes:
        answer = super()._accept(event)
        self._connection = Connection(
            ConnectionType.SERVER, event.extensions, max_message_size=self._max_message_size
        )
        return answer

    def _establish_client_connection(self, event: h11.InformationalResponse) -> AcceptConnection:
        accepted = super()._establish_client_connection(event)
        self._connection = Connection(
            ConnectionType.CLIENT,
            accepted.extensions,
            self._h11_connection.trailing_data[0],
            max_message_size=self._max_message_size,
        )
        return accepted
