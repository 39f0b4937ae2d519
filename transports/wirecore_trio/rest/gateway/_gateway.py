"""The public side of a tunnel: an application of ASGI that passes requests on to publishers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore import errors
from wirecore.session.limits import check_at_least, check_seconds

from ..._arguments import require_int, require_seconds, require_type
from ..._errors import alone
from .._server import Server
from ._fields import forwarded, without_hops
from ._publishers import Publishers, Tokens
from ._routes import Route, Routes

if TYPE_CHECKING:
    from .._asgi_types import Message, Receive, Scope, Send
    from .._call import ResponseStream
    from .._connection import Connection

access = logging.getLogger("wirecore.rest.access")

#: Publishers that a request is tried with, where it certainly reached none before.
_ATTEMPTS: Final = 3


class _Refusal(Exception):
    """The request is answered here."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class _Gone(Exception):
    """The caller has gone."""


class Gateway:
    """Passes each request on to a publisher: a client that is connected to *server*, and serves.

    Any server of ASGI on trio runs it, such as hypercorn's. *routes*: which publishers get which
    requests; None: the first part of the path is the name, and is taken off. *tokens*: who may
    publish what; then the *server* is to be made with ``on_request=tokens.admit``, too.
    *max_body_size*: bytes of a request's body; 413 beyond; None: any.
    *response_timeout*: seconds for the head of a response; 504 beyond; None: for ever.
    *trust_forwarded*: whether what a request says of where it comes from is believed.

    404 where there is no route, 503 where nobody publishes it, 502 where a publisher was lost, or
    gave up, before it answered. A request that certainly reached no publisher goes to another.
    Raises InvalidOption and TypeError for options that make no sense.
    """

    def __init__(
        self,
        server: Server,
        routes: Sequence[Route] | None = None,
        *,
        tokens: Tokens | None = None,
        max_body_size: int | None = None,
        response_timeout: float | None = 60.0,
        trust_forwarded: bool = False,
    ) -> None:
        require_type("server", server, Server)
        require_type("tokens", tokens, Tokens, optional=True)
        if max_body_size is not None:
            require_int("max_body_size", max_body_size)
            check_at_least("max_body_size", max_body_size, 0)
        require_seconds("response_timeout", response_timeout)
        check_seconds("response_timeout", response_timeout)
        self.server = server
        self._routes = None if routes is None else Routes(routes)
        self._publishers = Publishers(server, tokens)
        self._max_body_size = max_body_size
        self._response_timeout = response_timeout
        self._trusted = trust_forwarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0. WebSockets aren't passed on."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._pass_on(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1011})

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = trio.current_time()
        exchange = _Exchange(self, scope, receive, send)
        try:
            await exchange.run()
        except _Gone:
            exchange.status = exchange.status or 499
        except _Refusal as refusal:
            await exchange.refuse(refusal)
        finally:
            access.info(
                '%s "%s %s" %d %d bytes %.0f ms %s',
                (scope.get("client") or ("-",))[0],
                scope["method"],
                ascii(scope["path"])[1:-1],
                exchange.status,
                exchange.sent,
                (trio.current_time() - begun) * 1000,
                exchange.publisher or "-",
            )

    def _find(self, host: str, path: str) -> Route:
        if self._routes is not None:
            route = self._routes.find(host, path)
        else:
            name = path.split("/")[1] if path.startswith("/") else ""
            route = Route(name=name, prefix=f"/{name}", strip=True) if name else None
        if route is None:
            raise _Refusal(404, "no route leads there")
        return route


class _Exchange:
    """One request through *gateway*."""

    def __init__(self, gateway: Gateway, scope: Scope, receive: Receive, send: Send) -> None:
        self._gateway = gateway
        self._scope = scope
        self._receive = receive
        self._send = send
        self._read = 0  # bytes of the request's body
        self._first = b""  # and whether there is more, which can't be sent a second time
        self._more = False
        self._body_over = trio.Event()  # read, or nobody wants the rest
        self._is_gone = False
        self._started = False
        self.status = 0
        self.sent = 0
        self.publisher = ""

    async def run(self) -> None:
        """Pass it on. Raises _Refusal where it is to be answered here, _Gone."""
        scope = self._scope
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        path: str = scope["path"]
        route = self._gateway._find(_name_of_host(host.decode("latin-1")), path)
        target = bytes(scope.get("raw_path") or path.encode())
        if route.strip and route.prefix is not None:
            target = target[len(route.prefix.encode()) :] or b"/"
        if scope["query_string"]:
            target += b"?" + bytes(scope["query_string"])
        fields = forwarded(
            scope["headers"],
            client=(scope.get("client") or (None,))[0],
            host=host,
            scheme=scope["scheme"],
            prefix=route.prefix if route.strip else None,
            trusted=self._gateway._trusted,
        )
        # Whether there is a body the head tells in HTTP/1.1 alone.
        self._first, self._more = await self._next_piece()
        if not self._more:
            self._body_over.set()
        await self._try(route, target.decode("latin-1"), fields)

    async def _try(self, route: Route, target: str, fields: Any) -> None:
        publishers = self._gateway._publishers
        tried: list[str] = []
        for _ in range(_ATTEMPTS):
            connection = publishers.choose(route, tried)
            if connection is None:
                break
            tried.append(connection.id)
            self.publisher = connection.id
            publishers.begin(connection)
            try:
                await self._over(connection, target, fields)
            except errors.CallLost as error:
                if self._started or error.execution != "not_sent" or self._more:
                    raise self._broken(f"the publisher was lost: {error}") from error
            except errors.CallTimeout as error:
                raise _Refusal(504, "the publisher didn't answer in time") from error
            except errors.LocalError as error:
                raise _Refusal(400, f"the request can't be passed on: {error}") from error
            except errors.RemoteError as error:
                raise self._broken(str(error)) from error
            else:
                return
            finally:
                publishers.end(connection)
        raise _Refusal(502 if tried else 503, "nobody publishes that now")

    def _broken(self, text: str) -> Exception:
        if self._started:
            # The server closes the connection: its end is all that tells that this isn't the end.
            return ConnectionAbortedError(f"a response broke off: {text}")
        return _Refusal(502, text)

    async def _over(self, connection: Connection, target: str, fields: Any) -> None:
        stream = connection.stream(
            self._scope["method"],
            target,
            headers=fields,
            content=self._body() if self._more else self._first,
            timeout=self._gateway._response_timeout,
        )
        with alone():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, nursery.cancel_scope)
                async with stream as response:
                    await self._answer(response)
                nursery.cancel_scope.cancel()
        if self._is_gone:
            raise _Gone

    async def _watch(self, scope: trio.CancelScope) -> None:
        """Give up where the caller goes. While his body is read its reader hears of it."""
        await self._body_over.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        scope.cancel()

    async def _body(self) -> AsyncIterator[bytes]:
        piece, more = self._first, True
        try:
            while True:
                if piece:
                    yield piece
                if not more:
                    return
                piece, more = await self._next_piece()
        finally:
            self._body_over.set()

    async def _next_piece(self) -> tuple[bytes, bool]:
        """What the caller sends, and whether there is more. Raises _Gone, _Refusal."""
        message: Message = await self._receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        piece = bytes(message.get("body", b""))
        self._read += len(piece)
        most = self._gateway._max_body_size
        if most is not None and self._read > most:
            raise _Refusal(413, f"the body is longer than {most} bytes")
        return piece, bool(message.get("more_body", False))

    async def _answer(self, response: ResponseStream) -> None:
        self.status = response.status
        fields = without_hops(response.fields)
        start = {"type": "http.response.start", "status": response.status, "headers": fields}
        await self._send(start)
        self._started = True
        async for piece in response:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            self.sent += len(piece)
        await self._send({"type": "http.response.body", "body": b""})

    async def refuse(self, refusal: _Refusal) -> None:
        """Answer it here."""
        self.status = refusal.status
        body = f"{refusal.text}\n".encode()
        fields = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
        ]
        if refusal.status == 503:
            fields.append((b"retry-after", b"5"))
        start = {"type": "http.response.start", "status": refusal.status, "headers": fields}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})
        self.sent = len(body)


def _name_of_host(host: str) -> str:
    """*host* without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


async def _live(receive: Receive, send: Send) -> None:
    for stage in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{stage}.complete"})
