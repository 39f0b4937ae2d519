"""The dispatcher of the pool against a model that is simple and slow, under anything that happens.

The model is a list of slots and a list of tickets, and searches both whenever it is asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecore.errors import LocalLimitExceeded
from wirecore.protocols.pool.balancing import Balancing
from wirecore.protocols.pool.dispatch import ANY, Dispatcher, Slot, Ticket, Wish

FUZZ = settings.get_profile("wirecore-fuzz")
if not os.environ.get("WIRECORE_FUZZ_EXAMPLES"):
    FUZZ = settings(FUZZ, max_examples=200)  # they are short

MAX_QUEUE: Final = 6

GPU, EU = "gpu", "region=eu"
LABELS: Final = [frozenset(each) for each in ((), (GPU,), (EU,), (GPU, EU))]
IDENTITIES: Final = [None, "ann", "bob", "eve"]
CAPACITIES: Final = [None, 1, 2, 3]
WISHES: Final = [
    ANY,
    Wish(labels=LABELS[1]),
    Wish(labels=LABELS[3]),
    Wish(provider="ann"),
    Wish(provider="bob", labels=LABELS[1]),
    Wish(provider="nobody"),
    *[Wish(key=key) for key in ("a", "b", "c")],
    Wish(key="a", labels=LABELS[1]),
    Wish(key="a", provider="eve"),
]


@dataclass(eq=False)
class ModelSlot:
    identity: str | None
    number: int
    labels: frozenset[str]
    capacity: int | None
    outstanding: int = 0
    leaving: bool = False
    blocked: bool = False
    since: int = 0

    @property
    def ready(self) -> bool:
        full = self.capacity is not None and self.outstanding >= self.capacity
        return not (full or self.leaving or self.blocked)

    @property
    def node(self) -> tuple[bytes, str]:
        return (b"c", str(self.number)) if self.identity is None else (b"p", self.identity)


@dataclass(eq=False)
class ModelTicket:
    wish: Wish
    first: int
    place: tuple[int, int]


@dataclass
class Model:
    balancing: Balancing
    slots: list[ModelSlot] = field(default_factory=list)
    waiting: list[ModelTicket] = field(default_factory=list)
    turns: int = 0

    def fitting(self, wish: Wish) -> list[ModelSlot]:
        """The slots that serve *wish*, now or later."""
        found = [
            slot
            for slot in self.slots
            if not slot.leaving
            and wish.labels <= slot.labels
            and wish.provider in (None, slot.identity)
        ]
        if wish.key is None or wish.provider is not None or not found:
            return found
        node = max((slot.node for slot in found), key=lambda node: score(node, wish.key))
        return [slot for slot in found if slot.node == node]

    def find(self, wish: Wish) -> ModelSlot | None:
        found = [slot for slot in self.fitting(wish) if slot.ready]
        if self.balancing == "longest_waiting":
            return min(found, key=lambda slot: slot.since, default=None)
        return min(found, key=lambda slot: (slot.outstanding, slot.since), default=None)

    def turn(self, slot: ModelSlot) -> None:
        self.turns = slot.since = self.turns + 1

    def give(self, slot: ModelSlot) -> None:
        slot.outstanding += 1
        self.turn(slot)

    def settle(self) -> list[ModelTicket]:
        """Give tickets to slots as long as there are two that fit, the first ticket first."""
        given: list[ModelTicket] = []
        while True:
            self.waiting.sort(key=lambda ticket: ticket.place)
            for ticket in self.waiting:
                slot = self.find(ticket.wish)
                if slot is not None:
                    break
            else:
                return given
            self.waiting.remove(ticket)
            self.give(slot)
            given.append(ticket)


def score(node: tuple[bytes, str], key: str | None) -> tuple[bytes, bytes]:
    assert key is not None
    kind, name = node
    prefix = b"%b%d:%b" % (kind, len(name), name.encode())
    return blake2b(prefix + key.encode(), digest_size=8).digest(), prefix


class Story:
    """Both are told the same, and must say the same."""

    def __init__(self, balancing: Balancing) -> None:
        self.real: Dispatcher[ModelSlot, Ticket[ModelSlot]] = Dispatcher(balancing, MAX_QUEUE)
        self.model = Model(balancing)
        self.slots: list[Slot[ModelSlot]] = []  # there, or gone
        self.tickets: list[tuple[Ticket[ModelSlot], ModelTicket]] = []  # that wait
        self.served: list[tuple[Ticket[ModelSlot], ModelTicket]] = []  # that waited
        self.entries = 0

    def tell(self, step: int) -> None:
        what, numbers = divmod(step, 32 * 32)
        action: Callable[[int, int], None] = getattr(self, ACTIONS[what])
        action(*divmod(numbers, 32))
        self.check()

    # --- what may happen ------------------------------------------------------------------

    def nothing(self, one: int, two: int) -> None:
        """Only what is checked after every step."""

    def add(self, one: int, two: int) -> None:
        identity = IDENTITIES[one % 4]
        labels, capacity = LABELS[two % 4], CAPACITIES[two // 4 % 4]
        number = self.real._entries + 1  # what one without an identity is known by
        mine = ModelSlot(identity, number, labels, capacity, blocked=one // 4 % 8 == 0)
        slot = Slot(mine, identity, labels, capacity)
        if mine.blocked:
            self.real.block(slot)
        self.slots.append(slot)
        self.model.slots.append(mine)
        self.model.turn(mine)
        self.same(self.real.add(slot))

    def take(self, one: int, two: int) -> None:
        wish = WISHES[one % len(WISHES)]
        found = self.model.find(wish)
        if found is not None:
            self.model.give(found)
        slot = self.real.take(wish)
        assert (slot and slot.target) is found

    def enqueue(self, one: int, two: int) -> None:
        self._enqueue(WISHES[one % len(WISHES)], front=two % 4 == 0)

    def _enqueue(
        self,
        wish: Wish,
        *,
        front: bool,
        known: tuple[Ticket[ModelSlot], ModelTicket] | None = None,
    ) -> None:
        found = self.model.find(wish)
        ticket, mine = known or (Ticket(wish), ModelTicket(wish, 0, (0, 0)))
        if found is None and not front and len(self.model.waiting) >= MAX_QUEUE:
            with pytest.raises(LocalLimitExceeded, match="max_queue is 6, got"):
                self.real.enqueue(ticket)
            return
        waits = self.real.enqueue(ticket, front=front)
        self.entries += 1
        mine.first = mine.first or self.entries
        assert waits == (found is None)
        assert (ticket.slot and ticket.slot.target) is found
        if found is not None:
            self.model.give(found)
            self.served.append((ticket, mine))
            return
        mine.place = (0, mine.first) if front else (1, self.entries)
        self.model.waiting.append(mine)
        self.tickets.append((ticket, mine))

    def again(self, one: int, two: int) -> None:
        """A call that got a slot, and lost it."""
        if self.served:
            known = self.served.pop(one % len(self.served))
            self._enqueue(known[1].wish, front=two % 4 != 0, known=known)

    def withdraw(self, one: int, two: int) -> None:
        if self.tickets:
            ticket, mine = self.tickets.pop(one % len(self.tickets))
            self.model.waiting.remove(mine)
            assert self.real.withdraw(ticket)
            assert not self.real.withdraw(ticket)

    def release(self, one: int, two: int) -> None:
        busy = [slot for slot in self.slots if slot.target.outstanding]
        if busy:
            slot = busy[one % len(busy)]
            was_ready = slot.target.ready
            count = 1 + two % slot.target.outstanding
            slot.target.outstanding -= count
            if not was_ready or self.model.balancing == "least_outstanding":
                self.model.turn(slot.target)
            self.same(self.real.release(slot, count))

    def remove(self, one: int, two: int) -> None:
        if self.slots:
            slot = self.slots[one % len(self.slots)]
            if slot.target in self.model.slots:
                self.model.slots.remove(slot.target)
            slot.target.outstanding = 0
            self.same(self.real.remove(slot))
            assert self.real.release(slot) == []

    def leave(self, one: int, two: int) -> None:
        if self.slots:
            slot = self.slots[one % len(self.slots)]
            slot.target.leaving = True
            self.same(self.real.leave(slot))

    def block(self, one: int, two: int) -> None:
        if self.slots:
            slot = self.slots[one % len(self.slots)]
            slot.target.blocked = True
            self.real.block(slot)

    def unblock(self, one: int, two: int) -> None:
        if self.slots:
            slot = self.slots[one % len(self.slots)]
            if not slot.target.ready:
                self.model.turn(slot.target)
            slot.target.blocked = False
            self.same(self.real.unblock(slot))

    # --- what must be so ------------------------------------------------------------------

    def same(self, given: list[Ticket[ModelSlot]]) -> None:
        """The model gives the same tickets, in the same order, the same slots."""
        expected = self.model.settle()
        pairs = dict(self.tickets)
        assert [pairs[ticket] for ticket in given] == expected
        for ticket in given:
            assert ticket.slot is not None
            self.served.append((ticket, pairs.pop(ticket)))
        self.tickets = list(pairs.items())

    def check(self) -> None:
        real, model = self.real, self.model
        assert [slot.target for slot in real.slots] == model.slots
        assert real.outstanding == sum(slot.outstanding for slot in model.slots)
        assert real.queued == len(self.tickets) == len(model.waiting)
        for slot in real.slots:
            mine = slot.target
            assert slot.outstanding == mine.outstanding <= (mine.capacity or mine.outstanding)
            assert (slot.blocked, slot.leaving) == (mine.blocked, mine.leaving)
            assert slot.ready == mine.ready
        for ticket, mine_too in self.tickets:
            assert ticket.slot is None
            assert model.find(mine_too.wish) is None, "it waits beside a slot that would do"

    def end(self) -> None:
        """All go, and nothing is left."""
        for slot in self.slots:
            self.real.remove(slot)
        for ticket, _ in self.tickets:
            self.real.withdraw(ticket)
        real = self.real
        assert (real.queued, real.outstanding, len(real.slots)) == (0, 0, 0)
        assert not (real._nodes or real._queues or real._sticky or [*real._order])


#: Calls come more often than providers go. The first is what a step of a failure shrinks to.
ACTIONS: Final = [
    "nothing",
    *["add"] * 3,
    *["take"] * 5,
    *["enqueue"] * 6,
    *["again"] * 2,
    *["release"] * 4,
    *["withdraw", "remove", "leave", "block", "block", "unblock", "unblock"],
]

#: What is done, and two numbers below 32 that choose with what.
STEPS: Final = st.integers(0, len(ACTIONS) * 32 * 32 - 1)


@settings(FUZZ)
@given(
    balancing=st.sampled_from(["longest_waiting", "least_outstanding"]),
    steps=st.lists(STEPS, min_size=40, max_size=100),
)
def test_the_dispatcher_does_as_the_model(balancing: Balancing, steps: list[int]) -> None:
    story = Story(balancing)
    for step in steps:
        story.tell(step)
    story.end()
