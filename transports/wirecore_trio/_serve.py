"""Accepting connections: limits, the count of what is open, drain.

What is done with a connection is the server's matter; this only counts and bounds them.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import trio

from ._network import Accepted, AnyListener, StreamListener

logger = logging.getLogger("wirecore.serve")

#: accept() fails with these when the machine is short of something: wait, and go on.
_SHORT_OF: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_WHEN_SHORT: Final = 0.1

#: These mean that a connection failed before it was accepted: on with the next. Anything else
#: would come again at once, and is the listener's own fault.
_LOST: Final = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNABORTED",
        "ECONNRESET",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ENETDOWN",
        "ENETUNREACH",
        "ENONET",
        "ENOPROTOOPT",
        "EPERM",
        "EPROTO",
        "ETIMEDOUT",
    )
    if hasattr(errno, name)
)

#: Connections accepted without a pause before the others of the run get their turn.
_ACCEPTS_IN_A_ROW: Final = 16

#: Default bound on connections that aren't open yet. One that has sent nothing holds a socket
#: and a task, some 5 KiB; one in the middle of TLS up to 70 KiB, so this is 280 MiB at worst.
MAX_HANDSHAKES: Final = 4096

_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Counts:
    """How many connections came, and how many of them ended before they were open."""

    __slots__ = ("accepted", "refused")

    def __init__(self) -> None:
        self.accepted = 0
        self.refused = 0


class Acceptor:
    """Accepts on *listeners* and runs *on_connection* in a task for each socket.

    At most *max_connections* at once, and of these *max_handshakes* that aren't open yet (see
    :meth:`opened`): they may be anybody's, and mustn't take every place. One more takes the place
    of the oldest of these that has sent nothing (see :meth:`heard`), which is closed: else who
    says nothing could keep everybody else out. Where there is none, and beyond *max_connections*,
    it is answered with 503 (where *plain*: without TLS) and closed. *on_connection* owns the
    socket, and must not raise but for cancellation. What goes on for as long as the connection
    may be left to what it returns, which is awaited then: most connections wait in there, and
    frames around it are memory.
    """

    def __init__(
        self,
        listeners: Sequence[AnyListener],
        on_connection: Callable[[Any], Awaitable[Awaitable[None] | None]],  # takes what is accepted
        *,
        max_connections: int,
        max_handshakes: int = MAX_HANDSHAKES,
        plain: bool,
    ) -> None:
        self._listeners = list(listeners)
        self._on_connection = on_connection
        self._max_connections = max_connections
        self._max_handshakes = max_handshakes
        self._plain = plain
        self._accepting = trio.CancelScope()
        self._connections_scope: trio.CancelScope | None = None
        self._idle = trio.Event()
        self._failure: OSError | None = None
        # What was said already: a flood of connections mustn't flood the log.
        self._told: set[str] = set()  # which bounds
        self._told_short = False
        self.connections = 0
        #: Its own, unless its owner has others that count there, too.
        self.counts = Counts()
        self._opening: set[Accepted] = set()
        # Those of them that have sent nothing, oldest first.
        self._silent: dict[Accepted, None] = {}
        self.addresses: list[object] = [listener.getsockname() for listener in listeners]
        for listener in self._listeners:
            if isinstance(listener, socket.socket):
                listener.setblocking(False)

    @property
    def accepting(self) -> bool:
        """Whether new connections are taken."""
        return not self._accepting.cancel_called

    @property
    def handshakes(self) -> int:
        """How many connections aren't open yet."""
        return len(self._opening)

    def opened(self, sock: Accepted) -> None:
        """The connection over *sock* is open: its handshakes are through. Idempotent."""
        self._opening.discard(sock)
        self._silent.pop(sock, None)
        if len(self._opening) * 2 < self._max_handshakes:
            self._told -= {"max_handshakes", "silent"}

    def heard(self, sock: Accepted) -> None:
        """The first bytes came over *sock*: it keeps its place."""
        self._silent.pop(sock, None)

    def stop_accepting(self) -> None:
        """Close the listeners; what is open goes on. Idempotent."""
        self._accepting.cancel()
        for listener in self._listeners:
            if not isinstance(listener, socket.socket):
                listener.close()
            elif listener.fileno() >= 0:
                trio.lowlevel.notify_closing(listener)
                listener.close()

    async def run(self) -> None:
        """Accept until :meth:`stop_accepting`, then until the last connection has ended.

        Cancelled, it cancels the connections' tasks too. Raises OSError, and then does the same,
        where a listener isn't one.
        """
        try:
            async with trio.open_nursery() as nursery:
                self._connections_scope = nursery.cancel_scope
                with self._accepting:
                    async with trio.open_nursery() as listening:
                        for listener in self._listeners:
                            if isinstance(listener, socket.socket):
                                listening.start_soon(self._accept, listener, nursery)
                            else:
                                listening.start_soon(self._accept_streams, listener, nursery)
        finally:
            self.stop_accepting()
        if self._failure is not None:
            raise self._failure

    def cancel_connections(self) -> None:
        """Cancel the tasks of all connections; :meth:`run` then returns."""
        self.stop_accepting()
        if self._connections_scope is not None:
            self._connections_scope.cancel()

    async def wait_idle(self) -> None:
        """Wait until no connection is open."""
        while self.connections:
            if self._idle.is_set():
                self._idle = trio.Event()
            await self._idle.wait()

    async def _accept(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        in_a_row = 0
        while True:
            in_a_row += 1
            if in_a_row % _ACCEPTS_IN_A_ROW == 0:
                await trio.lowlevel.checkpoint()
            try:
                sock, _ = listener.accept()
            except (BlockingIOError, InterruptedError):
                await trio.lowlevel.wait_readable(listener)
                continue
            except OSError as error:
                if error.errno in _SHORT_OF:
                    level = logging.DEBUG if self._told_short else logging.ERROR
                    self._told_short = True
                    logger.log(
                        level, "can't accept: %s; trying again every %g s", error, _WHEN_SHORT
                    )
                    await trio.sleep(_WHEN_SHORT)
                    continue
                if listener.fileno() < 0:
                    return
                if error.errno not in _LOST:
                    self._failure = error  # raised by run, where it comes in no group
                    self.cancel_connections()
                    return
                logger.debug("a connection ended before it was accepted: %s", error)
                continue
            self._told_short = False
            self._take(sock, nursery)

    async def _accept_streams(self, listener: StreamListener, nursery: trio.Nursery) -> None:
        while True:
            try:
                stream = await listener.accept()
            except trio.ClosedResourceError:
                return
            self._take(stream, nursery)

    def _take(self, sock: Accepted, nursery: trio.Nursery) -> None:
        self.counts.accepted += 1
        if self.connections >= self._max_connections:
            self._refuse(sock, "max_connections", self._max_connections, "open")
            return
        if len(self._opening) >= self._max_handshakes and not self._close_oldest_silent():
            self._refuse(sock, "max_handshakes", self._max_handshakes, "in their handshake")
            return
        self.connections += 1
        self._opening.add(sock)
        self._silent[sock] = None
        nursery.start_soon(self._run_one, sock)

    def _close_oldest_silent(self) -> bool:
        while self._silent:
            sock = next(iter(self._silent))
            del self._silent[sock]
            if not isinstance(sock, socket.socket) or _has_input(sock):
                continue  # its task just hasn't had its turn; a stream can't be asked
            level = logging.DEBUG if "silent" in self._told else logging.WARNING
            self._told.add("silent")
            logger.log(
                level,
                "connections that send nothing are closed, the oldest first: "
                "max_handshakes is %d, and as many are in their handshake",
                self._max_handshakes,
            )
            self._opening.discard(sock)
            self.counts.refused += 1
            try:
                # As if the peer had ended it: its task sees that, and sees to the rest.
                sock.shutdown(socket.SHUT_RDWR)
            except OSError as error:
                logger.debug("a silent connection was gone already: %s", error)
            return True
        return False

    def _refuse(self, sock: Accepted, limit: str, bound: int, state: str) -> None:
        self.counts.refused += 1
        level = logging.DEBUG if limit in self._told else logging.WARNING
        self._told.add(limit)
        logger.log(
            level, "connections are refused: %s is %d, and as many are %s", limit, bound, state
        )
        if isinstance(sock, trio.abc.Stream):
            # Nothing waits for it: it is told, and gone.
            trio.lowlevel.spawn_system_task(self._refuse_stream, sock, name="wirecore refusal")
            return
        with sock:
            if self._plain:
                sock.setblocking(False)
                try:
                    sock.send(_BUSY)
                except OSError as error:
                    logger.debug("and it couldn't be told: %s", error)

    async def _refuse_stream(self, stream: trio.abc.Stream) -> None:
        try:
            if self._plain:
                await stream.send_all(_BUSY)
        except trio.BrokenResourceError as error:
            logger.debug("and it couldn't be told: %s", error)
        finally:
            await trio.aclose_forcefully(stream)

    async def _run_one(self, sock: Accepted) -> None:
        try:
            running = await self._on_connection(sock)
            if running is not None:
                await running
        except Exception:
            logger.exception("a connection failed; the server goes on")
        finally:
            self.connections -= 1
            if sock in self._opening:
                self.counts.refused += 1
            self.opened(sock)
            if self.connections * 2 < self._max_connections:
                self._told.discard("max_connections")
            if not self.connections:
                self._idle.set()


def _has_input(sock: socket.socket) -> bool:
    """Whether something came over *sock*, or its end."""
    try:
        sock.setblocking(False)
        sock.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return False
    except OSError as error:
        logger.debug("a connection broke before it sent anything: %s", error)
    return True
