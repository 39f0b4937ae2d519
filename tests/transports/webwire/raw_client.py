"""A client made of bytes: a recorded upgrade request, and then frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from tests.transports.conftest import RawPeer
from wirecore.events import Close

if TYPE_CHECKING:
    from wirecore._backend import Backend

#: The plainest upgrade there is.
HEAD = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class RawClient(RawPeer):
    """A peer of frames, after an upgrade. *head*: what the server answered that with."""

    def __init__(self, stream: trio.abc.Stream, backend: Backend, head: bytes) -> None:
        super().__init__(stream, backend, client=True)
        self.head = head
        self.opened = trio.current_time()

    @classmethod
    async def open(cls, port: int, backend: Backend, request: bytes = HEAD) -> RawClient:
        """Send *request* to a server that takes it, and be its client."""
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(request)
        head, rest = await read_head(stream)
        client = cls(stream, backend, head)
        client._items.extend(client._decoder.receive(rest))
        return client

    async def __aenter__(self) -> RawClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def request(self, message: bytes) -> Any:
        """Send a request, and return the next thing that comes."""
        await self.message(message)
        return await self.next()

    async def see_close(self) -> Close:
        """The server's close frame, which must be next, answered; nothing may come behind it."""
        frame = await self.next()
        assert isinstance(frame, Close), frame
        await self.close(frame.code)
        assert await self.rest() == []
        return frame

    async def leave(self) -> None:
        """End the stream without a word, as the originals' clients do."""
        await self.stream.aclose()


async def read_head(stream: trio.abc.Stream) -> tuple[bytes, bytes]:
    """The head of an HTTP message, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = await stream.receive_some()
        assert piece, f"the stream ended within the head {data!r}"
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest
