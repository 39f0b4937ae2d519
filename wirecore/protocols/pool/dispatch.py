"""Which provider takes which call, and who waits: one dispatcher for each path.

A call asks with :meth:`Dispatcher.take`, and where that gives nothing waits with a ticket. What
happens to slots gives them to tickets. At no time is there a slot that may take a call beside a
ticket that it would do for; so who comes later overtakes nobody, without looking at the queues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, KeysView
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from wirecore.errors import InvalidState, LocalLimitExceeded
from wirecore.protocols.pool.balancing import Balancing, new_order
from wirecore.protocols.pool.queues import Name, Node, Queue, Ticket
from wirecore.protocols.pool.slots import ANY, Slot, Wish
from wirecore.protocols.pool.sticky import Rendezvous
from wirecore.session.limits import check_at_least

T = TypeVar("T")
K = TypeVar("K", bound=Ticket[Any])

#: Moves a place before all those of tickets that weren't queued again.
_AGAIN: Final = 1 << 62

_place = attrgetter("place")


class _Sticky(Generic[K]):
    """Tickets of one key and labels, and the node that they wait for; None where none fits."""

    __slots__ = ("node", "tickets")

    def __init__(self) -> None:
        self.node: Node | None = None
        self.tickets: dict[K, None] = {}


class Dispatcher(Generic[T, K]):
    """Slots with a target of type T, and tickets of type K that wait for them.

    *balancing*: which of several slots is taken. *max_queue*: how many tickets may wait.

    Read-only attributes: *queued*, how many tickets wait; *max_queue*.

    Raises :class:`~wirecore.errors.InvalidOption` for an option that makes no sense.
    """

    __slots__ = (
        "_entries",
        "_nodes",
        "_order",
        "_queues",
        "_rendezvous",
        "_slots",
        "_sticky",
        "max_queue",
        "queued",
        "turn",
    )

    def __init__(
        self,
        balancing: Balancing = "longest_waiting",
        max_queue: int = 10_000,
    ) -> None:
        check_at_least("max_queue", max_queue, 0)
        self.max_queue = max_queue
        self.queued = 0
        self._entries = 0  # numbers for entries of tickets, and for slots without an identity
        self._order = new_order(balancing)
        #: As :meth:`take`, where any will do, in one step: nearly all calls are such.
        self.turn: Callable[[], Slot[T] | None] = self._order.turn
        self._slots: dict[Slot[T], Node] = {}
        # Of those with slots, and of those that somebody waits for by name.
        self._nodes: dict[Name, Node] = {}
        # Who waits for any provider, by labels, and who waits with a key. None is empty.
        self._queues: dict[frozenset[str], Queue] = {}
        self._sticky: dict[tuple[frozenset[str], str], _Sticky[K]] = {}
        self._rendezvous = Rendezvous(self._nodes, self._sticky)

    @property
    def outstanding(self) -> int:
        """How many calls all slots together have."""
        return sum(slot.outstanding for slot in self._slots)

    @property
    def slots(self) -> KeysView[Slot[T]]:
        """The slots that were added and not removed, in the order of their coming."""
        return self._slots.keys()

    # --- calls ----------------------------------------------------------------------------

    def take(self, wish: Wish = ANY) -> Slot[T] | None:
        """A slot for a call, which it then has outstanding; None where the call has to wait."""
        if wish is ANY:
            return self.turn()
        slot = self._find(wish)
        if slot is not None:
            self._give(slot)
        return slot

    def enqueue(self, ticket: K, *, front: bool = False) -> bool:
        """*ticket* waits; False where it got a slot at once, which ``ticket.slot`` then is.

        *front*: its call had a slot and lost it, so it comes before all others (of several such
        the first that waited is the first), and is never refused.

        Raises :class:`~wirecore.errors.LocalLimitExceeded` where *max_queue* tickets wait, and
        :class:`~wirecore.errors.InvalidState` where this one does already.
        """
        if ticket.entry:
            raise InvalidState("this ticket waits already")
        ticket.slot = self.take(ticket.wish)
        if ticket.slot is None and not front and self.queued >= self.max_queue:
            remedy = "connect more providers, or raise it"
            raise LocalLimitExceeded("max_queue", self.queued + 1, self.max_queue, remedy)
        self._entries += 1
        if not ticket.first:
            ticket.first = self._entries
        if ticket.slot is not None:
            return False
        ticket.place = ticket.first - _AGAIN if front else self._entries
        self.queued += 1
        self._wait(ticket)
        return True

    def withdraw(self, ticket: K) -> bool:
        """*ticket* waits no longer; False where it didn't wait."""
        if not ticket.entry:
            return False
        self._unwait(ticket)
        return True

    def release(self, slot: Slot[T], count: int = 1) -> list[K]:
        """So many calls that *slot* had have ended; the tickets that got *slot*.

        Nothing happens where it was removed: its calls ended with that. Raises
        :class:`~wirecore.errors.InvalidState` for a slot that has fewer calls.
        """
        if slot.outstanding < count:
            if slot in self._slots:
                raise InvalidState(f"{count} calls can't end of a slot that has {slot.outstanding}")
            return []
        if slot.ready:
            self._order.released(slot, count)
            slot.outstanding -= count
            return []  # nobody waits for it
        slot.outstanding -= count
        return self._make_ready(slot)

    # --- slots ----------------------------------------------------------------------------

    def add(self, slot: Slot[T]) -> list[K]:
        """*slot* is there; the tickets that got it.

        Raises :class:`~wirecore.errors.InvalidState` where it is there already.
        """
        if slot in self._slots:
            raise InvalidState("this slot was added before")
        name: Name
        if slot.identity is None:
            self._entries = name = self._entries + 1
        else:
            name = slot.identity
        if slot.leaving:
            self._slots[slot] = Node(name)
            return []
        node = self._slots[slot] = self._node(name)
        node.slots[slot] = None
        self._rendezvous.joined(node)
        # Some who wait with a key have to wait for this one from now on.
        moved = [
            ticket
            for (labels, key), sticky in self._sticky.items()
            if labels <= slot.labels and self._rendezvous.choose(labels, key) is not sticky.node
            for ticket in sticky.tickets
        ]
        return self._move(moved) + self._make_ready(slot)

    def remove(self, slot: Slot[T]) -> list[K]:
        """*slot* is gone, with all calls that it had; nothing where it isn't there.

        The tickets that got another slot: those with a key that waited for this one.
        """
        node = self._slots.get(slot)
        if node is None:
            return []
        given = self._retire(slot, node)
        del self._slots[slot]
        slot.outstanding = 0
        return given

    def leave(self, slot: Slot[T]) -> list[K]:
        """*slot* gets no more calls; those that it has go on. The tickets as of :meth:`remove`."""
        slot.leaving = True
        node = self._slots.get(slot)
        return [] if node is None else self._retire(slot, node)

    def block(self, slot: Slot[T]) -> None:
        """*slot* gets no more calls until :meth:`unblock`; those that wait for it stay so."""
        slot.blocked = True
        self._make_unready(slot)

    def unblock(self, slot: Slot[T]) -> list[K]:
        """*slot* may get calls again; the tickets that got it."""
        slot.blocked = False
        return self._make_ready(slot) if slot in self._slots and not slot.ready else []

    # --- which slot -----------------------------------------------------------------------

    def _find(self, wish: Wish) -> Slot[T] | None:
        """The best slot for *wish* among those that may take a call."""
        labels = wish.labels
        if wish.provider is None and wish.key is None:
            if not labels:
                return self._order.first()
            for slot in self._order:
                if labels <= slot.labels:
                    return slot
            return None
        node = self._destination(wish)
        if node is None:
            return None
        fitting = (slot for slot in node.slots if slot.ready and labels <= slot.labels)
        return self._order.best(fitting)

    def _destination(self, wish: Wish) -> Node | None:
        """The only node that may serve *wish*, which names it or has a key; None: none is there."""
        if wish.provider is not None:
            return self._nodes.get(wish.provider)
        assert wish.key is not None
        return self._rendezvous.choose(wish.labels, wish.key)

    def _give(self, slot: Slot[T]) -> None:
        if slot.outstanding + 1 == slot.capacity:
            self._order.drop(slot)
            slot.ready = False
        else:
            self._order.taken(slot)
        slot.outstanding += 1

    # --- what slots may take --------------------------------------------------------------

    def _make_ready(self, slot: Slot[T]) -> list[K]:
        """Let *slot*, which isn't ready, take calls, if it may; the tickets that it got."""
        full = slot.capacity is not None and slot.outstanding >= slot.capacity
        if full or slot.blocked or slot.leaving:
            return []
        slot.ready = True
        self._order.put(slot)
        return self._offer(slot) if self.queued else []

    def _make_unready(self, slot: Slot[T]) -> None:
        if slot.ready:
            slot.ready = False
            self._order.drop(slot)

    def _retire(self, slot: Slot[T], node: Node) -> list[K]:
        """*slot* will never take a call again."""
        self._make_unready(slot)
        if slot not in node.slots:  # it was retired before
            return []
        del node.slots[slot]
        moved = [
            ticket
            for (labels, _), sticky in self._sticky.items()
            if sticky.node is node and not node.fits(labels)
            for ticket in sticky.tickets
        ]
        given = self._move(moved)
        self._forget_if_idle(node)
        return given

    # --- who waits ------------------------------------------------------------------------

    def _offer(self, slot: Slot[T]) -> list[K]:
        """Give *slot*, which is ready, to those who wait for such a one."""
        queues = [*self._queues.values(), *self._slots[slot].queues.values()]
        fitting = [queue for queue in queues if queue.labels <= slot.labels]
        given: list[K] = []
        while slot.ready and fitting:
            # One queue where all wish for the same, else one for each set of labels.
            firsts = (queue.first() for queue in fitting)
            ticket: Any = next(firsts) if len(fitting) == 1 else min(firsts, key=_place)
            queue = ticket.queue
            self._unwait(ticket)
            if not queue:
                fitting.remove(queue)
            self._give(slot)
            ticket.slot = slot
            given.append(ticket)
        return given

    def _wait(self, ticket: K) -> None:
        """Let *ticket*, whose place is known, wait where its wish belongs."""
        self._entries = ticket.entry = self._entries + 1
        provider, labels, key = ticket.wish
        if provider is None and key is None:
            queue = self._queues.get(labels)
            if queue is None:
                queue = self._queues[labels] = Queue(None, labels)
            queue.push(ticket)
            return
        if provider is not None:
            node: Node | None = self._node(provider)
        else:
            assert key is not None
            node = self._rendezvous.choose(labels, key)
            sticky = self._sticky.get((labels, key))
            if sticky is None:
                sticky = self._sticky[labels, key] = _Sticky()
            sticky.node = node
            sticky.tickets[ticket] = None
        if node is not None:
            queue = node.queues.get(labels)
            if queue is None:
                queue = node.queues[labels] = Queue(node, labels)
            queue.push(ticket)

    def _unwait(self, ticket: K) -> None:
        queue = ticket.queue
        self.queued -= 1
        if queue is None:
            ticket.entry = 0
        else:
            queue.discard(ticket)
            if not queue:
                self._drop(queue)
        provider, labels, key = ticket.wish
        if provider is None and key is not None:
            sticky = self._sticky[labels, key]
            del sticky.tickets[ticket]
            if not sticky.tickets:
                del self._sticky[labels, key]

    def _move(self, tickets: Iterable[K]) -> list[K]:
        """Let *tickets* wait for whom their keys mean now; those that got a slot at once."""
        given: list[K] = []
        for ticket in sorted(tickets, key=_place):
            self._unwait(ticket)
            slot = self._find(ticket.wish)
            if slot is None:
                self.queued += 1
                self._wait(ticket)
            else:
                self._give(slot)
                ticket.slot = slot
                given.append(ticket)
        return given

    def _drop(self, queue: Queue) -> None:
        if queue.node is None:
            del self._queues[queue.labels]
        else:
            del queue.node.queues[queue.labels]
            self._forget_if_idle(queue.node)

    # --- nodes ----------------------------------------------------------------------------

    def _node(self, name: Name) -> Node:
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = Node(name)
        return node

    def _forget_if_idle(self, node: Node) -> None:
        # A slot that leaves may refer to a node that was forgotten, and came again as another.
        if not node.slots and not node.queues and self._nodes.get(node.name) is node:
            del self._nodes[node.name]


__all__ = ["ANY", "Balancing", "Dispatcher", "Slot", "Ticket", "Wish"]
