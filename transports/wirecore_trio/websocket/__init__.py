"""WebSocket on trio: dial, serve, send, receive.

The client::

    async with websocket.connect("ws://127.0.0.1:8000/") as ws:
        await ws.send("hello")
        print(await ws.receive())

The server::

    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    await websocket.serve(echo, "127.0.0.1", 8000)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecore._late import late_names
from wirecore.errors import HandshakeError, UpgradeRejected
from wirecore.events import Message, RawText
from wirecore.session import Backoff, Limits
from wirecore.websocket import DeflateOffer

from .._errors import AlreadyClosed, ConnectionClosed
from .._supervise import RetryPolicy
from ._connection import Streaming, WebSocket
from ._options import Options

if TYPE_CHECKING:
    from wirecore.websocket import Request, Response

    from ._broadcast import broadcast
    from ._client import DialOptions, Prepared, connect, reconnecting, wrap_client
    from ._server import Handler, Server, serve, wrap_server
    from ._upgrading import Accept, OnRequest

__all__ = [
    "Accept",
    "AlreadyClosed",
    "Backoff",
    "ConnectionClosed",
    "DeflateOffer",
    "DialOptions",
    "Handler",
    "HandshakeError",
    "Limits",
    "Message",
    "OnRequest",
    "Options",
    "Prepared",
    "RawText",
    "Request",
    "Response",
    "RetryPolicy",
    "Server",
    "Streaming",
    "UpgradeRejected",
    "WebSocket",
    "broadcast",
    "connect",
    "reconnecting",
    "serve",
    "wrap_client",
    "wrap_server",
]

if not TYPE_CHECKING:
    # Most programs are a client or a server, not both: each side is loaded by the first who asks.
    __getattr__, __dir__ = late_names(
        __name__,
        {
            "_broadcast": ("broadcast",),
            "_client": ("DialOptions", "Prepared", "connect", "reconnecting", "wrap_client"),
            "_server": ("Handler", "Server", "serve", "wrap_server"),
            "_upgrading": ("Accept", "OnRequest", "Request", "Response"),
        },
    )
