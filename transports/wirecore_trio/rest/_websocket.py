"""Calling a WebSocket: within an exchange, between our own ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Final

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.events import Buffer, Close
from wirecore.protocols.rest.errors import Aborted
from wirecore.protocols.rest.gohttp import values_of
from wirecore.protocols.rest.heads import Fields, RequestHead
from wirecore.websocket.closing import make_close

from .._entered import Entered
from .._errors import AlreadyClosed, ConnectionClosed
from ..websocket._connection import ORDERLY, no_message
from ._call import Call, Response, ResponseStream
from ._messages import Messages

if TYPE_CHECKING:
    from ._options import Options
    from ._requesting import Streaming

#: Bytes of a refusal's body that are kept.
_MOST: Final = 64 * 1024

_PROTOCOL: Final = b"Sec-WebSocket-Protocol"


def opening_head(head: RequestHead, subprotocols: Sequence[str]) -> RequestHead:
    """*head*, of GET, as one that asks for a WebSocket."""
    fields = list(head.fields)
    if subprotocols:
        fields.append((_PROTOCOL, ", ".join(subprotocols).encode("ascii")))
    scheme = b"wss" if head.scheme == b"https" else b"ws"
    return replace(head, fields=fields, scheme=scheme)


class WebSocketRefused(errors.UpgradeRejected):
    """A WebSocket was asked for, and the answer was another. *response*: the beginning of it."""

    def __init__(self, response: Response) -> None:
        fields = [(name.lower(), value) for name, value in response.fields]
        super().__init__(response.status, fields, response.body)
        self.response = response


class WebSocket:
    """A WebSocket over a connection; :meth:`Connection.websocket` makes it.

    *subprotocol*: the one that was chosen, or None; *fields*: all fields of the response. One task
    may receive at a time; any number may send. ``async for message in ws`` ends when it was closed
    with 1000, 1001 or no code (or by this program), and raises ConnectionClosed for any other end.
    """

    def __init__(
        self, call: Call, fields: Fields, subprotocol: str | None, options: Options
    ) -> None:
        self._call = call
        self._messages = Messages(call, options.max_message_size)
        self._receiving = trio.Lock()
        self._close_timeout = options.close_timeout
        self._closed_here = False
        self._is_over = trio.Event()
        self.subprotocol = subprotocol
        self.fields = fields

    def __repr__(self) -> str:
        return f"<rest.WebSocket, {'closed' if self._is_over.is_set() else 'open'}>"

    # --- messages -------------------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        """The next message: ``bytes`` for a binary one, ``str`` for text.

        Cancelled, it has lost nothing. Raises
        :class:`~wirecore_trio.websocket.ConnectionClosed` at its end, with 1006 where it was lost
        or the peer gave up; :class:`~wirecore_trio.websocket.AlreadyClosed` after :meth:`close`.
        """
        try:
            async with self._receiving:
                item = await self._messages.receive()
        except (errors.CallLost, Aborted) as error:
            raise self._lost(error) from error
        if isinstance(item, Close):
            raise self._end(item)
        return item

    async def send(self, message: str | Buffer) -> None:
        """Send one message: text for ``str``, else binary.

        Waits while the peer reads slower. Cancelled, it was not sent, or goes whole. Raises as
        :meth:`receive`; UnsendableMessage for text that UTF-8 hasn't; TypeError for what is no
        message.
        """
        if self._closed_here:
            raise self._already()
        try:
            if await self._messages.send(message):
                return
            async with self._receiving:
                end = await self._messages.read_to_end()
        except TypeError as error:
            raise no_message(message) from error
        except (errors.CallLost, Aborted) as error:
            raise self._lost(error) from error
        raise self._end(end)

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """The messages that come."""
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except ConnectionClosed as error:
            if error.code not in ORDERLY:
                raise
        except AlreadyClosed:
            pass
        raise StopAsyncIteration

    # --- the end --------------------------------------------------------------------------------

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close it, and wait for the peer to do so, for ``close_timeout`` at most.

        Messages that come until then are dropped. Cancelled, it is closed in the background. Raises
        InvalidOption (nothing happened) for a *code* that may not be sent; of *reason* go 123 bytes
        of UTF-8. Idempotent.
        """
        self.start_close(make_close(code, reason))
        await self._is_over.wait()
        await trio.lowlevel.checkpoint()

    def start_close(self, close: Close) -> None:
        """The same, and don't wait. *close*: may have 1006, too. Idempotent."""
        if not self._closed_here:
            self._closed_here = True
            channel = self._call._channel
            if channel.ended:  # and what its tasks ran in may have, too
                self._is_over.set()
            else:
                channel.start_soon(self._finish, close)

    async def _finish(self, close: Close) -> None:
        try:
            with trio.move_on_after(self._close_timeout):
                if not self._call.ended:
                    await self._messages.close(close)
                async with self._receiving:
                    while not isinstance(await self._messages.receive(), Close):
                        pass
        except (errors.CallLost, Aborted):
            pass  # that is an end, too
        finally:
            self._call.give_up("the WebSocket was closed, and the other end didn't close it")
            self._call.fail(self._already())  # whoever still waits
            self._is_over.set()

    def _end(self, close: Close) -> Exception:
        if self._closed_here:
            return self._already()
        code = CloseCode.NO_STATUS if close.code is None else close.code
        clean = close.code != CloseCode.ABNORMAL
        return ConnectionClosed(int(code), close.reason, clean=clean)

    def _lost(self, error: Exception) -> Exception:
        if self._closed_here:
            return self._already()
        return ConnectionClosed(int(CloseCode.ABNORMAL), str(error))

    @staticmethod
    def _already() -> Exception:
        return AlreadyClosed("this program has closed the WebSocket")


class Opening(Entered):
    """What :meth:`Connection.websocket` returns: ``async with`` it, once."""

    _use = "use async with connection.websocket(...) as ws"

    def __init__(
        self, streaming: Streaming, subprotocols: Sequence[str], options: Options, seconds: float
    ) -> None:
        self._streaming = streaming
        self._subprotocols = subprotocols
        self._options = options
        self._seconds = seconds
        self._websocket: WebSocket | None = None

    async def answered(self) -> WebSocket | ResponseStream:
        """Ask for it; what came. Raises as :meth:`Requesting.websocket`; :meth:`leave` it then."""
        response = await self._streaming.__aenter__()
        if response.status != 101:
            return response
        chosen = [
            value.decode("latin-1") for value in values_of(response.fields, _PROTOCOL.lower())
        ]
        if chosen and (len(chosen) > 1 or chosen[0] not in self._subprotocols):
            await self.leave(None)
            raise errors.HandshakeError(
                f"the peer chose a subprotocol nobody asked for: {', '.join(chosen)!r:.100}"
            )
        subprotocol = chosen[0] if chosen else None
        self._websocket = WebSocket(response._call, response.fields, subprotocol, self._options)
        return self._websocket

    async def __aenter__(self) -> WebSocket:
        """The WebSocket. Raises as :meth:`Requesting.websocket`."""
        answer = await self.answered()
        if isinstance(answer, WebSocket):
            return answer
        try:
            raise WebSocketRefused(await self._read(answer))
        finally:
            await self.leave(None)

    async def _read(self, refusal: ResponseStream) -> Response:
        """What comes of *refusal*, up to a bound."""
        body = bytearray()
        with trio.move_on_after(self._seconds):
            try:
                while len(body) < _MOST and (piece := await refusal.receive()) is not None:
                    body += piece
            except (errors.CallLost, Aborted):
                pass  # what it says is told all the same
        return Response(refusal.status, refusal.fields, bytes(body[:_MOST]), reason=refusal.reason)

    async def leave(self, error: BaseException | None) -> None:
        """End what it began, whether it is a WebSocket or not. *error*: what ends it, if that."""
        websocket = self._websocket
        if websocket is None:
            await self._streaming.__aexit__(None, None, None)
        elif error is None:
            await websocket.close()
        else:
            failed = isinstance(error, Exception)
            code = CloseCode.INTERNAL_ERROR if failed else CloseCode.GOING_AWAY
            websocket.start_close(make_close(code, ""))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.leave(error)
