"""Pinned TLS as a link right over a socket, which OpenSSL itself reads and writes.

The engine does the same for any stream, bytes in and bytes out. Over a socket that costs two
thirds more for a small message, in calls of Python alone.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Final, NoReturn

import trio
from OpenSSL import SSL

from wirecore.errors import HandshakeError, ProtocolError
from wirecore.events import Buffer

from .._link import MAX_SEND, SocketLink
from .credentials import Credentials
from .endpoint import Endpoint
from .records import MAX_PLAINTEXT

# Holds back what doesn't fill a packet until it is taken off. Linux alone has it; elsewhere the
# end of the handshake leaves in a packet of its own.
_CORK: Final[int | None] = getattr(socket, "TCP_CORK", None)

# What TLS itself may have to say in a read before others get their turn: OpenSSL goes on and on
# with key updates while there are some, and an update is six steps of its state machine.
_STEPS_IN_A_READ: Final = 4096


class PinnedSocketLink:
    """A `Link` whose peer must hold a key that the credentials list; it takes over *inner*.

    The rules are those of `PinnedEngine`. What ``try_send`` couldn't take must be what it is
    given next, for OpenSSL may have encrypted it already.
    """

    __slots__ = (
        "_closed",
        "_corked",
        "_end",
        "_exchange",
        "_read",
        "_starved",
        "_write",
        "inner",
        "socket",
    )

    owes = False

    def __init__(self, inner: SocketLink, credentials: Credentials) -> None:
        self.inner = inner
        self.socket = inner.socket
        self._end = Endpoint(credentials, inner.socket)
        self._exchange = self._end.exchange
        self._read: Callable[[memoryview, int], int] = self._end.connection.recv_into
        self._write: Callable[[Buffer], int] = self._end.connection.send
        # Set once something came, where half a message of TLS itself holds up what is to be sent.
        self._starved: trio.Event | None = None
        self._corked = False
        self._closed = False

    @property
    def peer_public_key(self) -> bytes:
        """The peer's key, 32 raw bytes. Raises InvalidState before the handshake is complete."""
        self._end.check_ready()
        assert self._end.peer_key is not None
        return self._end.peer_key

    async def handshake(self, *, speaks_next: bool = False) -> None:
        """Do the handshake. Raises HandshakeError, also where the connection breaks.

        The alert that says why it failed is sent before this raises. *speaks_next*: the caller
        sends something at once, and what this end still has to say leaves with it, so that a
        server which refuses this end has both and can close without resetting the connection.
        """
        try:
            while self._end.peer_key is None:
                try:
                    self._end.handshake()
                except SSL.WantReadError:
                    if speaks_next:
                        self._cork(True)
                    await self.inner.wait_readable()
                except SSL.WantWriteError:
                    await self.inner.flush()
                except SSL.Error as error:
                    _check_broken(error)
                    self._end.fail(error, HandshakeError)
                    self._end.check()
        except trio.BrokenResourceError as error:
            raise HandshakeError(f"no TLS handshake: {error}") from error

    def _cork(self, held: bool) -> None:
        if _CORK is not None and held is not self._corked and self.socket.family != socket.AF_UNIX:
            self._corked = held
            self.socket.setsockopt(socket.IPPROTO_TCP, _CORK, held)

    def try_recv_into(self, buffer: memoryview) -> int | None:
        """See `Link`. Raises PeerRefused, ProtocolError, trio.BrokenResourceError."""
        self._exchange.steps_left = _STEPS_IN_A_READ
        filled = 0
        try:
            while True:
                size = self._read(buffer[filled:] if filled else buffer, MAX_PLAINTEXT)
                filled += size
                # Behind a full record there is more, most likely.
                if size < MAX_PLAINTEXT or len(buffer) - filled < MAX_PLAINTEXT:
                    return filled
        except SSL.WantReadError:
            return filled or None
        except SSL.Error as error:
            # What came before the fault is good; the next read says it again.
            return filled or self._end_of_stream(error)
        finally:
            if self._starved is not None:
                self._feed_starved()

    def _end_of_stream(self, error: SSL.Error) -> int:
        """0 at the end of what the peer sends; raises what else *error* means."""
        end = self._end
        end.check()
        _check_broken(error)
        if end.exchange.steps_left <= 0:
            peer = end.credentials.peer
            end.failure = (ProtocolError, f"the {peer} asks for new keys for ever")
        elif not isinstance(error, SSL.ZeroReturnError | SSL.SysCallError):
            # Which of the two comes for a close_notify isn't certain: after a user_canceled
            # alert it is the wrong one.
            end.fail(error, ProtocolError)
        end.check()
        return 0

    def try_send(self, data: Buffer) -> int:
        """See `Link`, and above. Raises PeerRefused, ProtocolError, trio.BrokenResourceError."""
        size = len(data)
        try:
            taken = self._write(data) if size <= MAX_PLAINTEXT else self._send_records(data)
        except SSL.WantWriteError:
            return 0
        except SSL.WantReadError:
            if self._starved is None:
                self._starved = trio.Event()
            return 0
        except SSL.Error as error:
            _check_broken(error)
            self._end.fail(error, ProtocolError)
            self._end.check()
            raise
        if self._corked:
            self._cork(False)
        return taken

    def _send_records(self, data: Buffer) -> int:
        view = memoryview(data)[:MAX_SEND]
        taken = 0
        try:
            while taken < len(view):
                taken += self._write(view[taken : taken + MAX_PLAINTEXT])
        except SSL.Error:
            if not taken:
                raise  # else the next call says it again
        return taken

    def _feed_starved(self) -> None:
        if self._starved is not None:
            self._starved.set()
            self._starved = None

    async def wait_readable(self) -> None:
        await self.inner.wait_readable()

    async def flush(self) -> None:
        if self._starved is not None:
            # The reader brings what TLS lacks; the socket has room all the time.
            await self._starved.wait()
        else:
            await self.inner.flush()

    def backlog(self) -> int | None:
        return self.inner.backlog()

    def close(self) -> None:
        """See `Link`. The peer gets a close_notify."""
        if self._closed:
            return
        self._closed = True
        self._feed_starved()
        if self._end.peer_key is not None and self._end.failure is None:
            self._end.say_goodbye()
        # The socket's number is soon another's: nothing may reach it through OpenSSL any more.
        self._read = self._write = _refuse
        self.inner.close()


def _refuse(*_: object) -> NoReturn:
    raise trio.ClosedResourceError("this link was closed")


def _check_broken(error: SSL.Error) -> None:
    """Raise BrokenResourceError where the system, and not TLS, is what failed."""
    if isinstance(error, SSL.SysCallError) and error.args[0] > 0:
        text = os.strerror(error.args[0])
        raise trio.BrokenResourceError(f"the connection broke: {text}") from error
