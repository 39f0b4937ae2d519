"""``websockets`` as an engine needs it: it acts on a close frame, and knows networks in memory."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import Final

import trio
from websockets.frames import Frame, Opcode
from websockets.protocol import Event
from websockets.trio.client import ClientConnection, connect

from ..._network import NETWORK

#: What the library's connect takes besides the URL: of its own, and for what it dials with.
KEYWORDS: Final = frozenset(
    {
        *inspect.signature(connect).parameters,
        *inspect.signature(trio.open_tcp_stream).parameters,
        "unix",
        "path",
    }
    - {"uri", "kwargs"}
)


class Connecting(connect):
    """The library's ``connect``, which dials through the run's network in memory, if there is one.

    A stream, a host or a port that the user gave the library is heeded there, too.
    """

    async def open_tcp_stream(self) -> trio.abc.Stream:
        """The stream that TLS and the handshake go over."""
        network = NETWORK.get()
        if network is None:
            return await super().open_tcp_stream()
        given = self.open_tcp_stream_kwargs
        if given.get("unix"):
            return await network.dial("localhost", 0, str(given["path"]))
        host = given.get("host", self.ws_uri.host)
        return await network.dial(host, given.get("port", self.ws_uri.port), None)


_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)

#: Seconds that a peer whose close frame has come has to take what was sent.
_ANSWERING: Final = 1.0


class _ClosesAtOnce(ClientConnection):
    """What :func:`closing_at_once` puts before a class of connections."""

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        if isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
            # It was answered already. Some servers leave the end of the stream to the client.
            self.nursery.start_soon(self.close_stream)

    async def send_data(self) -> None:
        if self.protocol.close_rcvd is None:
            await super().send_data()
            return
        # It is the answer, which waits behind what a peer that doesn't read hasn't taken. Where it
        # can't leave, what the peer has said is known all the same.
        with trio.move_on_after(_ANSWERING), suppress(*_GONE):
            await super().send_data()


def closing_at_once(made_by: type[ClientConnection]) -> type[ClientConnection]:
    """*made_by*, whose connections end with the peer's close frame, and not with the stream.

    Of its own the library waits for the end of the stream, ``close_timeout`` at most, and that
    long a user who receives isn't told.
    """
    return type(made_by.__name__, (_ClosesAtOnce, made_by), {})
