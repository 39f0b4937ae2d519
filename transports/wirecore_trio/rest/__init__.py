"""REST over WebSocket: HTTP requests in both directions on one connection.

Either end may serve an application of ASGI, and either may call: :class:`Server` and
:func:`connect`. Between two ends of wirecore's many requests are under way at once, in both
directions; with the Go original it is one at a time, in one.
"""

from wirecore.protocols.rest.errors import Aborted, Refused
from wirecore.protocols.rest.heads import Fields, RequestHead
from wirecore.session import Backoff

from .._supervise import RetryPolicy
from ._asgi import AsgiHandler
from ._asgi_types import AsgiViolation
from ._asyncio_app import AsyncioApp
from ._call import Response, ResponseStream
from ._client import Client, connect
from ._connection import Connection
from ._events import ConnectionEvent, Kind, Listener
from ._incoming import Gone, Handler, Incoming
from ._lifespan import Lifespan, LifespanFailed, LifespanTimeout
from ._options import ClientOptions, Options
from ._server import Server
from ._trio_app import TrioApp
from ._websocket import WebSocket, WebSocketRefused

__all__ = [
    "Aborted",
    "AsgiHandler",
    "AsgiViolation",
    "AsyncioApp",
    "Backoff",
    "Client",
    "ClientOptions",
    "Connection",
    "ConnectionEvent",
    "Fields",
    "Gone",
    "Handler",
    "Incoming",
    "Kind",
    "Lifespan",
    "LifespanFailed",
    "LifespanTimeout",
    "Listener",
    "Options",
    "Refused",
    "RequestHead",
    "Response",
    "ResponseStream",
    "RetryPolicy",
    "Server",
    "TrioApp",
    "WebSocket",
    "WebSocketRefused",
    "connect",
]
