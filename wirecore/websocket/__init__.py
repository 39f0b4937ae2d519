"""WebSocket without I/O: opening handshake, messages, compression, close (RFC 6455, RFC 7692).

A client: :class:`ClientHandshake`, then :class:`Connection`; a server: :class:`ServerHandshake`,
then Connection. What a handshake has left over of the bytes it was given
(``handshake.leftover``) is the connection's. Importing the package loads none of them: each name
is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecore._late import late_names

if TYPE_CHECKING:
    from wirecore.websocket.client import DEFAULT_USER_AGENT, ClientHandshake
    from wirecore.websocket.connection import Connection
    from wirecore.websocket.deflate import DeflateOffer, DeflateParameters, Deflater, Inflater
    from wirecore.websocket.handshake import Accepted
    from wirecore.websocket.http import Response
    from wirecore.websocket.request import Request, origin_problem
    from wirecore.websocket.server import BadRequest, ServerHandshake
    from wirecore.websocket.state import State

__all__ = [
    "DEFAULT_USER_AGENT",
    "Accepted",
    "BadRequest",
    "ClientHandshake",
    "Connection",
    "DeflateOffer",
    "DeflateParameters",
    "Deflater",
    "Inflater",
    "Request",
    "Response",
    "ServerHandshake",
    "State",
    "origin_problem",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = late_names(
        __name__,
        {
            "client": ("DEFAULT_USER_AGENT", "ClientHandshake"),
            "connection": ("Connection",),
            "deflate": ("DeflateOffer", "DeflateParameters", "Deflater", "Inflater"),
            "handshake": ("Accepted",),
            "http": ("Response",),
            "request": ("Request", "origin_problem"),
            "server": ("BadRequest", "ServerHandshake"),
            "state": ("State",),
        },
    )
