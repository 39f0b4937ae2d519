"""Serving an application of ASGI 3.0, such as Starlette's and FastAPI's: one request.

The HTTP specification 2.3 of ASGI, with ``http.response.trailers``, and with an OSError from
``send`` as 2.4 has it; and the one of WebSockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wirecore.constants import DEFAULT_MAX_MESSAGE_SIZE
from wirecore.errors import InvalidOption
from wirecore.session.limits import check_at_least

from .._arguments import require_async, require_int, require_seconds, require_type
from ._asgi_exchange import AsgiExchange
from ._asgi_forwarded import take_forwarded
from ._asgi_scope import http_scope, websocket_scope
from ._asgi_types import App, Message
from ._asgi_websocket import AsgiWebSocket
from ._incoming import Gone, Incoming


class AsgiHandler:
    """A handler of requests that calls *app*, an application of ASGI 3.0, for each.

    The application runs on trio. Functions without ``async`` that Starlette and FastAPI run in
    threads work as they do elsewhere, and so does whatever stands on anyio (its releases each ask
    for a trio of their time, which is newer than what wirecore asks for). An application that needs
    asyncio, such as Quart's, or one with most drivers of databases that FastAPI is used with, is
    given as :class:`AsyncioApp`. Without that asyncio's functions raise RuntimeError ("no running
    event loop") on trio, or trio raises TypeError for an asyncio future that it is to wait for; the
    caller gets 500, and the log says why.

    *root_path*: where the application is mounted for its callers, if what they ask for here lacks
    that: it is put before ``path``, as uvicorn does, and not before ``raw_path``. *grace*: seconds,
    0 at least, that the application may go on when its caller has gone, or when a body that nobody
    gets has no end; then it is cancelled; None: it never is. It learns of that from ``receive``,
    which gives ``http.disconnect``, and from ``send``, which raises :class:`Gone`. Once its
    response is through it may run as long as it likes. *state*: what each ``scope["state"]`` is a
    copy of; :attr:`Lifespan.state`, for one. *trust_forwarded*: whether the peer is a gateway,
    which says in ``X-Forwarded-For``, ``-Proto`` and ``-Prefix`` who asks, and how: then that
    stands in the scope, as if the caller had come here himself. *max_message_size*: bytes of one
    message of a WebSocket; with a longer one it is closed.

    Raises TypeError and InvalidOption for arguments that make no sense. To call it raises nothing
    but what ends programs and cancellation: an application that fails before it answered has its
    caller get 500, later its response is reset, or its WebSocket closed with 1011.
    """

    __slots__ = ("_app", "_grace", "_max_message_size", "_root_path", "_state", "_trusts")

    def __init__(
        self,
        app: App,
        *,
        root_path: str = "",
        grace: float | None = 5.0,
        state: Mapping[str, Any] | None = None,
        trust_forwarded: bool = False,
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
    ) -> None:
        require_async("app", app, "scope", "receive", "send")
        require_type("root_path", root_path, str)
        require_type("trust_forwarded", trust_forwarded, bool)
        require_seconds("grace", grace)
        if grace is not None and not grace >= 0:
            raise InvalidOption(f"grace must be 0 at least or None, not {grace}")
        require_int("max_message_size", max_message_size)
        check_at_least("max_message_size", max_message_size, 1)
        self._app = app
        self._grace = grace
        self._max_message_size = max_message_size
        self._root_path = root_path
        self._trusts = trust_forwarded
        self._state: Mapping[str, Any] = {} if state is None else state

    async def __call__(self, incoming: Incoming) -> None:
        """Serve *incoming*."""
        exchange: AsgiExchange
        if incoming.head.is_websocket:
            scope = websocket_scope(incoming, root_path=self._root_path, state=self._state)
            exchange = AsgiWebSocket(incoming, self._grace, self._max_message_size)
        else:
            scope = http_scope(incoming, root_path=self._root_path, state=self._state)
            exchange = _Request(incoming, self._grace)
        if self._trusts:
            take_forwarded(scope)
        await exchange.serve(self._app, scope)


class _Request(AsgiExchange):
    """One request of HTTP."""

    __slots__ = ("_received_end",)

    def __init__(self, incoming: Incoming, grace: float | None) -> None:
        super().__init__(incoming, grace)
        self._received_end = False

    # --- see AsgiExchange ---------------------------------------------------------------------

    @property
    def _through(self) -> bool:
        return self._response.ended

    async def _finish(self) -> None:
        await self._finish_response()

    async def _next(self) -> Message | None:
        if self._received_end:
            return None
        piece = await self._incoming.receive()
        self._received_end = piece is None
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    def _disconnect(self) -> Message:
        return {"type": "http.disconnect"}

    async def _take(self, message: Message) -> None:
        try:
            await self._respond(message)
        except Gone:
            self._lost()
            raise
