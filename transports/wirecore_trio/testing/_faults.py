"""What goes wrong between two ends, switched on and off while they talk."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakSet

import trio

from wirecore.session.limits import check_above, check_at_least

from .._arguments import require_int, require_number, require_type
from ._bounds import require_chance, require_count, require_delay
from ._fault_kinds import BlackHole, Corrupt, Cut, Delay, Duplicate, Fault, Pieces, Rate
from ._streams import CAPACITY, Connection, MemoryStream, Way


class _Switches:
    """What can be made to go wrong; each method switches it on, and gives the :class:`Fault`."""

    _injector: FaultInjector

    def _affected(self) -> Sequence[Direction]:
        raise NotImplementedError

    def delay(self, seconds: float, *, jitter: float = 0.0) -> Fault:
        """Everything arrives *seconds* later, and up to *jitter* seconds more, in its order.

        Raises InvalidOption for less than 0, as all of these do for what makes no sense.
        """
        require_delay("seconds", seconds)
        require_delay("jitter", jitter)
        return Delay(self._affected(), self._injector._next_seed(), seconds, jitter)

    def limit_rate(self, bytes_per_second: float) -> Fault:
        """No more than that arrives."""
        require_number("bytes_per_second", bytes_per_second)
        check_above("bytes_per_second", bytes_per_second, 0)
        return Rate(self._affected(), self._injector._next_seed(), bytes_per_second)

    def cut_pieces(self, size: int = 1) -> Fault:
        """Nobody reads more than *size* bytes at once."""
        require_count("size", size)
        return Pieces(self._affected(), self._injector._next_seed(), size)

    def black_hole(self) -> Fault:
        """Nothing arrives, the end of a stream neither, and nobody is told; no dial ends.

        What was sent, and not read yet, arrives when it is off again, as TCP would send it once
        more.
        """
        return BlackHole(self._affected(), self._injector._next_seed())

    def duplicate(self, *, chance: float = 1.0, times: int | None = None) -> Fault:
        """What is sent in one go comes twice, with a *chance* of 0 to 1, *times* times at most."""
        require_chance("chance", chance)
        require_count("times", times, optional=True)
        return Duplicate(self._affected(), self._injector._next_seed(), chance, times)

    def corrupt(self, *, every: int = 100, times: int | None = None) -> Fault:
        """A bit is turned round, *every* so many bytes on average, so many *times* at most."""
        require_count("every", every)
        require_count("times", times, optional=True)
        return Corrupt(self._affected(), self._injector._next_seed(), every, times)

    def cut(self, *, after: int = 0, reset: bool = False, times: int | None = None) -> Fault:
        """A connection ends both ways once *after* bytes have gone this way since it is on.

        With 0 those that are open end at once. *reset*: it breaks, and what wasn't read is lost.
        Each connection is cut, unless it is said how many *times*.
        """
        require_type("reset", reset, bool)
        return self._cut(after, times, "reset" if reset else "cut")

    def half_close(self, *, after: int = 0, times: int | None = None) -> Fault:
        """The reader of this way finds its end once *after* bytes have gone, the other one goes on.

        The sender isn't told: what it sends goes nowhere.
        """
        return self._cut(after, times, "half")

    def _cut(self, after: int, times: int | None, how: str) -> Fault:
        require_int("after", after)
        check_at_least("after", after, 0)
        require_count("times", times, optional=True)
        seed = self._injector._next_seed()
        return Cut(self._affected(), seed, after, times, how=how)


class Direction(_Switches):
    """One direction of all connections: what is sent to servers, or to clients."""

    def __init__(self, injector: FaultInjector) -> None:
        self._injector = injector
        self._faults: list[Fault] = []
        self._ways: WeakSet[Way] = WeakSet()
        self._waiting = trio.lowlevel.ParkingLot()

    def _affected(self) -> Sequence[Direction]:
        return (self,)

    # --- switching ------------------------------------------------------------------------------

    def add(self, fault: Fault) -> None:
        """*fault* is on."""
        self._faults.append(fault)
        for way in self._live():
            fault.begin(way)
            if fault.allows(way) == 0:
                fault.strike(way)

    def remove(self, fault: Fault) -> None:
        """*fault* is off."""
        self._faults.remove(fault)
        self._waiting.unpark_all()
        for way in self._live():
            way.wake()

    def _live(self) -> list[Way]:
        ways = [way for way in self._ways if not way.over]
        return sorted(ways, key=lambda way: way.connection.number)

    # --- what ways ask --------------------------------------------------------------------------

    def begin(self, way: Way) -> None:
        """There is a further way."""
        for fault in self._faults:
            fault.begin(way)

    def begun(self, way: Way) -> None:
        """Its connection is made."""
        self._ways.add(way)
        for fault in list(self._faults):
            if fault.allows(way) == 0:
                fault.strike(way)

    @property
    def holds(self) -> bool:
        """Whether nothing is delivered."""
        return any(fault.holds for fault in self._faults)

    @property
    def piece(self) -> int | None:
        """Largest piece that is read at once; None: any."""
        return min((fault.piece for fault in self._faults if fault.piece is not None), default=None)

    def arrival(self, way: Way, data: bytes, now: float) -> float:
        """When *data* arrives that is sent *now*."""
        for fault in self._faults:
            now = fault.delay(way, data, now)
        return now

    def admit(self, way: Way, data: bytes) -> tuple[bytes, list[Fault]]:
        """As much of *data* as passes, and the faults that strike behind it."""
        allowed = {fault: fault.allows(way) for fault in self._faults}
        least = min((each for each in allowed.values() if each is not None), default=None)
        if least is None or least > len(data):
            return data, []
        return data[:least], [fault for fault, each in allowed.items() if each == least]

    def changed(self, way: Way, offset: int, data: bytes) -> list[bytes]:
        """What becomes of *data*, which is what is sent from *offset* on."""
        chunks = [data]
        for fault in self._faults:
            begin = offset
            done: list[bytes] = []
            for chunk in chunks:
                done += fault.change(way, begin, chunk)
                begin += len(chunk)
            chunks = done
        return [chunk for chunk in chunks if chunk]

    async def passes(self) -> None:
        """Wait until something is delivered."""
        while self.holds:
            await self._waiting.park()


class FaultInjector(_Switches):
    """Sits between two ends, of one connection or of all of a :class:`Network`.

    Its methods make something go wrong in both directions; :attr:`to_server` and
    :attr:`to_client` have the same for one. Faults of different kinds add up. Without any it
    passes on what comes. *seed*: begins the random numbers; the same one gives the same faults at
    the same bytes.
    """

    def __init__(self, seed: int = 0) -> None:
        require_int("seed", seed)
        self.seed = seed
        self._made = 0
        self._connections = 0
        self._injector = self
        #: What clients send.
        self.to_server = Direction(self)
        #: What servers send.
        self.to_client = Direction(self)

    def _affected(self) -> Sequence[Direction]:
        return (self.to_server, self.to_client)

    def _next_seed(self) -> str:
        self._made += 1
        return f"{self.seed}/{self._made}"

    def clear(self) -> None:
        """Switch everything off."""
        for direction in self._affected():
            for fault in list(direction._faults):
                fault.off()

    def connect(self, target: object = "memory", *, capacity: int = CAPACITY) -> Connection:
        """A further connection in memory. *capacity*: bytes each way before a sender waits."""
        require_count("capacity", capacity)
        self._connections += 1
        return Connection(
            self._connections, (self.to_server, self.to_client), target=target, capacity=capacity
        )

    def stream_pair(self, *, capacity: int = CAPACITY) -> tuple[MemoryStream, MemoryStream]:
        """The ends of a further connection: the client's, then the server's."""
        connection = self.connect(capacity=capacity)
        return connection.client, connection.server

    async def bridge(self, client: trio.abc.Stream, server: trio.abc.Stream) -> None:
        """Sit between two streams of any kind, until both have ended.

        *client*: the stream that leads to the client, *server*: to the server. Both are closed in
        the end. What breaks one breaks off the other.
        """
        connection = self.connect()
        async with trio.open_nursery() as nursery, client, server:
            async with trio.open_nursery() as carrying:
                carrying.start_soon(_carry, client, connection.client)
                carrying.start_soon(_carry, connection.client, client)
                carrying.start_soon(_carry, server, connection.server)
                carrying.start_soon(_carry, connection.server, server)
            nursery.cancel_scope.cancel()


async def _carry(source: trio.abc.Stream, target: trio.abc.Stream) -> None:
    """Take what comes from *source* to *target*, its end too."""
    try:
        while data := await source.receive_some():
            await target.send_all(data)
        if isinstance(target, trio.abc.HalfCloseableStream):
            await target.send_eof()
        else:
            await target.aclose()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        await trio.aclose_forcefully(source)
        await trio.aclose_forcefully(target)
