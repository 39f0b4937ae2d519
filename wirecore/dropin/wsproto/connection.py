"""Connections: wsproto's Connection with our frames in it; all else is wsproto's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator

from wsproto.connection import CLIENT, SERVER, ConnectionState, ConnectionType
from wsproto.connection import Connection as _Connection
from wsproto.events import BytesMessage, CloseConnection, Event, TextMessage
from wsproto.extensions import Extension

from wirecore.dropin.wsproto.frame_protocol import CloseReason, FrameProtocol
from wirecore.events import Failure

__all__ = ["CLIENT", "SERVER", "Connection", "ConnectionState", "ConnectionType"]


def set_up(
    connection: _Connection,
    connection_type: ConnectionType,
    extensions: list[Extension] | None,
    trailing_data: bytes,
    max_message_size: int | None,
) -> None:
    """All that the constructor of wsproto's Connection does, but with our FrameProtocol."""
    connection.client = connection_type is ConnectionType.CLIENT
    connection._events = deque()
    connection._proto = FrameProtocol(
        connection.client, extensions or [], max_message_size=max_message_size
    )
    connection._state = ConnectionState.OPEN
    connection.receive_data(trailing_data)


class Connection(_Connection):
    """wsproto's Connection, made the same way, with the same methods and the same events.

    *max_message_size*: see :class:`~wirecore.dropin.wsproto.frame_protocol.FrameProtocol`. A
    message over it is a CloseConnection event with code 1009, as any other breach of the rules
    is one with the code to answer with.
    """

    _proto: FrameProtocol

    def __init__(
        self,
        connection_type: ConnectionType,
        extensions: list[Extension] | None = None,
        trailing_data: bytes = b"",
        *,
        max_message_size: int | None = None,
    ) -> None:
        set_up(self, connection_type, extensions, trailing_data, max_message_size)

    def send(self, event: Event) -> bytes:
        """The bytes to send for *event*; LocalProtocolError where the state doesn't allow it."""
        if self._state is ConnectionState.OPEN and (
            type(event) is BytesMessage or type(event) is TextMessage
        ):
            return self._proto.send_message(event.data, event.message_finished)
        return super().send(event)

    def receive_data(self, data: bytes | None) -> None:
        """Take what came from the peer, None for the end of the stream.

        LocalProtocolError where the connection is closed already.
        """
        if self._state is ConnectionState.OPEN and data is not None:
            self._proto.receive_bytes(data)
        else:
            super().receive_data(data)

    def events(self) -> Generator[Event, None, None]:
        """The events that came of what was received, and weren't taken yet."""
        frames = self._proto
        if frames.foreign:
            yield from super().events()
            return
        while self._events:
            yield self._events.popleft()
        for item in frames.items():
            if type(item) is CloseConnection:
                # Not before it is taken: until then events are answered in the state they
                # came in.
                closing = self._state is ConnectionState.LOCAL_CLOSING
                self._state = ConnectionState.CLOSED if closing else ConnectionState.REMOTE_CLOSING
            if isinstance(item, Failure):
                yield CloseConnection(code=CloseReason(item.code), reason=item.reason)
            else:
                yield item
