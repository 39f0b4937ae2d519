"""One request of HTTP through a gateway."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from ..._errors import alone
from .._hints import hints_of
from ._passing import Passing
from ._refusals import CallerGone, Refusal
from ._targets import announced_body
from ._way import Way

if TYPE_CHECKING:
    from .._asgi_types import Message, Receive, Scope, Send
    from .._connection import Connection
    from .._hints import Hints
    from .._requesting import Streaming
    from ._gateway import Gateway
    from ._traffic import Record

logger = logging.getLogger("wirecore.rest.gateway")

#: Seconds for a server to say that a connection is through, once it is told so.
_PATIENCE: Final = 10.0


async def _drop(receive: Receive, reading: trio.CancelScope, sending: trio.CancelScope) -> None:
    """Read on, within *reading*, until the caller has gone; then *sending* has not long to live."""
    with reading:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        except Exception:
            logger.debug("the rest of a request couldn't be read", exc_info=True)
        sending.deadline = trio.current_time() + _PATIENCE


class Exchange(Passing):
    """One request through *gateway*."""

    _response = "http.response"

    def __init__(
        self, gateway: Gateway, scope: Scope, receive: Receive, send: Send, record: Record
    ) -> None:
        super().__init__(gateway, scope, receive, send, record)
        self._hints = hints_of(scope)
        self._first = b""  # of the body, and whether there is more, which can't be sent twice
        self._more = False
        self._body_over: trio.Event | None = None  # read, or nobody wants the rest
        self._is_gone = False
        #: Whoever reads on, and what is sent to a caller who may have gone meanwhile.
        self._reading = trio.CancelScope()
        self._sending = trio.CancelScope()
        self._is_looked_out = False  # somebody reads on, or the caller has gone

    async def run(self) -> None:
        """See Passing."""
        try:
            await super().run()
        finally:
            if trio.current_effective_deadline() == -math.inf:
                # The server ends it, and has no connection any more that would have to be read.
                self._is_looked_out = True
                self._reading.cancel()
            self._look_out()
            self._reading.deadline = trio.current_time() + _PATIENCE

    async def refuse(self, refusal: Refusal) -> None:
        """See Passing."""
        self._look_out()
        with self._sending:
            await super().refuse(refusal)

    def _look_out(self) -> None:
        """Read what nobody wants any more, and hear of it when the caller goes.

        What is sent to one who has gone comes to an end then, of which no server need tell. And a
        server such as hypercorn waits for room for each message, and for the one that says that the
        connection is through: without a reader it would never close it.
        """
        if self._hints is None and not self._is_looked_out:
            self._is_looked_out = True
            trio.lowlevel.spawn_system_task(_drop, self._receive, self._reading, self._sending)

    async def _begin(self) -> None:
        length, self._more = announced_body(self._scope)
        if length is not None:
            self._check_size(length)
        hints = self._hints
        if not self._more or (length is not None and hints is not None and hints.is_whole):
            # Whether there is a body the head tells in HTTP/1.1 alone; where it does, the answer
            # may come before the body, unless that is there already.
            seconds = self._gateway.response_timeout
            with trio.move_on_after(math.inf if seconds is None else seconds):
                self._first, self._more = await self._next_piece()
                return
            raise Refusal(408, "the request didn't come to its end in time")

    @property
    def _is_once(self) -> bool:
        return self._more

    async def _over(self, connection: Connection, way: Way) -> None:
        if way.slashed is not None and self._scope["method"] in ("GET", "HEAD"):
            raise Refusal(308, "it is there with a slash at the end", location=way.slashed)
        stream = connection.stream(
            self._scope["method"],
            way.target,
            headers=way.fields,
            content=self._body() if self._more else self._first,
            timeout=self._gateway.response_timeout,
        )
        if self._hints is None:
            last = await self._watched(stream)
        else:
            last = await self._hinted(stream, self._hints)
        if self._is_gone:
            raise CallerGone
        # Nobody watches any more: a server says that the caller has gone when it closes the
        # connection behind the last byte, and mustn't be cancelled at that.
        self._look_out()
        with self._sending:
            await self._send_body(last)
        if self._sending.cancelled_caught:
            raise CallerGone

    async def _hinted(self, stream: Streaming, hints: Hints) -> bytes:
        """As :meth:`_watched`, where the server tells that the caller goes."""
        last = b""
        with trio.CancelScope() as scope:
            hints.on_gone(partial(self._give_up, scope))
            try:
                async with stream as response:
                    last = await self._answer(response)
            finally:
                hints.on_gone(None)
        return last

    async def _watched(self, stream: Streaming) -> bytes:
        """What is left to send of the response of *stream*; or the caller has gone."""
        self._body_over = trio.Event()
        if not self._more:
            self._body_over.set()
        last = b""
        with alone():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, self._body_over, nursery.cancel_scope)
                async with stream as response:
                    last = await self._answer(response)
                nursery.cancel_scope.cancel()
        return last

    async def _watch(self, body_over: trio.Event, scope: trio.CancelScope) -> None:
        """Give up where the caller goes. While his body is read its reader hears of it."""
        await body_over.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._give_up(scope)

    def _give_up(self, scope: trio.CancelScope) -> None:
        self._is_gone = self._is_looked_out = True
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
            if self._body_over is not None:
                self._body_over.set()

    async def _next_piece(self) -> tuple[bytes, bool]:
        """What the caller sends, and whether there is more. Raises CallerGone, Refusal."""
        message: Message = await self._receive()
        if message["type"] == "http.disconnect":
            self._is_looked_out = True
            raise CallerGone
        piece = bytes(message.get("body", b""))
        more = bool(message.get("more_body", False))
        self._record.received += len(piece)
        self._check_size(self._record.received)
        return piece, more

    def _check_size(self, size: int) -> None:
        most = self._gateway.max_body_size
        if most is not None and size > most:
            raise Refusal(413, f"the body is longer than {most} bytes")
