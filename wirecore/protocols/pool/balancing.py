"""Which of the slots that may take a call gets the next one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, Protocol, TypeAlias

from wirecore._backend import default
from wirecore.errors import InvalidOption
from wirecore.protocols.pool.slots import Slot

#: ``"longest_waiting"``: who has waited longest since it got a call or could take one again, so
#: that all take turns (the original's rule). ``"least_outstanding"``: who has the fewest calls;
#: of several, who has had so few for longest.
Balancing: TypeAlias = Literal["longest_waiting", "least_outstanding"]


class Order(Protocol):
    """The slots that may take a call, the best first. All but iterating takes constant time.

    A slot's own count is changed by the caller, after he told of it here.
    """

    def put(self, slot: Slot[Any]) -> None:
        """*slot*, which wasn't here, may take calls now: its turn is after its equals'."""

    def drop(self, slot: Slot[Any]) -> None:
        """*slot*, which is here, takes no calls now."""

    def taken(self, slot: Slot[Any]) -> None:
        """*slot*, which is here, gets one call more."""

    def released(self, slot: Slot[Any], count: int) -> None:
        """*slot*, which is here, has *count* calls less."""

    def turn(self) -> Slot[Any] | None:
        """The best of all, with one call more, and dropped if it has all it may; None: none is."""

    def first(self) -> Slot[Any] | None:
        """The best of all; None where there is none."""

    def best(self, slots: Iterable[Slot[Any]]) -> Slot[Any] | None:
        """The best of *slots*, which are here; takes time by their number."""

    def __iter__(self) -> Iterator[Slot[Any]]: ...


#: In the order in which they began to wait.
LongestWaiting: Final[Any] = default.turns.LongestWaiting


class LeastOutstanding:
    """By the number of their calls, and in the order in which they came to that number.

    Constant time but for one thing: when the last slot of the least number got a call, the next
    number is looked for among those that occur. These are few where calls are spread like this.
    """

    __slots__ = ("_least", "_levels", "_turns")

    def __init__(self) -> None:
        self._levels: dict[int, OrderedDict[Slot[Any], None]] = {}  # none is empty
        self._least = 0
        self._turns = 0

    def put(self, slot: Slot[Any]) -> None:
        self._enter(slot, slot.outstanding)

    def drop(self, slot: Slot[Any]) -> None:
        count = slot.outstanding
        level = self._levels[count]
        del level[slot]
        if not level:
            del self._levels[count]
            if count == self._least:
                self._least = min(self._levels, default=0)

    def taken(self, slot: Slot[Any]) -> None:
        # In this order: then the next number is there already where the least is looked for.
        self._enter(slot, slot.outstanding + 1)
        self.drop(slot)

    def released(self, slot: Slot[Any], count: int) -> None:
        self._enter(slot, slot.outstanding - count)
        self.drop(slot)

    def turn(self) -> Slot[Any] | None:
        slot = self.first()
        if slot is not None:
            if slot.outstanding + 1 == slot.capacity:
                slot.ready = False
                self.drop(slot)
            else:
                self.taken(slot)
            slot.outstanding += 1
        return slot

    def first(self) -> Slot[Any] | None:
        for slot in self._levels.get(self._least, ()):
            return slot
        return None

    def best(self, slots: Iterable[Slot[Any]]) -> Slot[Any] | None:
        return min(slots, key=_load, default=None)

    def __iter__(self) -> Iterator[Slot[Any]]:
        for count in sorted(self._levels):
            yield from self._levels[count]

    def _enter(self, slot: Slot[Any], count: int) -> None:
        self._turns = slot.since = self._turns + 1
        level = self._levels.get(count)
        if level is None:
            if not self._levels or count < self._least:
                self._least = count
            level = self._levels[count] = OrderedDict()
        level[slot] = None


def _load(slot: Slot[Any]) -> tuple[int, int]:
    return slot.outstanding, slot.since


_ORDERS: Final[dict[str, Callable[[], Order]]] = {
    "longest_waiting": LongestWaiting,
    "least_outstanding": LeastOutstanding,
}


def new_order(balancing: Balancing) -> Order:
    """An empty order of that rule. Raises InvalidOption for one that there isn't."""
    order = _ORDERS.get(balancing)
    if order is None:
        known = " or ".join(f'"{name}"' for name in _ORDERS)
        raise InvalidOption(f"balancing must be {known}, not {balancing!r}")
    return order()
