"""One WebSocket through a gateway."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

from wirecore import errors
from wirecore.constants import CloseCode, is_valid_close_code
from wirecore.events import Close
from wirecore.protocols.rest.errors import Aborted
from wirecore.websocket.closing import make_close
from wirecore.websocket.handshake import HANDSHAKE_FIELDS

from ..._errors import ConnectionClosed, alone
from ..._message_size import size_of
from .._websocket import WebSocket
from ._passing import Passing
from ._refusals import CallerGone, Refusal

if TYPE_CHECKING:
    from .._asgi_types import Message, Receive, Scope, Send
    from .._connection import Connection
    from ._fields import Fields
    from ._gateway import Gateway
    from ._traffic import Record
    from ._way import Way

_DENIALS: Final = "websocket.http.response"


class Relay(Passing):
    """One WebSocket through *gateway*: messages both ways, and the end of either side."""

    _response = _DENIALS

    def __init__(
        self, gateway: Gateway, scope: Scope, receive: Receive, send: Send, record: Record
    ) -> None:
        super().__init__(gateway, scope, receive, send, record)
        self._most = gateway.server.options.max_message_size
        self._websocket: WebSocket | None = None
        self._is_gone = False
        self._is_closed = False
        self._ending: trio.Event | None = None  # once somebody here ends it: when both are told
        self._opening = trio.CancelScope()
        self._telling = trio.Lock()  # both directions may end it

    async def run(self) -> None:
        """See Passing."""
        relays = self._gateway.relays
        relays.add(self)
        try:
            await super().run()
        finally:
            relays.discard(self)

    async def leave(self) -> None:
        """End it, as the gateway stops. Returns when the caller is told."""
        if self._websocket is not None:
            with suppress(Exception):  # the caller has gone, which his own task sees
                await self._end(self._websocket, make_close(CloseCode.GOING_AWAY, ""))
        elif not self._started:
            self._opening.cancel()

    async def _begin(self) -> None:
        if (await self._receive())["type"] != "websocket.connect":
            raise CallerGone

    async def _over(self, connection: Connection, way: Way) -> None:
        self._check_not_left()
        opening = connection.websocket(
            way.target,
            headers=[field for field in way.fields if field[0].lower() not in HANDSHAKE_FIELDS],
            subprotocols=self._scope.get("subprotocols", ()),
            timeout=self._gateway.response_timeout,
        )
        with alone():
            async with trio.open_nursery() as nursery:
                self._opening = nursery.cancel_scope
                nursery.start_soon(self._up, nursery.cancel_scope)
                try:
                    answer = await opening.answered()
                    if isinstance(answer, WebSocket):
                        await self._down(answer)
                    else:
                        await self._send_body(await self._answer(answer))
                except BaseException as error:
                    await opening.leave(error)
                    raise
                await opening.leave(None)
                nursery.cancel_scope.cancel()
        if self._is_gone:
            raise CallerGone
        self._check_not_left()

    def _check_not_left(self) -> None:
        if self._gateway.is_leaving and not self._started:
            raise Refusal(503, "the gateway stops")

    # --- from the caller to the publisher ---------------------------------------------------------

    async def _up(self, scope: trio.CancelScope) -> None:
        while True:
            message = await self._receive()
            websocket = self._websocket
            if websocket is None:
                self._is_gone = True
                scope.cancel()
                return
            if message["type"] != "websocket.receive":
                websocket.start_close(_end_of(message))
                return
            if not await self._pass_up(websocket, message):
                return

    async def _pass_up(self, websocket: WebSocket, message: Message) -> bool:
        """Pass a message on; whether more may follow."""
        text = message.get("text")
        data: str | bytes = bytes(message["bytes"]) if text is None else text
        size = size_of(data)
        self._record.received += size
        if size > self._most:
            reason = f"a message is longer than {self._most} bytes"
            await self._end(websocket, make_close(CloseCode.TOO_BIG, reason))
            return False
        try:
            await websocket.send(data)
        except (errors.ConnectionClosed, errors.InvalidState):
            return False  # the other direction says why
        return True

    # --- from the publisher to the caller ---------------------------------------------------------

    async def _down(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._record.status = 101
        fields = [field for field in websocket.fields if field[0].lower() not in HANDSHAKE_FIELDS]
        accept = {"type": "websocket.accept", "subprotocol": websocket.subprotocol}
        await self._tell({**accept, "headers": fields})
        self._started = True
        try:
            while True:
                data = await websocket.receive()
                kind = "text" if isinstance(data, str) else "bytes"
                await self._tell({"type": "websocket.send", kind: data})
                self._record.sent += size_of(data)
        except ConnectionClosed as error:
            if error.code in (CloseCode.ABNORMAL, CloseCode.INTERNAL_ERROR):
                self._record.note(f"closed with {error.code}: {error.reason}", failed=True)
            await self._close(_close_of(error))
        except errors.InvalidState:
            # Closed by the other direction, or as the gateway stops, and the publisher has seen
            # that. The caller is to see it, too, before his server finds that all is over.
            if self._ending is not None:
                await self._ending.wait()

    async def _end(self, websocket: WebSocket, close: Close) -> None:
        """Tell both ends."""
        ending = self._ending = trio.Event()
        try:
            websocket.start_close(close)
            await self._close(close)
        finally:
            ending.set()

    async def _close(self, close: Close) -> None:
        await self._tell({"type": "websocket.close", "code": close.code, "reason": close.reason})
        self._is_closed = True

    async def _tell(self, message: Message) -> None:
        """Tell the caller, unless he was told the end."""
        async with self._telling:
            if not self._is_closed:
                await self._send(message)

    # --- refusals, see Passing --------------------------------------------------------------------

    async def _start(self, status: int, fields: Fields) -> None:
        if _DENIALS in (self._scope.get("extensions") or {}):
            await super()._start(status, fields)
            return
        # The server can say 403, and nothing else.
        self._record.status = 403
        await self._close(make_close(CloseCode.NORMAL, ""))

    async def _send_body(self, piece: bytes = b"", *, more: bool = False) -> None:
        if not self._is_closed:
            await super()._send_body(piece, more=more)


def _end_of(message: Message) -> Close:
    """What the publisher is told where the caller has closed it, or was lost."""
    code = message.get("code")
    if code is None or code == CloseCode.NO_STATUS:
        return make_close(None, "")
    if not is_valid_close_code(code):
        return Close(CloseCode.ABNORMAL, "the caller was lost")
    return make_close(code, message.get("reason") or "")


def _close_of(error: ConnectionClosed) -> Close:
    """What the caller is told where the publisher has closed it, or was lost."""
    if error.code == CloseCode.NO_STATUS:
        return make_close(CloseCode.NORMAL, "")
    if error.code != CloseCode.ABNORMAL:
        return make_close(error.code, error.reason)
    if isinstance(error.__cause__, Aborted):
        return make_close(CloseCode.INTERNAL_ERROR, "the publisher gave it up")
    return make_close(CloseCode.SERVICE_RESTART, "the publisher was lost")
