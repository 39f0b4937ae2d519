"""One message to many connections: encoded once, queued everywhere, waited for nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import trio

from wirecore.events import Buffer, RawText

from ._connection import WebSocket, no_message

#: Connections in a row before others of the run get their turn: each costs a send, some µs.
_IN_A_ROW: Final = 256


async def broadcast(
    connections: Iterable[WebSocket], message: str | Buffer | RawText
) -> list[WebSocket]:
    """Send *message* to all of *connections*; those that it couldn't be sent to are returned.

    A server's connections get the very same bytes, never compressed: a thousand cost one
    encoding, and a large message is in memory once. Nobody is waited for. A connection that is
    closed, has more than ``Options.high_water`` bytes waiting to be sent, or is in the middle
    of a :meth:`~WebSocket.streaming` message is left out: close it, or send again later.

    A checkpoint now and then, and at the end; cancelled in between, those before have got it.
    Raises TypeError for what can't be a message, and for a single connection; then nobody got it.
    """
    if not isinstance(message, str | bytes | bytearray | memoryview):
        raise no_message(message)
    if isinstance(connections, WebSocket):
        raise TypeError("connections are several: for one, send to it, or give [ws]")
    encoded: dict[int, list[bytes]] = {}
    left_out: list[WebSocket] = []
    everyone = list(connections)
    for start in range(0, len(everyone) or 1, _IN_A_ROW):
        row = everyone[start : start + _IN_A_ROW]
        left_out += [each for each in row if not each._send_shared(message, encoded)]
        await trio.lowlevel.checkpoint()
    return left_out
