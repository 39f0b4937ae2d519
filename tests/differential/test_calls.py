"""Both tables of calls, step by step: same results, same counters, same errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from wirecore._backend import Backend
from wirecore.errors import LocalLimitExceeded

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable

# Few ids, so that they come again while they are pending, ended or unknown.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.integers(0, 9)),
        st.tuples(st.sampled_from(["get", "answer", "forget", "contains"]), st.integers(0, 9)),
        st.tuples(st.sampled_from(["clear", "oldest", "calls"]), st.none()),
    ),
    max_size=60,
)


def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """What came back, or the type and text of what was raised."""
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001  # whatever one twin raises, the other must
        return type(error), str(error)


def maker(made: list[int]) -> Callable[[], int]:
    """Makes the id that was asked for last; once that is pending, only 0."""
    return lambda: made.pop() if made else 0


def perform(table: Any, ids: list[int], step: tuple[str, int | None], number: int) -> Any:
    verb, call_id = step
    if verb == "open":
        assert call_id is not None
        ids.append(call_id)
        return outcome(table.open, f"call {number}")
    if verb == "contains":
        return call_id in table
    if verb == "calls":
        return list(table.calls())
    if call_id is None:
        return outcome(getattr(table, verb))
    return outcome(getattr(table, verb), call_id)


@given(steps=STEPS, max_pending=st.integers(0, 8), history=st.integers(0, 6))
def test_tables_agree_after_every_step(
    backends: tuple[Backend, Backend],
    steps: list[tuple[str, int | None]],
    max_pending: int,
    history: int,
) -> None:
    ids: tuple[list[int], list[int]] = ([], [])
    tables: list[CallTable[int, str]] = [
        backend.calls.CallTable(maker(made), max_pending=max_pending, history=history)
        for backend, made in zip(backends, ids, strict=True)
    ]
    for number, step in enumerate(steps):
        compiled, pure = (
            (
                perform(table, made, step, number),
                len(table),
                table.late,
                table.duplicate,
                table.unknown,
            )
            for table, made in zip(tables, ids, strict=True)
        )
        assert compiled == pure


def test_unhashable_ids_and_failing_makers_fail_alike(
    backends: tuple[Backend, Backend],
) -> None:
    def fail() -> int:
        raise LocalLimitExceeded("ids", 2, 1)

    for verb, argument in (("open", "call"), ("answer", []), ("forget", {})):
        compiled, pure = (
            outcome(getattr(backend.calls.CallTable(fail, max_pending=1), verb), argument)
            for backend in backends
        )
        assert compiled == pure
