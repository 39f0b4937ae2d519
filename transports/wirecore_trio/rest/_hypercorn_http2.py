"""hypercorn's HTTP/2, of which no request is lost when a connection comes to its end.

RFC 9113 section 6.8: GOAWAY says which requests were taken; whoever sent others may send them
again. hypercorn says it while it has something to send, and forgets that. And it keeps what belongs
to a request that was taken back, and ends all for a piece of one that is answered already.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import h2.events
import trio
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hypercorn.events import RawData, Updated
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.h2 import H2Protocol


class Http2(H2Protocol):
    """A connection, which :meth:`leave` ends in good order.

    Behind ``keep_alive_max_requests`` of hypercorn's configuration it ends as soon as nothing is
    under way: callers on h2, such as httpx's, take what comes behind GOAWAY for an error.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._count = 0  # of requests; hypercorn's own stays below its bound
        self._is_leaving = False
        self._is_over = False  # GOAWAY is sent
        self._sent = trio.Event()

    async def initiate(self, *arguments: Any) -> None:
        """Begin it. It is idle, unless a request of HTTP/1.1 has become one of its own."""
        await super().initiate(*arguments)
        if not self.streams:
            await self.send(Updated(idle=True))

    async def leave(self) -> None:
        """Take no more requests; once those that run are answered, say that it is over."""
        self._is_leaving = True
        await self._end_if_idle()

    async def wait_sent(self) -> None:
        """Wait until what was answered is sent, and its end."""
        while self.stream_buffers and not self.closed:
            await self._sent.wait()

    async def _end_if_idle(self) -> None:
        if self._may_end():
            await self.wait_sent()
        if self._may_end():  # still: another request may have come
            self._is_over = True
            self.connection.close_connection()
            await self._flush()

    def _may_end(self) -> bool:
        is_due = self._is_leaving or self._count >= self.config.keep_alive_max_requests
        return is_due and self.idle and not (self._is_over or self.closed)

    async def _send_data(self, stream_id: int) -> None:
        await super()._send_data(stream_id)
        if not self.stream_buffers:
            sent, self._sent = self._sent, trio.Event()
            sent.set()

    async def handle(self, event: Any) -> None:
        """Take what came. Behind GOAWAY that is for nobody, and no reason to cut who reads it."""
        if not (self._is_over and isinstance(event, RawData)):
            await super().handle(event)
        if self.closed:
            for buffer in list(self.stream_buffers.values()):
                await buffer.close()  # nobody empties it any more, which responses wait for
            self._sent.set()

    async def stream_send(self, event: Any) -> None:
        """Send what *event* says of a request."""
        if not isinstance(event, StreamClosed):
            await super().stream_send(event)
            return
        await self._close_stream(event.stream_id)
        await self._end_if_idle()
        await self.send(Updated(idle=self.idle))

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        await super()._create_stream(request)
        self.keep_alive_requests = 0
        self._count += 1

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for event in events:
            if isinstance(event, h2.events.RequestReceived) and self._is_leaving:
                # Section 8.7: it was certainly not looked at.
                self._reset(event.stream_id, ErrorCodes.REFUSED_STREAM)
            elif isinstance(event, h2.events.DataReceived) and event.stream_id not in self.streams:
                self._drop(event)
            else:
                await super()._handle_events([event])
                if isinstance(event, h2.events.StreamReset):
                    await self._forget(event.stream_id)
        await self._flush()

    def _drop(self, event: h2.events.DataReceived) -> None:
        """A piece of a request that nobody wants any more: hypercorn has no place for it."""
        stream_id = event.stream_id
        self.connection.acknowledge_received_data(event.flow_controlled_length, stream_id)
        stream = self.connection.streams.get(stream_id)
        if stream_id not in self.stream_buffers and stream is not None and not stream.closed:
            # Section 8.1: it is answered, and what follows isn't needed.
            self._reset(stream_id, ErrorCodes.NO_ERROR)

    def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        with suppress(ProtocolError):  # he may have taken it back himself, in the same read
            self.connection.reset_stream(stream_id, code)

    async def _forget(self, stream_id: int) -> None:
        """What hypercorn keeps of a request that was taken back; and it may have been the last."""
        buffer = self.stream_buffers.get(stream_id)
        if buffer is not None:
            await buffer.close()
            await self._window_updated(stream_id)  # has it end, and that takes it away
        if self.idle and not self.closed:
            await self.send(Updated(idle=True))
