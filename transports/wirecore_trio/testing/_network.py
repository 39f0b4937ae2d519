"""A network in memory: what is dialled and listened on in a run meets there, without sockets."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, TypeAlias

import trio
import trio.testing

from wirecore import errors

from .._arguments import require_type
from .._dial import parse_url
from .._errors import require_trio, unwrapped
from .._network import NETWORK, StreamListener
from .._network import Network as AnyNetwork
from .._tasks import HiddenNursery
from ._bounds import require_count, require_port
from ._faults import FaultInjector
from ._peer import ScriptedPeer
from ._server import Script, ScriptedServer
from ._streams import CAPACITY, Connection, MemoryStream

#: A host, or None for all of them, and a port; or a path.
_Place: TypeAlias = tuple[str | None, int] | str

#: The first port that port 0 is.
_FIRST_PORT: Final = 49152

#: Seconds that a run is given to come to rest.
_PATIENCE: Final = 5.0

_LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})


class Network:
    """A network in memory, for the run that enters it: ``async with Network() as network:``.

    Everything of wirecore's that is dialled or listened on in the run meanwhile, whatever its
    protocol, goes through it: by name and port, TLS included, and without sockets. Names needn't
    exist; 127.0.0.1, ::1 and localhost are one, and who listens on None, 0.0.0.0 or :: has every
    name. Where nobody listens a dial raises ConnectionRefusedError. Proxies and socket options
    are ignored.

    *faults*: what goes wrong in it, see :attr:`faults`; *seed*: of one that it makes itself.
    *capacity*: bytes each way of a connection before a sender waits.

    Leaving lets all tasks of the run come to rest, cancels what it was told to :meth:`start`, and
    ends all connections. What a script or a started server raises cancels the body, and is raised
    in its place.
    """

    def __init__(
        self, *, faults: FaultInjector | None = None, seed: int = 0, capacity: int = CAPACITY
    ) -> None:
        require_type("faults", faults, FaultInjector, optional=True)
        require_count("capacity", capacity)
        #: What goes wrong: nothing, until it is told to.
        self.faults = faults or FaultInjector(seed)
        #: All connections so far, in the order in which they were made.
        self.connections: list[Connection] = []
        self._capacity = capacity
        self._places: dict[_Place, _MemoryListener | ScriptedServer] = {}
        self._tasks = HiddenNursery()
        self._entered = False
        self._before: AnyNetwork | None = None

    def __repr__(self) -> str:
        return f"<Network of {len(self._places)} addresses, {len(self.connections)} connections>"

    async def __aenter__(self) -> Network:
        require_trio()
        if self._entered:
            raise errors.InvalidState("this network was entered already: make another")
        self._entered = True
        await self._tasks.enter()
        self._before = NETWORK.get()
        NETWORK.set(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        was_cancelled = self.nursery.cancel_scope.cancel_called  # by the body, as with any nursery
        try:
            if error is None:
                # What has arrived may be what a script is to fail for.
                await self._settle()
        finally:
            await self._leave(error)
        return was_cancelled and error is not None and isinstance(unwrapped(error), trio.Cancelled)

    async def _settle(self) -> None:
        with trio.move_on_after(_PATIENCE):
            await trio.testing.wait_all_tasks_blocked()

    async def _leave(self, error: BaseException | None) -> None:
        try:
            await self._tasks.leave(error)
        finally:
            NETWORK.set(self._before)
            for connection in self.connections:
                connection.cut()

    @property
    def nursery(self) -> trio.Nursery:
        """Where the test may start tasks of its own, which end with the network."""
        if not self._entered:
            raise errors.InvalidState("enter the network first: async with network")
        return self._tasks.nursery

    async def start(self, function: Callable[..., Awaitable[Any]], *arguments: object) -> Any:
        """``listening = await network.start(server.serve, "server.test", 80)``.

        As ``nursery.start``, in :attr:`nursery`.
        """
        return await self.nursery.start(function, *arguments)

    # --- scripts --------------------------------------------------------------------------------

    def scripted(self, url: str, *scripts: Script) -> ScriptedServer:
        """A :class:`ScriptedServer` where *url* leads to, ``ws://`` and a name and port.

        Raises OSError where another one listens there, and as that.
        """
        target = parse_url(url)
        if target.secure:
            raise errors.InvalidOption("a scripted server has no TLS: its URL begins with ws://")
        server = ScriptedServer(*scripts)
        server.url = url
        self._add(_place(target.host, target.port, None), server)
        return server

    async def scripted_client(self, url: str) -> ScriptedPeer:
        """A client by script, connected to where *url* leads, before its upgrade.

        ``async with await network.scripted_client(url) as peer: await peer.upgrade()``. Raises
        OSError.
        """
        target = parse_url(url)
        stream = await self.dial(target.host, target.port)
        return ScriptedPeer(stream, client=True, number=stream.connection.number)

    # --- what dials and listens in the run ------------------------------------------------------

    async def dial(self, host: str, port: int, unix_path: str | None = None) -> MemoryStream:
        """Connect to who listens there: a stream of bytes.

        Raises OSError; InvalidOption for no port, TypeError for other types.
        """
        place = _place(host, port, unix_path)
        shown = unix_path or f"{host} port {port}"
        await trio.lowlevel.checkpoint()
        connection = self.faults.connect(shown, capacity=self._capacity)
        self.connections.append(connection)
        try:
            await self._reach(connection)
            there = self._places.get(place)
            if there is None and unix_path is None:
                there = self._places.get((None, port))
            if there is None:
                raise ConnectionRefusedError(
                    errno.ECONNREFUSED,
                    f"{shown} refused the connection: nobody listens there in this network in "
                    f"memory, which has {self._shown_places()}",
                )
            if isinstance(there, ScriptedServer):
                await there._dialled(connection, self.nursery)
            else:
                there.put(connection.server)
        except BaseException:
            connection.reset()
            raise
        return connection.client

    async def _reach(self, connection: Connection) -> None:
        """Wait as long as a dial takes: one time there and back."""
        for direction, way in (
            (self.faults.to_server, connection.to_server),
            (self.faults.to_client, connection.to_client),
        ):
            await direction.passes()
            now = trio.current_time()
            arrival = direction.arrival(way, b"", now)
            if arrival > now:
                await trio.sleep_until(arrival)

    def listen(self, host: str | None, port: int, unix_path: str | None = None) -> StreamListener:
        """Listen there. Raises OSError where somebody listens already."""
        if unix_path is None and port == 0 and type(port) is int:
            ports = {place[1] for place in self._places if isinstance(place, tuple)}
            port = next(each for each in range(_FIRST_PORT, 65536) if each not in ports)
        place = _place(host, port, unix_path)
        address = unix_path or (host or "0.0.0.0", port)
        listener = _MemoryListener(self, place, address)
        self._add(place, listener)
        return listener

    def _add(self, place: _Place, there: _MemoryListener | ScriptedServer) -> None:
        if place in self._places:
            raise OSError(
                errno.EADDRINUSE, f"{_show(place)} is taken already in this network in memory"
            )
        self._places[place] = there

    def _shown_places(self) -> str:
        return ", ".join(_show(place) for place in self._places) or "no listener"


class _MemoryListener:
    """Listens in a network; see ``_network.StreamListener``."""

    def __init__(self, network: Network, place: _Place, address: object) -> None:
        self._network = network
        self._place = place
        self._address = address
        self._waiting: deque[MemoryStream] = deque()
        self._changed = trio.lowlevel.ParkingLot()
        self._closed = False

    def getsockname(self) -> object:
        return self._address

    def put(self, stream: MemoryStream) -> None:
        """Somebody has dialled."""
        self._waiting.append(stream)
        self._changed.unpark()

    async def accept(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self._closed:
                raise trio.ClosedResourceError("this listener was closed")
            await self._changed.park()
        return self._waiting.popleft()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            del self._network._places[self._place]
            for stream in self._waiting:
                stream.connection.reset()
            self._waiting.clear()
            self._changed.unpark_all()


def _place(host: str | None, port: int, unix_path: str | None) -> _Place:
    require_type("unix_path", unix_path, str, optional=True)
    if unix_path is not None:
        return unix_path
    require_type("host", host, str, optional=True)
    require_port(port)
    if host is None or host in _EVERYWHERE:
        return None, port
    name = host.lower().rstrip(".")
    return ("localhost" if name in _LOCAL else name), port


def _show(place: _Place) -> str:
    if isinstance(place, str):
        return place
    host, port = place
    return f"port {port} of every name" if host is None else f"{host} port {port}"
