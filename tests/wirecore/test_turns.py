"""Connections that take turns, in both backends; the fuzz of the dispatcher has the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wirecore._backend import Backend


def slot_of(backend: Backend, name: str, capacity: int | None = None) -> Any:
    return backend.turns.Slot(name, None, frozenset(), capacity)


def test_who_has_waited_longest_is_next(backend: Backend) -> None:
    order: Any = backend.turns.LongestWaiting()
    assert order.turn() is None
    assert order.first() is None
    a, b, c = (slot_of(backend, name) for name in "abc")
    for slot in (a, b, c):
        order.put(slot)
    assert list(order) == [a, b, c]
    assert order.first() is a
    taken = [order.turn() for _ in range(4)]
    assert taken == [a, b, c, a]
    assert [slot.outstanding for slot in (a, b, c)] == [2, 1, 1]
    assert order.best([a, c]) is c
    assert order.best([]) is None
    order.released(b, 1)
    assert order.first() is b  # it waits as before
    order.taken(b)
    order.drop(c)
    assert list(order) == [a, b]
    with pytest.raises(KeyError):
        order.drop(c)
    order.put(c)
    order.drop(b)
    order.drop(a)
    assert list(order) == [c]
    order.drop(c)
    assert list(order) == []
    assert order.turn() is None


def test_a_bound_may_be_any_number(backend: Backend) -> None:
    order: Any = backend.turns.LongestWaiting()
    slot = slot_of(backend, "one", 10**30)
    order.put(slot)
    assert [order.turn() for _ in range(3)] == [slot] * 3
    assert slot.capacity == 10**30


def test_one_that_has_all_it_may_is_dropped(backend: Backend) -> None:
    order: Any = backend.turns.LongestWaiting()
    one, other = slot_of(backend, "one", 2), slot_of(backend, "other")
    for slot in (one, other):
        slot.ready = True
        order.put(slot)
    assert [order.turn() for _ in range(5)] == [one, other, one, other, other]
    assert (one.ready, one.outstanding, one.capacity) == (False, 2, 2)
    assert (other.ready, other.outstanding, other.capacity) == (True, 3, None)
    assert list(order) == [other]
