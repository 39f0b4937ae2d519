"""One side of a connection: bytes over TCP or TLS, and every way in which it can end."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Final

import trio

from wirecore.errors import RemoteError
from wirecore_trio._link import Link, SocketLink
from wirecore_trio._of_run import shared_buffer
from wirecore_trio._tls_link import TLSLink
from wirecore_trio._upgrade import linger, send_all

#: Bytes that are read in one go; no more of a connection is held in either direction.
_CHUNK: Final = 64 * 1024

#: Closed with this, a socket sends a reset.
_ABORT: Final = struct.pack("ii", 1, 0)

#: What reading and writing raise where the other end is gone.
GONE: Final = (trio.BrokenResourceError, RemoteError)

_buffer = shared_buffer("tap", _CHUNK)


class End:
    """The side that *link* leads to, which belongs to it from now on."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._tls = link if isinstance(link, TLSLink) else None
        self._inner = link if self._tls is None else self._tls.inner

    async def receive(self) -> bytes:
        """The next bytes; b"" at the end. Raises what :data:`GONE` has."""
        link, buffer = self._link, _buffer()
        try:
            while (size := link.try_recv_into(buffer)) is None:
                await link.wait_readable()
        except RemoteError as error:
            # How the standard library says that both ends have said goodbye.
            if isinstance(error.__cause__, ssl.SSLZeroReturnError):
                return b""
            raise
        return bytes(buffer[:size])

    def send_now(self, data: bytes) -> memoryview:
        """Send what can leave at once; the rest. Raises what :data:`GONE` has."""
        view = memoryview(data)
        return view[self._link.try_send(view) :]

    async def send(self, data: bytes | memoryview) -> None:
        """Send all of *data*, and what TLS owes. Raises what :data:`GONE` has."""
        await send_all(self._link, bytes(data))

    async def linger(self) -> None:
        """Let the other end read what was sent last."""
        await linger(self._link)

    async def end_sending(self) -> None:
        """Say that no more comes, and go on reading. Raises what :data:`GONE` has."""
        if self._tls is not None:
            self._tls.engine.close()
            await send_all(self._inner, self._tls.engine.outgoing())
        elif isinstance(self._inner, SocketLink):
            try:
                self._inner.socket.shutdown(socket.SHUT_WR)
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error

    def abort(self) -> None:
        """Break it off: the other end gets a reset."""
        if isinstance(self._inner, SocketLink) and self._inner.socket.fileno() >= 0:
            try:
                self._inner.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            except OSError:
                pass  # it is gone already
        self._inner.close()

    def close(self) -> None:
        """Close it in good order."""
        self._link.close()
