"""hypercorn's WebSockets, which hold no more than one message may be long.

hypercorn says 1009 to who sends a longer one, reads on, and keeps it. It inflates all that it has
read at once, which may be a thousand times as long. It cuts off who breaks another rule without a
word, and tells no application the code of its caller.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from hypercorn.protocol.events import EndData, StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

#: Of so many bytes up to a thousand times as many are made by inflating them.
_PIECE: Final = 1024

#: What an application is told where its caller had no word for it.
_LOST: Final = {"type": "websocket.disconnect", "code": 1006, "reason": ""}


class BoundedDeflate(PerMessageDeflate):
    """Inflates what one read brought piece by piece, and gives up where that is too much.

    *most*: bytes at once; one for all connections, as hypercorn tells it of no configuration.
    """

    most: ClassVar[int] = 2**24

    def frame_inbound_payload_data(self, proto: Any, data: bytes) -> bytes | CloseReason:
        """What *data*, of a frame, stands for."""
        inflated = bytearray()
        for at in range(0, len(data), _PIECE):
            piece = super().frame_inbound_payload_data(proto, data[at : at + _PIECE])
            if isinstance(piece, CloseReason):
                return piece
            inflated += piece
            if len(inflated) > self.most:
                return CloseReason.MESSAGE_TOO_BIG
        return bytes(inflated)


class WebSocketStream(WSStream):
    """One WebSocket, whose ends are told why it is over."""

    _why: Any = _LOST

    async def handle(self, event: Any) -> None:
        """Take what came. Where that is the end, or is refused, both ends are told.

        hypercorn forgets who sent something before he was let in, and what it refused by itself.
        """
        was_closed = self.closed
        await super().handle(event)
        if self.closed and not was_closed and not isinstance(event, StreamClosed):
            if self.app_put is not None:
                await self.app_put(self._why)
                self.app_put = None
            # It may wait for a window, which he alone can receive who has called this.
            self.task_group.spawn(self._tell_end)

    async def _tell_end(self) -> None:
        await self.send(EndData(stream_id=self.stream_id))
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, Message):
                try:
                    self.buffer.extend(event)
                except FrameTooLargeError:
                    self.buffer.clear()
                    await self._end(CloseConnection(code=CloseReason.MESSAGE_TOO_BIG))
                    return
                if event.message_finished and self.app_put is not None:
                    await self.app_put(self.buffer.to_message())
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
        self._why = {**_LOST, "code": int(close.code), "reason": close.reason or ""}
        self.closed = True
