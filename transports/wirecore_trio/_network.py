"""What stands in for the system's network in a run: tests have theirs in memory.

Whatever dials or listens asks for it first, so that all protocols can be had without sockets.
"""

from __future__ import annotations

import socket
from typing import Final, Protocol, TypeAlias

import trio

from ._link import Link, SocketLink, StreamLink


class StreamListener(Protocol):
    """What listens in such a network."""

    def getsockname(self) -> object:
        """Its address, as that of a socket: host and port, or a path."""

    async def accept(self) -> trio.abc.Stream:
        """The next connection. Raises trio.ClosedResourceError after :meth:`close`."""

    def close(self) -> None:
        """Listen no more. Idempotent."""


class Network(Protocol):
    """Where all of a run's connections are made, once it is set as :data:`NETWORK`."""

    async def dial(self, host: str, port: int, unix_path: str | None) -> trio.abc.Stream:
        """Connect to *host* and *port*, or to *unix_path*. Raises OSError."""

    def listen(self, host: str | None, port: int, unix_path: str | None) -> StreamListener:
        """Listen there; None: everywhere, 0: on a port that is free. Raises OSError."""


#: The run's network; None: the system's.
NETWORK: Final[trio.lowlevel.RunVar[Network | None]] = trio.lowlevel.RunVar(
    "wirecore.network", None
)

AnyListener: TypeAlias = socket.socket | StreamListener

#: What a listener has accepted.
Accepted: TypeAlias = socket.socket | trio.abc.Stream


def accepted_link(accepted: Accepted) -> Link:
    """The link over *accepted*, which belongs to it from now on."""
    if not isinstance(accepted, socket.socket):
        return StreamLink(accepted)
    link = SocketLink(accepted)
    try:
        if accepted.family != getattr(socket, "AF_UNIX", None):
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        link.close()
        raise
    return link


def name_of_peer(accepted: Accepted) -> object:
    """The address at the other end, as ``getpeername`` gives it. Raises OSError."""
    if isinstance(accepted, socket.socket):
        return accepted.getpeername()
    return getattr(accepted, "peer", "memory")


async def end_sending(accepted: Accepted) -> None:
    """Tell the other end that no more comes; what it sends can still be read. Raises OSError."""
    if isinstance(accepted, socket.socket):
        accepted.shutdown(socket.SHUT_WR)
    elif isinstance(accepted, trio.abc.HalfCloseableStream):
        await accepted.send_eof()
