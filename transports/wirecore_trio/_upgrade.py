"""The HTTP upgrade over a link, on either side: the sans-IO handshakes meet the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from wirecore import errors

from ._link import Link

if TYPE_CHECKING:
    from wirecore.websocket import Accepted, ClientHandshake, Request, ServerHandshake

#: Bytes read in one go during a handshake, which is short.
_CHUNK = 16 * 1024

#: Seconds that a peer gets to read a last answer.
_LINGER = 1.0


async def send_all(link: Link, data: bytes) -> None:
    """Send *data* whole. Raises trio.BrokenResourceError. Cancelled half-way: close the link."""
    left = memoryview(data)
    while left or link.owes:
        left = left[link.try_send(left) :] if left else left
        if left or link.owes:
            await link.flush()


async def _receive_some(link: Link) -> memoryview:
    # A buffer for each try: held while waiting, it would be most of what a silent peer costs.
    while (data := _try_receive(link)) is None:
        await link.wait_readable()
    return data


def _try_receive(link: Link) -> memoryview | None:
    buffer = memoryview(bytearray(_CHUNK))
    size = link.try_recv_into(buffer)
    return None if size is None else buffer[:size]


async def upgrade_client(link: Link, handshake: ClientHandshake) -> Accepted:
    """Send the request and read the answer; what came behind it is ``handshake.leftover``.

    Raises UpgradeRejected or HandshakeError, the latter also where the connection broke.
    """
    try:
        try:
            await send_all(link, handshake.request())
        except trio.BrokenResourceError:
            pass  # a server that refuses early may be gone already, and have said why
        return await _read_answer(link, handshake)
    except trio.BrokenResourceError as error:
        raise errors.HandshakeError(f"no answer to the upgrade request: {error}") from error


async def _read_answer(link: Link, handshake: ClientHandshake) -> Accepted:
    while True:
        data = await _receive_some(link)
        if not data:
            handshake.receive_eof()
        accepted = handshake.receive(data)
        if accepted is not None:
            return accepted


async def receive_request(link: Link, handshake: ServerHandshake) -> Request | None:
    """The client's request; None where the client went away before sending anything.

    Raises HandshakeError for what isn't an HTTP request, after having answered it, and
    trio.BrokenResourceError.
    """
    from wirecore.websocket import BadRequest  # a client doesn't load the server's side

    begun = False
    while True:
        data = await _receive_some(link)
        if not data and not begun:
            return None
        begun = True
        try:
            if not data:
                handshake.receive_eof()
            request = handshake.receive(data)
        except BadRequest as error:
            await send_all(link, error.response)
            await linger(link)
            raise
        if request is not None:
            return request


async def linger(link: Link) -> None:
    """Let the peer read a last answer before the stream is closed.

    Closing while something unread lies in our buffer resets the connection, and the answer can
    be lost with it. So what still comes is dropped until the peer closes, for a moment.
    """
    with trio.move_on_after(_LINGER):
        try:
            while await _receive_some(link):
                await trio.lowlevel.checkpoint()
        except (trio.BrokenResourceError, errors.RemoteError):
            pass  # it is gone, which is what this waits for
