"""One request of HTTP through a gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import trio

from wirecore import errors

from ..._errors import alone
from ._fields import without_hops
from ._refusals import CallerGone, Refusal
from ._way import Way, find_way

if TYPE_CHECKING:
    from .._asgi_types import Message, Receive, Scope, Send
    from .._call import ResponseStream
    from .._connection import Connection
    from ._gateway import Gateway
    from ._traffic import Record

#: Publishers that a request is tried with, where it certainly reached none before.
_ATTEMPTS: Final = 3


class Exchange:
    """One request through *gateway*."""

    def __init__(
        self, gateway: Gateway, scope: Scope, receive: Receive, send: Send, record: Record
    ) -> None:
        self._gateway = gateway
        self._scope = scope
        self._receive = receive
        self._send = send
        self._record = record
        self._first = b""  # of the body, and whether there is more, which can't be sent twice
        self._more = False
        self._body_over = trio.Event()  # read, or nobody wants the rest
        self._is_gone = False
        self._started = False

    async def run(self) -> None:
        """Pass it on. Raises Refusal where it is to be answered here, CallerGone."""
        way = find_way(self._gateway, self._scope)
        self._record.name = way.route.name or ""
        # Whether there is a body the head tells in HTTP/1.1 alone.
        self._first, self._more = await self._next_piece()
        if not self._more:
            self._body_over.set()
        await self._try(way)

    async def _try(self, way: Way) -> None:
        publishers = self._gateway.publishers
        tried: list[str] = []
        for _ in range(_ATTEMPTS):
            connection = publishers.choose(way.route, tried)
            if connection is None:
                break
            tried.append(connection.id)
            self._record.publisher = connection.id
            publishers.begin(connection)
            try:
                await self._over(connection, way)
            except errors.CallLost as error:
                if self._started or error.execution != "not_sent" or self._more:
                    raise self._broken(f"the publisher was lost: {error}") from error
            except errors.CallTimeout as error:
                raise Refusal(504, "the publisher didn't answer in time") from error
            except errors.LocalError as error:
                raise Refusal(400, f"the request can't be passed on: {error}") from error
            except errors.RemoteError as error:
                raise self._broken(str(error)) from error
            else:
                return
            finally:
                publishers.end(connection)
        raise Refusal(502 if tried else 503, "nobody publishes that now")

    def _broken(self, text: str) -> Exception:
        if self._started:
            # The server closes the connection: its end is all that tells that this isn't the end.
            return ConnectionAbortedError(f"a response broke off: {text}")
        return Refusal(502, text)

    async def _over(self, connection: Connection, way: Way) -> None:
        stream = connection.stream(
            self._scope["method"],
            way.target,
            headers=way.fields,
            content=self._body() if self._more else self._first,
            timeout=self._gateway.response_timeout,
        )
        with alone():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, nursery.cancel_scope)
                async with stream as response:
                    await self._answer(response)
                nursery.cancel_scope.cancel()
        if self._is_gone:
            raise CallerGone

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
        """What the caller sends, and whether there is more. Raises CallerGone, Refusal."""
        message: Message = await self._receive()
        if message["type"] == "http.disconnect":
            raise CallerGone
        piece = bytes(message.get("body", b""))
        self._record.received += len(piece)
        most = self._gateway.max_body_size
        if most is not None and self._record.received > most:
            raise Refusal(413, f"the body is longer than {most} bytes")
        return piece, bool(message.get("more_body", False))

    async def _answer(self, response: ResponseStream) -> None:
        self._record.status = response.status
        fields = without_hops(response.fields)
        start = {"type": "http.response.start", "status": response.status, "headers": fields}
        await self._send(start)
        self._started = True
        async for piece in response:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            self._record.sent += len(piece)
        await self._send({"type": "http.response.body", "body": b""})

    async def refuse(self, refusal: Refusal) -> None:
        """Answer it here."""
        self._record.status = refusal.status
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
        self._record.sent = len(body)
