"""The kinds of what may go wrong on a connection's way."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary, WeakSet

import trio

if TYPE_CHECKING:
    from ._faults import Direction
    from ._streams import Connection, Way

#: Pieces a second that a limited rate comes in.
_PIECES: Final = 10


class Fault:
    """One thing that goes wrong, on from the beginning: ``with`` switches it off at its end.

    Its random numbers depend on the injector's seed, on how many faults were made before, on the
    connection's number, and on how many bytes went before: not on the order in which tasks run.
    """

    #: Largest piece that is read at once; None: any.
    piece: int | None = None
    #: Whether nothing is delivered.
    holds = False

    def __init__(
        self, directions: Sequence[Direction], seed: str, times: int | None = None
    ) -> None:
        self._directions = directions
        self._seed = seed
        self._times = times
        self._begun: WeakKeyDictionary[Way, int] = WeakKeyDictionary()
        self._changed = trio.lowlevel.ParkingLot()
        #: How often it has struck.
        self.count = 0
        #: Whether it is on.
        self.active = False
        self.on()

    def __repr__(self) -> str:
        state = "on" if self.active else "off"
        return f"<{type(self).__name__} {state}, struck {self.count} times>"

    def __enter__(self) -> Fault:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.off()

    def on(self) -> None:
        """Have it go wrong, from now on. Idempotent."""
        if not self.active:
            self.active = True
            for direction in self._directions:
                direction.add(self)

    def off(self) -> None:
        """Have it go right again. Idempotent."""
        if self.active:
            self.active = False
            for direction in self._directions:
                direction.remove(self)

    async def wait_struck(self, count: int = 1) -> None:
        """Wait until it has struck so many times."""
        while self.count < count:
            await self._changed.park()
        await trio.lowlevel.checkpoint()

    # --- what ways ask --------------------------------------------------------------------------

    def begin(self, way: Way) -> None:
        """It is on for *way* from now on."""
        self._begun[way] = way.sent

    def allows(self, way: Way) -> int | None:
        """How many bytes may pass before it strikes; None: it lets all pass."""
        return None

    def strike(self, way: Way) -> None:
        """So many bytes have passed."""

    def change(self, way: Way, offset: int, data: bytes) -> Iterable[bytes]:
        """What becomes of *data*, which is what is sent from *offset* on."""
        return (data,)

    def delay(self, way: Way, data: bytes, arrival: float) -> float:
        """When *data* arrives that would arrive at *arrival*."""
        return arrival

    # --- for those that derive from it ----------------------------------------------------------

    @property
    def _spent(self) -> bool:
        return self._times is not None and self.count >= self._times

    def _struck(self) -> None:
        self.count += 1
        self._changed.unpark_all()

    def _random(self, way: Way, offset: int | str = "") -> random.Random:
        return random.Random(f"{self._seed}/{way.name}/{offset}")


class Delay(Fault):
    def __init__(
        self, directions: Sequence[Direction], seed: str, seconds: float, jitter: float
    ) -> None:
        self._seconds = seconds
        self._jitter = jitter
        super().__init__(directions, seed)

    def delay(self, way: Way, data: bytes, arrival: float) -> float:
        self._struck()
        return arrival + self._seconds + self._jitter * self._random(way, way.sent).random()


class Rate(Fault):
    def __init__(self, directions: Sequence[Direction], seed: str, rate: float) -> None:
        self._rate = rate
        self._free: WeakKeyDictionary[Way, float] = WeakKeyDictionary()
        super().__init__(directions, seed)

    def change(self, way: Way, offset: int, data: bytes) -> Iterator[bytes]:
        size = max(1, int(self._rate / _PIECES))
        for begin in range(0, len(data), size):
            yield data[begin : begin + size]

    def delay(self, way: Way, data: bytes, arrival: float) -> float:
        self._struck()
        self._free[way] = max(arrival, self._free.get(way, 0.0)) + len(data) / self._rate
        return self._free[way]


class Pieces(Fault):
    def __init__(self, directions: Sequence[Direction], seed: str, size: int) -> None:
        self.piece = size
        super().__init__(directions, seed)


class BlackHole(Fault):
    holds = True


class Duplicate(Fault):
    def __init__(
        self, directions: Sequence[Direction], seed: str, chance: float, times: int | None
    ) -> None:
        self._chance = chance
        super().__init__(directions, seed, times)

    def change(self, way: Way, offset: int, data: bytes) -> Iterable[bytes]:
        if self._spent or self._random(way, offset).random() >= self._chance:
            return (data,)
        self._struck()
        return (data, data)


class Corrupt(Fault):
    """Turns one bit round at places that the seed says, *every* so many bytes on average."""

    def __init__(
        self, directions: Sequence[Direction], seed: str, every: int, times: int | None
    ) -> None:
        self._every = every
        self._places: WeakKeyDictionary[Way, tuple[int, random.Random]] = WeakKeyDictionary()
        super().__init__(directions, seed, times)

    def begin(self, way: Way) -> None:
        super().begin(way)
        numbers = self._random(way)
        self._places[way] = way.sent + self._gap(numbers), numbers

    def _gap(self, numbers: random.Random) -> int:
        return numbers.randrange(2 * self._every - 1) if self._every > 1 else 0

    def change(self, way: Way, offset: int, data: bytes) -> Iterable[bytes]:
        place, numbers = self._places[way]
        changed = bytearray(data)
        while place < offset + len(data) and not self._spent:
            bit = 1 << numbers.randrange(8)
            if place >= offset:  # it isn't what was sent while another fault had its turn
                changed[place - offset] ^= bit
                self._struck()
            place += 1 + self._gap(numbers)
        self._places[way] = place, numbers
        return (bytes(changed),)


class Cut(Fault):
    """Strikes on a connection once *after* bytes have passed since it is on."""

    def __init__(
        self,
        directions: Sequence[Direction],
        seed: str,
        after: int,
        times: int | None,
        *,
        how: str,
    ) -> None:
        self._after = after
        self._how = how
        self._done: WeakSet[Connection] = WeakSet()
        super().__init__(directions, seed, times)

    def allows(self, way: Way) -> int | None:
        if self._spent or way.connection in self._done:
            return None
        return max(0, self._begun[way] + self._after - way.sent)

    def strike(self, way: Way) -> None:
        if self._spent or way.connection in self._done:
            return
        self._done.add(way.connection)
        if self._how == "half":
            way.end_unnoticed()
        elif self._how == "reset":
            way.connection.reset()
        else:
            way.connection.cut()
        self._struck()
