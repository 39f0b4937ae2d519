"""Calls that wait for a provider: queues by place, and what waits for one provider alone."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Any, Final, Generic, TypeAlias, TypeVar

from wirecore.protocols.pool.slots import ANY, Slot, Wish

T = TypeVar("T")

#: What a node is known by: the identity of a provider, or the number of a slot without one.
Name: TypeAlias = str | int

#: So many withdrawn tickets in a queue are never worth to be looked for.
_FEW: Final = 16


class Ticket(Generic[T]):
    """One call that waits for a slot; whoever uses the dispatcher adds how it is woken.

    *wish*: which slots will do. *slot*: the one that it got, None while it waits. Both are
    read-only.
    """

    __slots__ = ("wish", "slot", "first", "place", "entry", "queue")

    def __init__(self, wish: Wish = ANY) -> None:
        self.wish = wish
        self.slot: Slot[T] | None = None
        self.first = 0  # the number of its first entry; 0: it never waited
        self.place = 0  # of two tickets the one with the smaller place is served before
        self.entry = 0  # the number of its entry; 0: it doesn't wait
        self.queue: Queue | None = None  # where it waits; None too where no provider fits


class Queue:
    """Tickets in the order of their places. ``len()`` counts them.

    They may go to *node* alone, or, where that is None, to any: who has *labels*.

    A withdrawn ticket stays in the heap until it comes to the top or most others are withdrawn
    too: so withdrawing costs little, wherever a ticket stands.
    """

    __slots__ = ("_heap", "_waiting", "labels", "node")

    def __init__(self, node: Node | None, labels: frozenset[str]) -> None:
        self.node = node
        self.labels = labels
        # Place, number of the entry, ticket. It is valid while it is its ticket's last entry.
        self._heap: list[tuple[int, int, Ticket[Any]]] = []
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def push(self, ticket: Ticket[Any]) -> None:
        """*ticket*, whose entry has a number never used before, waits here."""
        ticket.queue = self
        self._waiting += 1
        heappush(self._heap, (ticket.place, ticket.entry, ticket))

    def first(self) -> Ticket[Any]:
        """The ticket that is served next; there must be one."""
        heap = self._heap
        while heap[0][2].entry != heap[0][1]:
            heappop(heap)
        return heap[0][2]

    def discard(self, ticket: Ticket[Any]) -> None:
        """*ticket*, which waits here, waits no longer."""
        ticket.entry = 0
        ticket.queue = None
        self._waiting -= 1
        heap = self._heap
        if heap[0][2] is ticket:
            heappop(heap)
        elif len(heap) > 2 * self._waiting + _FEW:
            self._heap = [item for item in heap if item[2].entry == item[1]]
            heapify(self._heap)


class Node:
    """A provider, with all its slots that aren't leaving; or one slot without an identity.

    *queues*: who waits for it alone, by labels; so it may be there without any slot.
    """

    __slots__ = ("name", "prefix", "queues", "slots")

    def __init__(self, name: Name) -> None:
        self.name = name
        self.slots: dict[Slot[Any], None] = {}
        self.queues: dict[frozenset[str], Queue] = {}
        # What is hashed before a key; with its length, so that no two pairs look the same.
        kind = b"p" if isinstance(name, str) else b"c"
        text = str(name).encode("utf-8", "surrogatepass")
        self.prefix = b"%b%d:%b" % (kind, len(text), text)

    def fits(self, labels: frozenset[str]) -> bool:
        """Whether a call that wants *labels* may go there, be it now or later."""
        return any(labels <= slot.labels for slot in self.slots)
