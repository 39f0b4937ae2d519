"""The engine over wirecore's own WebSocket, which is what it uses if not told otherwise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, Unpack

from wirecore import errors
from wirecore.constants import CloseCode

from ..._arguments import require_known
from ..._errors import AlreadyClosed, ConnectionClosed
from ...websocket._client import Dialer, DialOptions
from ...websocket._connection import WebSocket
from ._contract import Message, OneAtATime, down

T = TypeVar("T")


class WirecoreAdapter(OneAtATime[WebSocket]):
    """An :class:`Adapter` over :class:`wirecore_trio.websocket.WebSocket`.

    *dialing*: what :func:`wirecore_trio.websocket.connect` takes besides the URL: *headers*,
    *subprotocols*, *ssl_context*, *proxy*, *options* and so on. ``dial`` gives the server's
    ``Accepted``.

    Raises as that for arguments that make no sense.
    """

    def __init__(self, **dialing: Unpack[DialOptions]) -> None:
        super().__init__()
        require_known("WirecoreAdapter", dialing, DialOptions.__optional_keys__)
        Dialer("ws://localhost/" if dialing.get("prepare") is None else None, **dialing)
        self._dialing = dialing

    async def _dial(self, url: str) -> tuple[WebSocket, Any]:
        prepared = self._dialing.get("prepare") is not None
        websocket = await Dialer(None if prepared else url, **self._dialing).dial()
        # The engine acts on the peer's close frame, and not on the end of the stream, which some
        # servers leave to the client.
        websocket._connection.await_eof = False
        return websocket, websocket.accepted

    async def close(self, code: int, reason: str) -> None:
        """See Adapter."""
        websocket = self._take("close")
        if websocket.sendable:
            try:
                await websocket.aclose(code, reason)
            except BaseException:
                websocket.abort()  # a code that no frame holds, say
                raise
            return
        problem = websocket._end_error()
        websocket.abort()
        if isinstance(problem, ConnectionClosed) and not problem.clean:
            raise problem

    async def ping(self) -> float:
        """See Adapter; the round-trip time in seconds."""
        websocket = await self._up("ping")
        try:
            return await websocket.ping()
        except AlreadyClosed as error:
            raise down("ping") from error

    async def receive(self) -> Message:
        """See Adapter."""
        return await self._received(WebSocket.receive)

    async def receive_many(self) -> list[Message]:
        """See ReceivesMany."""
        return await self._received(WebSocket.receive_many)

    async def _received(self, receive: Callable[[WebSocket], Awaitable[T]]) -> T:
        websocket = self._connection
        if websocket is None:
            websocket = await self._up("read")
        try:
            return await receive(websocket)
        except ConnectionClosed as error:
            self._forget(websocket)
            websocket.abort()
            raise _as_told(error) from error.__cause__
        except AlreadyClosed as error:
            closed = websocket._connection.closed_error()
            if closed.clean:  # it was closed by hand meanwhile, which the peer has answered
                raise ConnectionClosed(closed.code, closed.reason, clean=True) from error
            raise down("read") from error

    async def send(self, message: Message) -> None:
        """See Adapter."""
        websocket = await self._up("write")
        try:
            await websocket.send(message)
        except AlreadyClosed as error:
            raise down("write") from error


def _as_told(closed: ConnectionClosed) -> ConnectionClosed:
    """*closed* with the code that a peer was told that broke a rule: no frame of its own came."""
    problem = closed.__cause__
    if isinstance(problem, errors.ProtocolError):
        return ConnectionClosed(problem.close_code, str(problem), clean=False)
    if isinstance(problem, errors.RemoteLimitExceeded):
        return ConnectionClosed(CloseCode.TOO_BIG, str(problem), clean=False)
    return closed
