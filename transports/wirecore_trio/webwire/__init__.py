"""webwire on trio: requests, replies, signals and sessions, over WebSocket.

A server::

    server = webwire.Server(store=webwire.MemoryStore())

    @server.request("echo")
    async def echo(request):
        return request.payload

    await server.serve("127.0.0.1", 8080)

A client::

    async with webwire.connect("ws://127.0.0.1:8080/") as client:
        reply = await client.request("echo", "hello")
        print(reply.text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecore._late import late_names
from wirecore.errors import Incompatible, InvalidMessage, UnsendableMessage, UpgradeRejected
from wirecore.protocols.webwire import (
    BufferOverflow,
    BufferSizeMismatch,
    ConnectionTimeout,
    DeadlineExceeded,
    DialTimeout,
    Encoding,
    IncompatibleVersion,
    InternalError,
    MaxSessionConnectionsReached,
    Payload,
    RequestError,
    Sendable,
    ServerShutdown,
    Session,
    SessionNotFound,
    SessionsDisabled,
    SubprotocolMismatch,
    UnexpectedFirstMessage,
)
from wirecore.session import Backoff
from wirecore.websocket import Request as HttpRequest
from wirecore.websocket import Response

from .._listening import Listening
from .._supervise import RetryPolicy
from ._client import Client
from ._codecs import Codec, Json, Struct
from ._connection import Connection
from ._entering import Connecting, connect
from ._errors import Disconnected, TransmissionFailed
from ._messages import Request, ServerSignal, Signal
from ._options import ClientOptions, ServerOptions
from ._pending import Done, PendingRequest
from ._rooms import Room
from ._server import Server, Upgrade
from ._status import Status
from .stores import (
    FileStore,
    MemoryStore,
    SessionStore,
    SharedStore,
    StoreDamaged,
    StoreError,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from .stores import RedisStore, SQLiteStore

__all__ = [
    "Backoff",
    "BufferOverflow",
    "BufferSizeMismatch",
    "Client",
    "ClientOptions",
    "Codec",
    "Connecting",
    "Connection",
    "ConnectionTimeout",
    "DeadlineExceeded",
    "DialTimeout",
    "Disconnected",
    "Done",
    "Encoding",
    "FileStore",
    "HttpRequest",
    "Incompatible",
    "IncompatibleVersion",
    "InternalError",
    "InvalidMessage",
    "Json",
    "Listening",
    "MaxSessionConnectionsReached",
    "MemoryStore",
    "Payload",
    "PendingRequest",
    "RedisStore",
    "Request",
    "RequestError",
    "Response",
    "RetryPolicy",
    "Room",
    "SQLiteStore",
    "Sendable",
    "Server",
    "ServerOptions",
    "ServerShutdown",
    "ServerSignal",
    "Session",
    "SessionNotFound",
    "SessionStore",
    "SessionsDisabled",
    "SharedStore",
    "Signal",
    "Status",
    "StoreDamaged",
    "StoreError",
    "StoreUnavailable",
    "Struct",
    "SubprotocolMismatch",
    "TransmissionFailed",
    "UnexpectedFirstMessage",
    "UnsendableMessage",
    "Upgrade",
    "UpgradeRejected",
    "connect",
]

if not TYPE_CHECKING:
    # coredis and sqlite3 are loaded by those who use them.
    __getattr__, __dir__ = late_names(__name__, {"stores": ("RedisStore", "SQLiteStore")})
