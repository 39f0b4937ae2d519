"""The table of pending calls: ids in, calls out, and what is known of answers nobody awaits."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest

from wirecore._backend import Backend
from wirecore.errors import InvalidState, LocalLimitExceeded

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable


def counting_table(backend: Backend, max_pending: int = 10, **options: int) -> Any:
    """A table whose ids are 0, 1, 2 ..."""
    return backend.calls.CallTable(iter(range(10_000)).__next__, max_pending=max_pending, **options)


def counters(table: Any) -> dict[str, int]:
    return {name: getattr(table, name) for name in ("late", "duplicate", "unknown")}


def test_answers_find_their_calls_in_any_order(backend: Backend) -> None:
    table = counting_table(backend)
    ids = {name: table.open(name) for name in ("first", "second", "third")}
    assert len(table) == 3
    assert table.answer(ids["second"]) == "second"
    assert table.answer(ids["third"]) == "third"
    assert ids["first"] in table
    assert ids["second"] not in table
    assert table.answer(ids["first"]) == "first"
    assert len(table) == 0
    assert counters(table) == {"late": 0, "duplicate": 0, "unknown": 0}


def test_a_call_that_is_looked_up_goes_on_waiting(backend: Backend) -> None:
    table = counting_table(backend)
    call_id = table.open("first")
    assert table.get(call_id) == "first"
    assert table.get(call_id + 1) is None
    assert table.answer(call_id) == "first"
    assert table.get(call_id) is None
    assert counters(table) == {"late": 0, "duplicate": 0, "unknown": 0}


def test_an_answer_to_a_forgotten_call_is_late_and_dropped(backend: Backend) -> None:
    table = counting_table(backend)
    call_id = table.open("cancelled")
    assert table.forget(call_id) == "cancelled"
    assert table.answer(call_id) is None
    assert counters(table) == {"late": 1, "duplicate": 0, "unknown": 0}
    assert table.answer(call_id) is None, "the second answer of the same call"
    assert counters(table) == {"late": 1, "duplicate": 1, "unknown": 0}


def test_a_second_answer_is_a_duplicate_and_dropped(backend: Backend) -> None:
    table = counting_table(backend)
    call_id = table.open("call")
    table.answer(call_id)
    assert table.answer(call_id) is None
    assert counters(table) == {"late": 0, "duplicate": 1, "unknown": 0}


def test_an_id_never_given_out_is_unknown(backend: Backend) -> None:
    table = counting_table(backend)
    assert table.answer(99) is None
    assert counters(table) == {"late": 0, "duplicate": 0, "unknown": 1}


def test_forgetting_what_does_not_wait_changes_nothing(backend: Backend) -> None:
    table = counting_table(backend)
    call_id = table.open("call")
    table.answer(call_id)
    assert table.forget(call_id) is None
    assert table.forget(None) is None
    table.answer(call_id)
    assert counters(table) == {"late": 0, "duplicate": 1, "unknown": 0}


def test_ended_ids_are_remembered_up_to_the_history(backend: Backend) -> None:
    table = counting_table(backend, history=8)
    ended = [table.open("call") for _ in range(1)]
    table.answer(ended[0])
    for _ in range(8):
        table.answer(table.open("call"))
    table.answer(ended[0])
    assert counters(table) == {"late": 0, "duplicate": 0, "unknown": 1}
    table.answer(8)
    table.answer(5)
    assert counters(table) == {"late": 0, "duplicate": 2, "unknown": 1}


@pytest.mark.parametrize("history", [0, 1])
def test_without_a_history_every_stray_answer_is_unknown(backend: Backend, history: int) -> None:
    table = counting_table(backend, history=history)
    table.answer(table.open("call"))
    table.forget(table.open("call"))
    table.answer(0)
    table.answer(1)
    assert counters(table) == {"late": 0, "duplicate": 0, "unknown": 2}


def test_a_late_answer_is_told_from_the_older_half_of_the_history(backend: Backend) -> None:
    table = counting_table(backend, history=4)
    forgotten = table.open("cancelled")
    table.forget(forgotten)
    for _ in range(2):
        table.answer(table.open("call"))
    table.answer(forgotten)
    table.answer(forgotten)
    assert counters(table) == {"late": 1, "duplicate": 1, "unknown": 0}


def test_a_full_table_refuses_and_says_which_limit(backend: Backend) -> None:
    table = counting_table(backend, max_pending=2)
    first = table.open("first")
    table.open("second")
    with pytest.raises(LocalLimitExceeded, match="max_pending_calls is 2, got 3") as caught:
        table.open("third")
    assert (caught.value.limit, caught.value.figure, caught.value.bound) == (
        "max_pending_calls",
        3,
        2,
    )
    assert table.max_pending == 2
    table.answer(first)
    table.open("third, now that there is room")


def test_an_id_that_is_pending_is_not_given_out_again(backend: Backend) -> None:
    ids = iter([7, 7, 7, 8])
    table: CallTable[int, str] = backend.calls.CallTable(ids.__next__, max_pending=10)
    assert table.open("first") == 7
    assert table.open("second") == 8
    assert table.answer(7) == "first"


def test_a_counter_that_wraps_around_finds_the_only_free_id(backend: Backend) -> None:
    ids = cycle(range(4))
    table: CallTable[int, str] = backend.calls.CallTable(ids.__next__, max_pending=10)
    for name in "abcd":
        table.open(name)
    table.answer(3)
    assert table.open("e") == 3


def test_ids_that_are_all_taken_are_an_error_and_no_endless_loop(backend: Backend) -> None:
    table: CallTable[int, str] = backend.calls.CallTable(lambda: 1, max_pending=10)
    table.open("first")
    with pytest.raises(InvalidState, match="make_id"):
        table.open("second")
    assert len(table) == 1


def test_clear_hands_out_all_calls_oldest_first(backend: Backend) -> None:
    table = counting_table(backend)
    for name in "abcd":
        table.open(name)
    table.answer(1)
    assert table.oldest() == "a"
    assert list(table.calls()) == ["a", "c", "d"]
    assert table.clear() == [(0, "a"), (2, "c"), (3, "d")]
    assert len(table) == 0
    assert table.oldest() is None
    assert list(table.calls()) == []
    assert table.clear() == []


def test_a_call_may_be_any_object(backend: Backend) -> None:
    table = counting_table(backend)
    assert table.answer(table.open([])) == []
    assert table.forget(table.open(0)) == 0


def test_the_table_can_be_written_with_its_types(backend: Backend) -> None:
    with_types: Any = backend.calls.CallTable  # mypy knows no parameters of an attribute
    table = with_types[int, str](lambda: 1, max_pending=1)
    assert table.open("call") == 1
