"""Serving an application of ASGI 3.0: one WebSocket.

The WebSocket specification 2.5 of ASGI, with the extension ``websocket.http.response``.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

import trio

from wirecore._backend import default
from wirecore.constants import CloseCode
from wirecore.errors import LocalError, kind_of
from wirecore.events import Close
from wirecore.websocket.closing import make_close
from wirecore.websocket.handshake import HANDSHAKE_FIELDS

from ._asgi_exchange import AsgiExchange, logger
from ._asgi_response import fields_of
from ._asgi_scope import offered_subprotocols
from ._asgi_types import AsgiViolation, Message
from ._incoming import Gone, Incoming
from ._messages import Messages

#: Seconds that a caller has to take the end of it.
_PATIENCE: Final = 5.0

_DENIAL: Final = "websocket.http.response."


class _State(Enum):
    ASKED = auto()
    ACCEPTED = auto()
    DENIED = auto()
    TORN = auto()  # an answer was cancelled, and nobody knows whether it left


class AsgiWebSocket(AsgiExchange):
    """One WebSocket. *max_size*: bytes of one of its messages.

    An application that returns and hasn't closed it has it closed with 1000; one that fails, with
    1011. Where this end drains, it is told 1012, and has its *grace*.
    """

    __slots__ = ("_connected", "_end", "_messages", "_state")

    def __init__(self, incoming: Incoming, grace: float | None, max_size: int) -> None:
        super().__init__(incoming, grace)
        self._messages = Messages(incoming, max_size)
        self._state = _State.ASKED
        self._connected = False
        #: Why there is nothing more to receive, once there isn't.
        self._end: Close | None = None

    def _drain(self) -> None:
        """This end is about to go, and a WebSocket has no end of its own."""
        if self._end is None and not self._through:
            self._end = make_close(CloseCode.SERVICE_RESTART, "the server is going away")
            self._limit(0)
            self._set_over()

    async def receive(self) -> Message:
        """``receive`` of ASGI."""
        if not self._connected:
            self._connected = True
            await trio.lowlevel.checkpoint()
            return {"type": "websocket.connect"}
        return await super().receive()

    # --- see AsgiExchange -----------------------------------------------------------------------

    @property
    def _through(self) -> bool:
        return self._response.ended or self._messages.closing is not None

    def _disconnect(self) -> Message:
        end = self._end or self._messages.closing or Close(CloseCode.ABNORMAL, "")
        code = CloseCode.NO_STATUS if end.code is None else end.code
        return {"type": "websocket.disconnect", "code": int(code), "reason": end.reason}

    async def _next(self) -> Message | None:
        item = await self._messages.receive()
        if isinstance(item, Close):
            self._end = self._end or item
            self._limit(0)
            self._set_over()
            return None
        is_text = isinstance(item, str)
        return {
            "type": "websocket.receive",
            "bytes": None if is_text else item,
            "text": item if is_text else None,
        }

    async def _take(self, message: Message) -> None:
        kind = message["type"]
        if self._state is _State.ACCEPTED:
            await self._take_accepted(kind, message)
        elif self._state is _State.ASKED and kind == "websocket.accept":
            await self._accept(message)
        elif self._state is _State.ASKED and kind == "websocket.close":
            await self._deny()
        elif self._state is not _State.TORN and kind.startswith(_DENIAL):
            self._state = _State.DENIED
            await self._respond({**message, "type": kind.removeprefix("websocket."), **_PLAIN})
        else:
            raise AsgiViolation(f"{kind!r} came where a WebSocket is {self._state.name.lower()}")

    async def _accept(self, message: Message) -> None:
        fields = []
        for name, value in fields_of(message.get("headers", ())):
            if name.lower() == b"sec-websocket-protocol":
                raise AsgiViolation("the subprotocol is a key of 'websocket.accept', no header")
            if name.lower() not in HANDSHAKE_FIELDS:
                fields.append((name, value))
        subprotocol = message.get("subprotocol")
        if subprotocol is not None:
            if subprotocol not in offered_subprotocols(self._incoming.head):
                raise AsgiViolation(f"the subprotocol {subprotocol!r:.50} wasn't offered")
            fields.append((b"Sec-WebSocket-Protocol", subprotocol.encode("ascii")))
        self._state = _State.TORN
        try:
            await self._incoming.respond(101, fields)
        except LocalError:
            self._state = _State.ASKED
            raise
        self._state = _State.ACCEPTED
        self._incoming.on_drain(self._drain)

    async def _deny(self) -> None:
        """Closed before it was accepted."""
        self._state = _State.DENIED
        await self._respond(
            {
                "type": "http.response.start",
                "status": 403,
                "headers": [(b"Content-Length", b"0")],
            }
        )
        await self._respond({"type": "http.response.body"})

    async def _take_accepted(self, kind: str, message: Message) -> None:
        if self._messages.closing is not None:
            if self._end is not None:
                raise Gone  # the caller broke a rule, and was told so
            raise AsgiViolation(f"{kind!r} came after the WebSocket was closed")
        if kind == "websocket.send":
            if not await self._messages.send(_payload(message)):
                # He has closed it. What he said before may yet be received.
                self._limit(0)
                raise Gone
            await trio.lowlevel.checkpoint()
        elif kind == "websocket.close":
            code = message.get("code", CloseCode.NORMAL)
            close = make_close(code, message.get("reason") or "")
            try:
                await self._messages.close(close)
            finally:
                self._set_through()
        else:
            raise AsgiViolation(f"{kind!r} is no message that can be sent for a WebSocket")

    async def _finish(self) -> None:
        if self._state is not _State.ACCEPTED:
            await self._finish_response()
            return
        error = self._failure
        if self._messages.closing is not None and self._end is None:
            if error is not None:
                self._log("failed when it had closed its WebSocket already", error)
        elif self._gone:
            self._report_gone()
        else:
            try:
                with trio.move_on_after(_PATIENCE):
                    await self._close(error)
            except Gone:
                logger.debug("%s: the caller had gone before it was closed", self._name())

    async def _close(self, error: BaseException | None) -> None:
        if self._end is None and self._incoming.ended:
            self._end = await self._messages.read_to_end()
        close = self._end
        if close is not None:
            if error is not None:
                self._report_gone()
        elif error is None:
            close = make_close(CloseCode.NORMAL, "")
        else:
            number = default.entropy.uuid4_text()
            self._log(f"failed; the caller was told: internal error {number}", error)
            close = make_close(CloseCode.INTERNAL_ERROR, f"internal error {number}")
        await self._messages.close(close)


#: What of an ordinary response a denial doesn't have.
_PLAIN: Final = {"trailers": False}


def _payload(message: Message) -> str | bytes:
    """What a ``websocket.send`` is to send."""
    data, text = message.get("bytes"), message.get("text")
    if data is not None:
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        raise AsgiViolation(f"bytes must be bytes, not {kind_of(data)}")
    if isinstance(text, str):
        return text
    what = "neither bytes nor text" if text is None else f"text that is {kind_of(text)}"
    raise AsgiViolation(f"'websocket.send' has {what}")
