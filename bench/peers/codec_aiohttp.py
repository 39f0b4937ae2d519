"""aiohttp's WebSocket reader and writer, compiled where its wheel has them so.

They hang on a protocol and a transport, which are replaced by the least that they need; the
messages are taken out of the reader's queue at once, without the event loop that would wake whoever
waits for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import WSMsgType
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp._websocket.writer import WebSocketWriter
from aiohttp.base_protocol import BaseProtocol

from bench.peers.codec_load import run
from bench.peers.load import Outcome, Task

PACKAGE = "aiohttp"


class Sink:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.write = self.frames.append

    def is_closing(self) -> bool:
        """Never."""
        return False


def drive(task: Task) -> Outcome:
    """Decodes as a server, encodes as a client."""
    loop = asyncio.new_event_loop()
    queue = WebSocketDataQueue(BaseProtocol(loop), 2**30, loop=loop)
    reader = WebSocketReader(queue, 2**24, compress=False, decode_text=True)
    sink = Sink()
    writer = WebSocketWriter(BaseProtocol(loop), sink, use_mask=True)

    async def take(number: int) -> list[bytes]:
        return [(await queue.read()).data for _ in range(number)]

    def decode(chunk: bytes) -> list[bytes]:
        reader.feed_data(chunk)
        return finish(take(len(queue._buffer)))

    async def write(messages: Sequence[bytes]) -> list[bytes]:
        for message in messages:
            await writer.send_frame(message, WSMsgType.BINARY)
        frames = sink.frames.copy()
        sink.frames.clear()
        return frames

    try:
        return run(task, decode, lambda messages: finish(write(messages)))
    finally:
        loop.close()


def finish(coroutine) -> list[bytes]:
    """The result of a coroutine that never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration as result:
        return result.value
    raise AssertionError("it waits for the event loop")
