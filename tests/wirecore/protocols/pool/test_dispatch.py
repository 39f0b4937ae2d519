"""Which provider takes a call, and who waits for which; tests/fuzz has a model of all of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from wirecore.errors import InvalidOption, InvalidState, LocalLimitExceeded
from wirecore.protocols.pool import sticky
from wirecore.protocols.pool.balancing import Balancing
from wirecore.protocols.pool.dispatch import ANY, Dispatcher, Slot, Ticket, Wish
from wirecore.protocols.pool.queues import Node

Pool = Dispatcher[str, Ticket[str]]

GPU = frozenset({"gpu"})


def pool_of(
    *names: str, balancing: Balancing = "longest_waiting", capacity: int | None = None
) -> tuple[Pool, list[Slot[str]]]:
    pool: Pool = Dispatcher(balancing)
    slots = [Slot(name, name, capacity=capacity) for name in names]
    for slot in slots:
        assert pool.add(slot) == []
    return pool, slots


def taken(pool: Pool, wish: Wish = ANY) -> str | None:
    slot = pool.take(wish)
    return None if slot is None else slot.target


def queued(pool: Pool, wish: Wish = ANY, *, front: bool = False) -> Ticket[str]:
    ticket: Ticket[str] = Ticket(wish)
    assert pool.enqueue(ticket, front=front)
    return ticket


# --- balancing ----------------------------------------------------------------------------


def test_providers_take_turns() -> None:
    pool, _ = pool_of("a", "b", "c")
    assert [taken(pool) for _ in range(7)] == [*"abcabca"]
    assert pool.outstanding == 7


def test_who_is_full_begins_to_wait_when_a_call_of_it_ends() -> None:
    pool, [a, b] = pool_of("a", "b", capacity=1)
    assert [taken(pool), taken(pool), taken(pool)] == ["a", "b", None]
    pool.release(b)
    pool.release(a)
    assert [taken(pool), taken(pool)] == ["b", "a"]


def test_a_call_that_ends_does_not_change_whose_turn_it_is() -> None:
    pool, [a, _] = pool_of("a", "b")
    assert taken(pool) == "a"
    pool.release(a)
    assert [taken(pool), taken(pool)] == ["b", "a"]


def test_the_fewest_calls_take_the_next() -> None:
    pool, [_, b, c] = pool_of("a", "b", "c", balancing="least_outstanding")
    assert [taken(pool) for _ in range(6)] == [*"abcabc"]
    pool.release(c)
    pool.release(c)
    pool.release(b)
    assert [taken(pool) for _ in range(4)] == [*"cbca"], "of equals who has been so longest"


def test_the_fewest_calls_among_the_connections_of_one_provider() -> None:
    pool: Pool = Dispatcher("least_outstanding")
    first, second = Slot("first", "ann"), Slot("second", "ann", GPU)
    pool.add(first)
    pool.add(second)
    ann = Wish(provider="ann")
    assert [taken(pool, ann) for _ in range(4)] == ["first", "second"] * 2
    assert [taken(pool, Wish(labels=GPU)), taken(pool, ann)] == ["second", "first"]


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(InvalidOption, match=r"balancing must be .*, not 'fastest'"):
        Dispatcher("fastest")  # type: ignore[arg-type]


def test_options_that_make_no_sense() -> None:
    with pytest.raises(InvalidOption, match="max_queue"):
        Dispatcher(max_queue=-1)
    with pytest.raises(InvalidOption, match="capacity"):
        Slot("a", capacity=0)


# --- wishes -------------------------------------------------------------------------------


def test_a_wish_is_for_a_provider_or_for_labels() -> None:
    pool: Pool = Dispatcher()
    pool.add(Slot("ann", "ann"))
    pool.add(Slot("bob", "bob", GPU | {"region=eu"}))
    assert taken(pool, Wish(labels=GPU)) == "bob"
    assert taken(pool, Wish(provider="ann")) == "ann"
    assert taken(pool, Wish(provider="ann", labels=GPU)) is None
    assert taken(pool, Wish(provider="eve")) is None
    assert taken(pool, Wish()) in ("ann", "bob"), "what wishes nothing needn't be ANY itself"


def test_a_wish_that_nobody_fulfils_holds_up_nobody() -> None:
    pool, [a] = pool_of("a", capacity=1)
    assert taken(pool) == "a"
    picky = queued(pool, Wish(labels=GPU))
    plain = queued(pool)
    assert pool.release(a) == [plain]
    assert plain.slot is a
    gpu = Slot("g", labels=GPU)
    assert pool.add(gpu) == [picky]


def test_a_freed_slot_takes_the_oldest_of_all_that_it_fits() -> None:
    pool: Pool = Dispatcher()
    slot = Slot("ann", "ann", GPU, capacity=1)
    pool.add(slot)
    assert taken(pool) == "ann"
    wishes = [Wish(labels=GPU), ANY, Wish(provider="ann"), Wish(key="k"), Wish(labels=GPU)]
    tickets = [queued(pool, wish) for wish in wishes]
    assert pool.queued == 5
    assert [pool.release(slot) for _ in tickets] == [[ticket] for ticket in tickets]
    assert pool.release(slot) == []
    assert (pool.queued, pool.outstanding) == (0, 0)


# --- keys ---------------------------------------------------------------------------------


def homes(pool: Pool, count: int = 400) -> dict[str, str | None]:
    return {key: taken(pool, Wish(key=key)) for key in map(str, range(count))}


def test_a_key_meets_the_same_provider_and_few_move_when_one_comes_or_goes() -> None:
    pool, slots = pool_of(*"abcd")
    before = homes(pool)
    assert homes(pool) == before
    assert all(70 < count < 130 for count in Counter(before.values()).values())
    pool.add(Slot("e", "e"))
    after = homes(pool)
    moved = {key for key in before if before[key] != after[key]}
    assert {after[key] for key in moved} == {"e"}
    assert 50 < len(moved) < 110
    pool.remove(slots[0])
    left = homes(pool)
    assert {after[key] for key in after if after[key] != left[key]} == {"a"}


def test_another_process_finds_the_same_provider() -> None:
    """Not Python's own hash, which is another one in each process."""
    pool, _ = pool_of("ann", "bob", "eve", "zoë")
    found = [taken(pool, Wish(key=key)) for key in ("one", "two", "three", "four", "fünf")]
    assert found == ["eve", "zoë", "eve", "zoë", "bob"]


def test_a_key_waits_for_its_provider_while_others_are_free() -> None:
    pool, slots = pool_of("a", "b", capacity=1)
    home = pool.take(Wish(key="k"))
    assert home is not None
    ticket = queued(pool, Wish(key="k"))
    other = next(slot for slot in slots if slot is not home)
    assert taken(pool) == other.target
    assert pool.release(other) == []
    pool.block(home)
    assert pool.release(home) == []
    assert pool.unblock(home) == [ticket]


@pytest.mark.parametrize("goes", [Dispatcher.remove, Dispatcher.leave])
def test_a_key_whose_provider_goes_gets_another_at_once(goes: Any) -> None:
    pool, slots = pool_of("a", "b", capacity=1)
    home = pool.take(Wish(key="k"))
    assert home is not None
    waiting = [queued(pool, Wish(key="k")) for _ in range(2)]
    other = next(slot for slot in slots if slot is not home)
    assert goes(pool, home) == [waiting[0]]
    assert waiting[0].slot is other
    assert pool.release(other) == [waiting[1]]
    assert goes(pool, home) == []


def test_keys_wait_where_nobody_fits_until_somebody_comes() -> None:
    pool, _ = pool_of("a")
    tickets = [queued(pool, Wish(key=key, labels=GPU)) for key in ("x", "y", "x")]
    assert pool.withdraw(tickets[1])
    gpu = Slot("g", "g", GPU)
    assert pool.add(gpu) == [tickets[0], tickets[2]]


def test_what_is_remembered_of_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirecore.protocols.pool.sticky._REMEMBERED", 8)
    pool, _ = pool_of(*"abc")
    before = homes(pool, 50)
    assert len(pool._rendezvous._choices) == 8
    for _ in range(600):  # connections come and go
        slot = Slot("d", "d")
        pool.add(slot)
        pool.remove(slot)
    assert len(pool._rendezvous._joined) <= 256
    assert homes(pool, 50) == before


# --- the queue ----------------------------------------------------------------------------


def test_the_queue_is_bounded_but_for_who_was_in_it() -> None:
    pool: Pool = Dispatcher(max_queue=2)
    first, second = queued(pool), queued(pool)
    with pytest.raises(LocalLimitExceeded, match="max_queue is 2, got 3; connect more providers"):
        pool.enqueue(Ticket())
    again = queued(pool, front=True)
    assert pool.queued == 3
    assert pool.add(Slot("a")) == [again, first, second]


def test_who_is_queued_again_keeps_its_place() -> None:
    pool, [a] = pool_of("a", capacity=2)
    unlucky = pool.take(), pool.take()
    assert unlucky == (a, a)
    first, second, third = (queued(pool) for _ in range(3))
    assert pool.release(a) == [first]
    assert pool.release(a) == [second]
    assert pool.remove(a) == []
    assert pool.outstanding == 0
    for ticket in (second, first):  # lost, and told in any order
        assert pool.enqueue(ticket, front=True)
        assert ticket.slot is None
    never_waited = queued(pool, front=True)
    assert pool.add(Slot("b")) == [first, second, never_waited, third]


def test_no_queue_at_all() -> None:
    pool: Pool = Dispatcher(max_queue=0)
    with pytest.raises(LocalLimitExceeded):
        pool.enqueue(Ticket())
    pool.add(Slot("a"))
    ticket: Ticket[str] = Ticket()
    assert not pool.enqueue(ticket), "it needs none where a slot is free"
    assert ticket.slot is not None
    assert pool.outstanding == 1


def test_a_ticket_waits_once() -> None:
    pool: Pool = Dispatcher()
    ticket = queued(pool)
    with pytest.raises(InvalidState, match="waits already"):
        pool.enqueue(ticket)
    assert pool.withdraw(ticket)
    assert not pool.withdraw(ticket)
    assert pool.enqueue(ticket)


def test_withdrawn_tickets_are_not_kept() -> None:
    pool: Pool = Dispatcher()
    oldest, *_ = (queued(pool) for _ in range(1000))
    for _ in range(5000):
        assert pool.withdraw(queued(pool))
    queue = pool._queues[frozenset()]
    assert len(queue._heap) <= 2 * len(queue) + 17
    assert pool.add(Slot("a", capacity=1)) == [oldest]


def test_who_joins_costs_one_hash_for_each_key_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many these are, and however many providers are there already."""
    monkeypatch.setattr(sticky, "_REMEMBERED", 8)
    hashes: list[object] = []
    score = sticky._score

    def counted(node: Node, data: bytes) -> bytes:
        hashes.append(data)
        return score(node, data)

    monkeypatch.setattr(sticky, "_score", counted)
    pool: Pool = Dispatcher()
    for number in range(100):
        queued(pool, Wish(key=f"key {number}"))
    for name in "abcdef":
        slot = Slot(name, name)
        pool.block(slot)
        hashes.clear()
        assert pool.add(slot) == []
        assert len(hashes) == 100


def test_who_withdrew_is_passed_over_by_the_next_slot() -> None:
    pool: Pool = Dispatcher()
    first, second, third = (queued(pool) for _ in range(3))
    assert pool.withdraw(second)
    assert pool.add(Slot("a")) == [first, third]


# --- slots --------------------------------------------------------------------------------


def test_who_leaves_finishes_what_it_has() -> None:
    pool, [a, _] = pool_of("a", "b")
    assert taken(pool) == "a"
    assert pool.leave(a) == []
    assert [taken(pool), taken(pool)] == ["b", "b"]
    assert a in pool.slots
    pool.release(a)
    assert a.outstanding == 0
    pool.remove(a)
    assert len(pool.slots) == 1


def test_who_left_before_it_came_gets_nothing() -> None:
    pool: Pool = Dispatcher()
    slot = Slot("a", "a")
    assert pool.leave(slot) == []
    queued(pool)
    assert pool.add(slot) == []
    assert pool.remove(slot) == []


def test_calls_of_a_removed_slot_end_with_it() -> None:
    pool, [a] = pool_of("a")
    assert taken(pool) == "a"
    pool.remove(a)
    assert pool.outstanding == a.outstanding == 0
    assert pool.release(a) == pool.remove(a) == pool.unblock(a) == []


def test_misuse_is_told() -> None:
    pool, [a] = pool_of("a")
    with pytest.raises(InvalidState, match="added before"):
        pool.add(a)
    with pytest.raises(InvalidState, match="1 calls can't end of a slot that has 0"):
        pool.release(a)
