"""A server by script: what it does with each attempt to connect is a function of the test's."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, TypeAlias

import trio

from wirecore import errors

from .._arguments import require_async, require_type
from .._errors import ConnectionClosed
from .._tasks import HiddenNursery
from ._bounds import require_count, require_port
from ._peer import ScriptedPeer
from ._streams import Connection

logger = logging.getLogger("wirecore.testing")

#: What is done with an attempt to connect.
Script: TypeAlias = Callable[[ScriptedPeer], Awaitable[object]]

#: How a script ends by the other end's doing, and not by a failure of the test.
_LEFT: Final = (
    ConnectionClosed,
    errors.HandshakeError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)


class ScriptedServer:
    """Does with the first attempt to connect what the first of *scripts* says, and so on.

    The last one has all that follow, too. A script is an async function of a
    :class:`ScriptedPeer`; when it returns, the stream is ended. ``lambda peer: peer.reject(503)``
    is one. A script ends quietly when the other end has left while it received or sent; what else
    it raises is raised where the server was opened. ``Network.scripted`` opens one in memory, and
    :meth:`listening` on loopback.

    Raises InvalidOption where there is no script, TypeError for what is none.
    """

    def __init__(self, *scripts: Script) -> None:
        if not scripts:
            raise errors.InvalidOption("a scripted server needs a script")
        for script in scripts:
            require_async("a script", script, "peer")
        self._scripts = scripts
        #: One for each attempt, in order.
        self.peers: list[ScriptedPeer] = []
        #: Where clients find it, once it was opened.
        self.url = ""
        self._changed = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<ScriptedServer at {self.url or 'no address'}, {len(self.peers)} attempts>"

    async def peer(self, number: int = 1) -> ScriptedPeer:
        """The peer of the attempt with this *number*, from 1. Waits for it.

        Raises InvalidOption for a number below 1, TypeError for what is none.
        """
        require_count("number", number)
        while len(self.peers) < number:
            await self._changed.park()
        return self.peers[number - 1]

    def listening(self, host: str = "127.0.0.1", port: int = 0) -> Listening:
        """Open it for clients of any kind, over TCP: ``async with server.listening() as url``.

        Raises InvalidOption for no port, TypeError for other types; entering raises OSError.
        """
        require_type("host", host, str)
        require_port(port)
        return Listening(self, host, port)

    # --- attempts -------------------------------------------------------------------------------

    def _make_peer(self, stream: trio.abc.Stream) -> ScriptedPeer:
        peer = ScriptedPeer(stream, number=len(self.peers) + 1)
        self.peers.append(peer)
        self._changed.unpark_all()
        return peer

    async def _dialled(self, connection: Connection, nursery: trio.Nursery) -> None:
        """A client dials, over memory. Raises OSError where the script refuses."""
        peer = self._make_peer(connection.server)
        nursery.start_soon(self._run, peer)
        await peer._decided.wait()
        if peer._refusal is not None:
            raise peer._refusal

    async def _attend(self, stream: trio.abc.Stream) -> None:
        """The same over TCP, where it is connected already."""
        await self._run(self._make_peer(stream))

    async def _run(self, peer: ScriptedPeer) -> None:
        script = self._scripts[min(peer.number, len(self._scripts)) - 1]
        try:
            async with peer:
                await script(peer)
                peer.finished = True
        except _LEFT as left:
            logger.debug("the other end of %r has left: %r", peer, left)
        except BaseExceptionGroup as group:  # of a nursery of the script's
            rest = group.split(_LEFT)[1]
            if rest is group:
                raise
            logger.debug("the other end of %r has left: %r", peer, group)
            if rest is not None:
                raise rest from None


class Listening:
    """A scripted server on loopback, for as long as it is entered; entering gives its URL."""

    def __init__(self, server: ScriptedServer, host: str, port: int) -> None:
        self._server = server
        self._host = host
        self._port = port
        self._tasks = HiddenNursery()

    async def __aenter__(self) -> str:
        [listener] = await trio.open_tcp_listeners(self._port, host=self._host)
        await self._tasks.enter()
        self._tasks.nursery.start_soon(self._accept, listener)
        port = listener.socket.getsockname()[1]
        self._server.url = f"ws://{self._host}:{port}/"
        return self._server.url

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._tasks.leave(error)

    async def _accept(self, listener: trio.SocketListener) -> None:
        async with listener:
            while True:
                self._tasks.nursery.start_soon(self._server._attend, await listener.accept())
