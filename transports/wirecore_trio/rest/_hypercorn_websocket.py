"""hypercorn's WebSockets, which hold no more than one message may be long.

hypercorn says 1009 to who sends a longer one, reads on, and keeps it. It inflates all that it has
read at once, which may be a thousand times as long. It cuts off who breaks another rule without a
word, and tells no application the code of its caller.
"""

from __future__ import annotations

from typing import Any, Final

from hypercorn.protocol.events import EndData, StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

#: Bytes that are inflated at once, and of how many: these make up to a thousand times as many.
_MOST: Final = 2**24
_PIECE: Final = 1024


class BoundedDeflate(PerMessageDeflate):
    """Inflates what one read brought piece by piece, and gives up where that is too much."""

    def frame_inbound_payload_data(self, proto: Any, data: bytes) -> bytes | CloseReason:
        """What *data*, of a frame, stands for."""
        inflated = bytearray()
        for at in range(0, len(data), _PIECE):
            piece = super().frame_inbound_payload_data(proto, data[at : at + _PIECE])
            if isinstance(piece, CloseReason):
                return piece
            inflated += piece
            if len(inflated) > _MOST:
                return CloseReason.MESSAGE_TOO_BIG
        return bytes(inflated)


class WebSocketStream(WSStream):
    """One WebSocket, whose ends are told why it is over."""

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, Message):
                try:
                    self.buffer.extend(event)
                except FrameTooLargeError:
                    self.buffer.clear()
                    await self._end(CloseConnection(code=CloseReason.MESSAGE_TOO_BIG))
                    return
                if event.message_finished:
                    await self._tell(self.buffer.to_message())
                    self.buffer.clear()
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                await self._end(event)
                return

    async def _end(self, close: CloseConnection) -> None:
        """Take nothing more: *close* is its caller's, or tells him of a rule that he broke."""
        if self.connection.state is ConnectionState.REMOTE_CLOSING:
            await self._send_wsproto_event(close.response())
        elif self.connection.state is ConnectionState.OPEN:
            await self._send_wsproto_event(CloseConnection(code=close.code))
        code, reason = int(close.code), close.reason or ""
        await self._tell({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.app_put = None
        await self.send(EndData(stream_id=self.stream_id))
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _tell(self, message: Any) -> None:
        if self.app_put is not None:
            await self.app_put(message)
