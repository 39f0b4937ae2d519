"""A link: how the pump reaches the bytes, whatever carries them.

Every link is used by one pump. Its ``try_`` methods never block and are no checkpoints, its
``wait_`` methods are. What a link has taken from its user and not yet passed on is *owed*; the
pump calls ``flush`` for it, from one task at a time.
"""

from __future__ import annotations

import logging
import select
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

import trio

from wirecore._backend import default
from wirecore.events import Buffer
from wirecore.moving_rules import MAX_SEND

logger = logging.getLogger("wirecore.link")

#: Seconds that a stream gets to take what it was given last before it is closed.
_LAST_WORD: Final = 1.0


class Link(Protocol):
    """What the pump needs of a connection."""

    @property
    def owes(self) -> bool:
        """Whether bytes were taken that haven't been passed on yet."""

    def try_recv_into(self, buffer: memoryview) -> int | None:
        """Bytes read into *buffer* now; 0 at the end of the stream, None if there are none yet.

        Raises trio.BrokenResourceError where the connection broke, or a RemoteError where the
        bytes were wrong (TLS).
        """

    def try_send(self, data: Buffer) -> int:
        """How many bytes of *data* were taken, 0 if none can be now.

        Raises trio.BrokenResourceError where the connection broke, or a RemoteError (TLS).
        """

    def readable_within(self, seconds: float) -> bool | None:
        """Hold the thread until ``try_recv_into`` may have something, for *seconds* at most.

        False where nothing came in time; None where the link can't wait like that.
        """

    @property
    def number(self) -> int:
        """The file whose being readable is all that ``wait_readable`` waits for; -1: it isn't."""

    def wait_readable(self) -> Coroutine[Any, Any, None]:
        """Wait until ``try_recv_into`` may have something. Cancelled, it has lost nothing.

        Raises trio.BrokenResourceError where the connection broke, trio.ClosedResourceError
        after ``close``, and OSError where the system can't watch one connection more.
        """

    async def flush(self) -> None:
        """Pass on some of what is owed, or wait until something can be taken again.

        Ask again while ``owes``. Raises as ``try_send``, and trio.ClosedResourceError.
        """

    def backlog(self) -> int | None:
        """Bytes that the peer's system hasn't taken yet, of all that was sent; None: unknown.

        It shrinks as a peer reads, however slowly, long before the link can take more.
        """

    def close(self) -> None:
        """Close now; whoever waits in here gets trio.ClosedResourceError. Idempotent.

        What was just taken still leaves where that needs no waiting to speak of.
        """


def _broken(error: OSError) -> trio.BrokenResourceError:
    # Whatever the platform calls it (a reset, no route, a firewall's refusal, no memory for a
    # packet), a stream that fails once is gone.
    return trio.BrokenResourceError(f"the connection broke: {error.strerror or error}")


if sys.platform == "linux":

    def _unacknowledged(sock: socket.socket) -> int | None:
        import fcntl
        import termios

        # SIOCOUTQ of tcp(7) and unix(7), which has the number of TIOCOUTQ.
        size = bytearray(4)
        try:
            fcntl.ioctl(sock, termios.TIOCOUTQ, size)
        except OSError as error:
            logger.debug("the system doesn't say what waits in a socket: %s", error)
            return None
        return int.from_bytes(size, sys.byteorder)

else:

    def _unacknowledged(sock: socket.socket) -> int | None:
        return None


# For looking alone: its time-outs are whole milliseconds, where select's are exact, but looks cost
# half as much, and see sockets of any number.
_poll: Final[Callable[[], Any] | None] = getattr(select, "poll", None)
_READABLE: Final[int] = getattr(select, "POLLIN", 0)


if TYPE_CHECKING:
    from wirecore_py.socket_io import SocketIO
else:
    SocketIO = default.socket_io.SocketIO


class SocketLink(SocketIO):
    """A connected stream socket of the standard library, owned by this link."""

    __slots__ = ("_poll", "thread")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        # What derives from a socket may do more, or less, than the system.
        super().__init__(sock, sock.fileno() if type(sock) is socket.socket else -1)
        #: Whose run it is of: a thread has one at a time.
        self.thread = threading.get_ident()
        self._poll: Any = None

    def readable_within(self, seconds: float) -> bool | None:
        try:
            if not seconds and _poll is not None:
                look = self._poll
                if look is None:
                    look = self._poll = _poll()
                    look.register(self.socket, _READABLE)
                return bool(look.poll(0))
            return bool(select.select((self.socket,), (), (), seconds)[0])
        except (OSError, ValueError):  # closed, or beyond the numbers that select knows
            return None

    @property
    def number(self) -> int:
        number: int = self.socket.fileno()  # -1 once it is closed
        return number

    def wait_readable(self) -> Coroutine[Any, Any, None]:
        return trio.lowlevel.wait_readable(self.socket)  # noqa: ASYNC105  # the caller awaits it

    async def flush(self) -> None:
        try:
            await trio.lowlevel.wait_writable(self.socket)
        except OSError as error:
            raise _broken(error) from error

    def backlog(self) -> int | None:
        return None if self._closed else _unacknowledged(self.socket)

    def close(self) -> None:
        if self._let_go():
            self._poll = None
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()

    def _failed(self, error: OSError) -> NoReturn:
        raise _broken(error) from error


#: What a stream may raise; anything else is a defect of its own.
_LOSS: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


def _failed(error: Exception) -> trio.BrokenResourceError:
    # A stranger's code may run in a system task of ours, where any other exception would end
    # the whole run. Here it ends this connection, and is the cause of its loss.
    return trio.BrokenResourceError(f"the stream failed: {error!r}")


class StreamLink:
    """Any ``trio.abc.Stream``.

    A stream can't be asked without waiting, so ``wait_readable`` receives, and keeps what came;
    what is sent is kept until ``flush`` passes it on. A send that is cancelled half-way leaves
    a stream in an unknown state: ``flush`` must only be cancelled by whoever closes the link.
    """

    __slots__ = ("_closed", "_eof", "_flushing", "_incoming", "_outgoing", "stream")

    #: See Link.
    number: Final = -1

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._incoming = memoryview(b"")
        self._outgoing = b""
        self._eof = False
        self._flushing = False
        self._closed = False

    @property
    def owes(self) -> bool:
        return bool(self._outgoing)

    def try_recv_into(self, buffer: memoryview) -> int | None:
        size = min(len(self._incoming), len(buffer))
        if not size:
            return 0 if self._eof else None
        buffer[:size] = self._incoming[:size]
        self._incoming = self._incoming[size:]
        return size

    def try_send(self, data: Buffer) -> int:
        room = MAX_SEND - len(self._outgoing)
        if self._flushing or room <= 0:
            return 0
        taken = bytes(memoryview(data)[:room])
        self._outgoing += taken
        return len(taken)

    def readable_within(self, seconds: float) -> None:
        return None

    async def wait_readable(self) -> None:
        if self._incoming or self._eof:
            await trio.lowlevel.checkpoint()
            return
        try:
            received = memoryview(await self.stream.receive_some(MAX_SEND)).cast("B")
        except _LOSS:
            raise
        except Exception as error:
            raise _failed(error) from error
        self._eof = not received
        self._incoming = received

    async def flush(self) -> None:
        if self._outgoing:
            self._flushing = True
            try:
                await self.stream.send_all(self._outgoing)
            except _LOSS:
                raise
            except Exception as error:
                raise _failed(error) from error
            finally:
                self._flushing = False
            self._outgoing = b""
        else:
            await trio.lowlevel.checkpoint()

    def backlog(self) -> int | None:
        return None

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            trio.lowlevel.spawn_system_task(self._close, name="wirecore closer")

    async def _close(self) -> None:
        try:
            # Most likely a close frame. A send under way is stuck, and nothing goes behind it.
            if self._outgoing and not self._flushing:
                with trio.move_on_after(_LAST_WORD):
                    await self.flush()
        except _LOSS as error:
            logger.debug("the last bytes for a stream were lost: %s", error)
        finally:  # also where the run ends in the middle of that
            try:
                await trio.aclose_forcefully(self.stream)
            except Exception:
                logger.exception("a stream failed while it was closed")


def link_for(stream: trio.abc.Stream) -> Link:
    """The fastest link for *stream*, which belongs to the link from now on.

    A ``trio.SocketStream`` gives up its socket and goes the fast way; any other stream is used
    through its public methods.
    """
    if type(stream) is trio.SocketStream:
        return socket_link(stream)
    return StreamLink(stream)


def socket_link(stream: trio.SocketStream) -> SocketLink:
    """Take the socket out of *stream*: trio's own has no public receive without waiting."""
    inner = stream.socket
    return SocketLink(socket.socket(inner.family, inner.type, inner.proto, inner.detach()))
