"""picows' frame parser and writer. It has no sans-IO layer: a transport of ours stands beneath."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence

from picows import WSAutoPingStrategy, WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSProtocol

from bench.peers.codec_load import run
from bench.peers.load import Outcome, Task

PACKAGE = "picows"

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Sink:
    """A transport that keeps what is written. It has a socket since picows asks for one."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self.written: list[bytes] = []
        self.write = self.written.append

    def get_extra_info(self, name: str) -> object:
        """The socket, and nothing else."""
        return self._socket if name == "socket" else None

    def get_write_buffer_size(self) -> int:
        """Not 0: else picows sends on the socket itself instead of writing here."""
        return 1


class Collect(WSListener):
    """Takes each message as bytes."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A whole message, since nobody here sends fragments."""
        self.messages.append(frame.get_payload_as_bytes())


def drive(task: Task) -> Outcome:
    """Decodes as a server, encodes as a client."""

    async def main() -> Outcome:
        listener = Collect()
        protocol = WSProtocol(
            None, None, False, lambda request: listener, logging.getLogger("picows"), True, None,
            False, 10, 10, WSAutoPingStrategy.PING_WHEN_IDLE, True, 2**24, None, 256 * 1024,
        )  # fmt: skip
        protocol.connection_made(Sink())
        feed(protocol, UPGRADE)

        def decode(chunk: bytes) -> list[bytes]:
            feed(protocol, chunk)
            messages, listener.messages = listener.messages, []
            return messages

        sink = Sink()
        client = WSTransport(True, sink, logging.getLogger("picows"), asyncio.get_running_loop())

        def encode(messages: Sequence[bytes]) -> list[bytes]:
            for message in messages:
                client.send(WSMsgType.BINARY, message)
            frames = sink.written.copy()
            sink.written.clear()
            return frames

        return run(task, decode, encode)

    return asyncio.run(main())


def feed(protocol: WSProtocol, chunk: bytes) -> None:
    """What a read of the event loop does: asks for the buffer, fills it, tells how much came."""
    with protocol.get_buffer(-1) as buffer:
        buffer[: len(chunk)] = chunk
    protocol.buffer_updated(len(chunk))
