"""Pinned TLS as a link right over a socket, which OpenSSL itself reads and writes.

The engine does the same for any stream, bytes in and bytes out. Over a socket that costs two
thirds more for a small message, in calls of Python alone.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, NoReturn

import trio
from OpenSSL import SSL

from wirecore.errors import HandshakeError, InvalidState, PeerRefused, ProtocolError
from wirecore.events import Buffer
from wirecore.moving_rules import MAX_SEND

from .._link import SocketLink
from .credentials import Credentials
from .direct import reader, writer
from .endpoint import Endpoint, forget_errors, read_on_by_itself
from .records import MAX_PLAINTEXT

# Holds back what doesn't fill a packet until it is taken off. Linux alone has it; elsewhere the
# end of the handshake leaves in a packet of its own.
_CORK: Final[int | None] = getattr(socket, "TCP_CORK", None)
_TCP: Final = (socket.AF_INET, socket.AF_INET6)

# What TLS itself may have to say in a read before others get their turn: OpenSSL goes on and on
# with key updates while there are some, and an update is seven steps of its state machine.
_STEPS_IN_A_READ: Final = 4096

# What a peer that is refused may have sent behind its certificate and before it knew.
_UNREAD: Final = 64 * 1024


class PinnedSocketLink:
    """A `Link` whose peer must hold a key that the credentials list; it takes over *inner*.

    The rules are those of `PinnedEngine`. What ``try_send`` couldn't take must be what it is
    given next, for OpenSSL may have encrypted it already. After ``close`` everything raises
    trio.ClosedResourceError.
    """

    __slots__ = (
        "_closed",
        "_corked",
        "_end",
        "_exchange",
        "_fresh",
        "_half_written",
        "_probe",
        "_read",
        "_room",
        "_starved",
        "_stepped",
        "_stuck",
        "_through",
        "_write",
        "inner",
        "socket",
    )

    owes = False

    def __init__(self, inner: SocketLink, credentials: Credentials) -> None:
        if credentials.signer is not None:
            raise TypeError("OpenSSL itself writes to the socket here, and has no signer")
        self.inner = inner
        self.socket = inner.socket
        self._end = Endpoint(credentials, inner.socket)
        self._exchange = self._end.exchange
        # OpenSSL's own, while it can be asked: it would do the handshake by itself, and once it
        # has failed it doesn't say again why.
        self._read: Callable[[memoryview, int], int] = self._cannot
        self._write: Callable[[Buffer], int] = self._cannot
        self._probe: Callable[[Buffer], int] = self._cannot
        # Set once something came, where half a message of TLS itself holds up what is to be sent.
        self._starved: trio.Event | None = None
        # Something was read since the last send: the connection is there, most likely.
        self._fresh = False
        # An answer of TLS itself found no room: nothing can be read before it has left.
        self._stuck = False
        # A record of ours is half written; and something of TLS itself was read since that is
        # half there or wants an answer. OpenSSL keeps one answer for later then, and fails where
        # it is to give a second one.
        self._half_written = False
        self._stepped = False
        # Set once it is written, where reading waits for that.
        self._through: trio.Event | None = None
        # Set once the socket has room: the system wakes one task only, and two may wait.
        self._room: trio.Event | None = None
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
        end = self._end
        try:
            self._check_open()
            end.check()
            while end.peer_key is None:
                await self._go_on(speaks_next)
        except trio.BrokenResourceError as error:
            end.failure = (HandshakeError, f"no TLS handshake: {error}")
            raise HandshakeError(end.failure[1]) from error
        except (HandshakeError, PeerRefused):
            self._let_it_be_heard()
            raise

    async def _go_on(self, speaks_next: bool) -> None:
        end = self._end
        try:
            end.handshake()
        except SSL.WantReadError:
            if speaks_next:
                self._cork(True)
            await self.wait_readable()
        except SSL.WantWriteError:
            await self.flush()
        except SSL.Error as error:
            _check_broken(error)
            end.fail(error, HandshakeError)
            end.check()
        else:
            self._read = reader(end.connection)
            self._write = writer(end.connection)
            self._probe = self.inner.try_send
            return
        # Closed by another task when this one was to go on already.
        self._check_open()

    def _cork(self, held: bool) -> None:
        if _CORK is not None and held is not self._corked and self.socket.family in _TCP:
            self._corked = held
            self.socket.setsockopt(socket.IPPROTO_TCP, _CORK, held)

    def _let_it_be_heard(self) -> None:
        """See to it that the peer gets the alert although the socket is closed next.

        Closing while something unread lies in our buffer resets the connection, and OpenSSL
        reads a record at a time: behind the certificate there is more.
        """
        self._cork(False)
        try:
            self.inner.try_recv_into(memoryview(bytearray(_UNREAD)))
        except trio.BrokenResourceError:
            pass  # nobody is left to hear it

    def try_recv_into(self, buffer: memoryview) -> int | None:
        """See `Link`. Raises PeerRefused, ProtocolError, trio.BrokenResourceError."""
        if self._half_written and self._stepped:
            # The other half of a message of TLS itself is the writer's to read: this end would
            # go on behind it.
            self._feed_starved()
            return None
        self._exchange.steps_left = _STEPS_IN_A_READ
        filled = 0
        try:
            while True:
                size = self._read(buffer[filled:] if filled else buffer, MAX_PLAINTEXT)
                filled += size
                # Behind a full record there is more, most likely.
                if size < MAX_PLAINTEXT or len(buffer) - filled < MAX_PLAINTEXT:
                    self._fresh = True
                    return filled
        except SSL.WantReadError:
            if self._half_written:
                self._count_steps()
            return filled or None
        except SSL.WantWriteError:
            self._stuck = True
            return filled or None
        except SSL.Error as error:
            self._end_reading(error)
            # What came before the fault is good; the next read tells of it.
            return filled or self._read(buffer, 0)
        finally:
            if self._starved is not None:
                self._feed_starved()

    def _end_reading(self, error: SSL.Error) -> None:
        """Remember what *error* means for whoever reads, or writes, from now on."""
        end = self._end
        if _system_error(error) or not isinstance(error, SSL.ZeroReturnError | SSL.SysCallError):
            self._fail(error)
        elif self._exchange.steps_left <= 0:
            end.failure = (ProtocolError, f"the {end.credentials.peer} asks for new keys for ever")
            self._read = self._write = self._probe = self._cannot
        else:
            # Which of the two comes for a close_notify isn't certain: after a user_canceled
            # alert it is the wrong one.
            self._read = _nothing_more
            if not end.connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN:
                text = f"the {end.credentials.peer} ended the stream without a TLS close_notify"
                self._write = self._probe = partial(_broken, text)

    def _fail(self, error: SSL.Error) -> None:
        """OpenSSL has failed, in both directions and for good: remember why."""
        self._written()
        try:
            _check_broken(error)
        except trio.BrokenResourceError as broken:
            self._read = self._write = self._probe = partial(_broken, str(broken))
        else:
            self._end.fail(error, ProtocolError)
            self._read = self._write = self._probe = self._cannot

    def try_send(self, data: Buffer) -> int:
        """See `Link`, and above. Raises PeerRefused, ProtocolError, trio.BrokenResourceError."""
        size = len(data)
        if self._fresh:
            self._fresh = False
        else:
            # Nothing, but it fails where the connection is gone. A send that fails within OpenSSL
            # ends reading too, and with it what the peer said before it went.
            self._look_for_peer()
        try:
            if size <= MAX_PLAINTEXT:
                taken = self._write(data)
                if self._half_written:
                    self._written()
            else:
                taken = self._send_records(data)
        except SSL.WantWriteError:
            self._cut_in_half()
            return 0
        except SSL.WantReadError:
            if self._starved is None:
                self._starved = trio.Event()
            self._stepped = True
            self._let_read()
            return 0
        except SSL.Error as error:
            if not size:
                return 0  # how OpenSSL takes nothing
            self._fail(error)
            return self._write(data)
        if self._corked:
            self._cork(False)
        return taken

    def _look_for_peer(self) -> None:
        try:
            self._probe(b"")
        except trio.BrokenResourceError as error:
            if self._half_written and self._stepped:
                self._read = partial(_broken, str(error))
                self._written()
            raise

    def _send_records(self, data: Buffer) -> int:
        view = memoryview(data)[:MAX_SEND]
        taken = 0
        try:
            while taken < len(view):
                taken += self._write(view[taken : taken + MAX_PLAINTEXT])
                if self._half_written:
                    self._written()
        except SSL.WantWriteError:
            if not taken:
                raise
            self._cut_in_half()
        except SSL.WantReadError:
            if not taken:
                raise  # else the next call says it again
        return taken

    def _cut_in_half(self) -> None:
        """A record is half written: what TLS itself says is read message by message meanwhile."""
        if self._half_written:
            self._count_steps()
        else:
            self._half_written = True
            self._stepped = False
            self._exchange.forget_steps(_STEPS_IN_A_READ)
            read_on_by_itself(self._end.connection, False)

    def _count_steps(self) -> None:
        if self._exchange.unsettled:
            self._stepped = True

    def _written(self) -> None:
        """The other half is written, or never will be."""
        if self._half_written:
            self._half_written = False
            read_on_by_itself(self._end.connection, True)
            self._let_read()

    def _let_read(self) -> None:
        if self._through is not None:
            self._through.set()
            self._through = None

    def _feed_starved(self) -> None:
        if self._starved is not None:
            self._starved.set()
            self._starved = None

    def readable_within(self, seconds: float) -> bool | None:
        """See `Link`."""
        if self._stuck or self._half_written:
            return None
        return self.inner.readable_within(seconds)

    @property
    def number(self) -> int:
        """See `Link`."""
        if self._stuck or (self._half_written and self._stepped):
            return -1
        return self.inner.number

    def wait_readable(self) -> Coroutine[Any, Any, None]:
        """See `Link`."""
        # No frame of its own: most connections wait here.
        self._check_open()
        if self._stuck:
            self._stuck = False
            return self._wait_for_room()
        if self._half_written and self._stepped:
            return self._wait_for_writing()
        return self.inner.wait_readable()

    async def flush(self) -> None:
        """See `Link`."""
        self._check_open()
        if self._starved is not None:
            # The reader brings what TLS lacks; the socket has room all the time.
            await self._starved.wait()
        else:
            await self._wait_for_room()

    async def _wait_for_writing(self) -> None:
        if self._starved is None:
            # For who writes, not for room: that may be there long before it is made use of.
            self._through = trio.Event()
            await self._through.wait()
            self._check_open()
        if self._starved is not None:
            await self.inner.wait_readable()

    async def _wait_for_room(self) -> None:
        if self._room is not None:
            await self._room.wait()
            return
        self._room = trio.Event()
        try:
            await self.inner.flush()
        finally:
            # Where this task was cancelled, the other finds no room and waits in its place.
            self._room.set()
            self._room = None

    def backlog(self) -> int | None:
        """See `Link`."""
        return self.inner.backlog()

    def close(self) -> None:
        """See `Link`. The peer gets a close_notify."""
        if self._closed:
            return
        self._closed = True
        self._feed_starved()
        self._let_read()
        if self._end.peer_key is not None and self._end.failure is None:
            self._end.say_goodbye()
        # The socket's number is soon another's: nothing may reach it through OpenSSL any more.
        self._read = self._write = self._probe = _closed
        self.inner.close()

    def _check_open(self) -> None:
        if self._closed:
            _closed()

    def _cannot(self, *_: object) -> NoReturn:
        self._end.check()
        raise InvalidState("the TLS handshake isn't complete")


def _closed(*_: object) -> NoReturn:
    raise trio.ClosedResourceError("this link was closed")


def _broken(text: str, *_: object) -> NoReturn:
    raise trio.BrokenResourceError(text)


def _nothing_more(*_: object) -> int:
    return 0


def _system_error(error: SSL.Error) -> int:
    """The number of the system's error; 0 where TLS is what failed, or the stream has ended."""
    return max(error.args[0], 0) if isinstance(error, SSL.SysCallError) else 0


def _check_broken(error: SSL.Error) -> None:
    """Raise BrokenResourceError where the system, and not TLS, is what failed."""
    number = _system_error(error)
    if number:
        forget_errors()
        raise trio.BrokenResourceError(f"the connection broke: {os.strerror(number)}") from error
