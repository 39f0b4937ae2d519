"""Sessions in memory: their bounds."""

from __future__ import annotations

import pytest

from tests.transports.webwire.stores.conftest import after, run, session
from wirecore.errors import InvalidOption
from wirecore_trio.webwire.stores import MemoryStore


def test_a_full_store_forgets_what_was_not_looked_up_for_the_longest() -> None:
    async def story() -> None:
        store = MemoryStore(most=3)
        for number in range(3):
            await store.create(session(str(number)))
        await store.look_up("0", after(1))
        with pytest.raises(KeyError):
            await store.create(session("1"))  # and nothing is forgotten for it
        await store.create(session("3"))
        assert len(store) == 3
        found = [key for key in "0123" if await store.look_up(key, after(2))]
        assert found == ["0", "2", "3"]
        await store.close("0")
        await store.create(session("4"))
        assert len(store) == 3

    run(story)


def test_what_expires_takes_no_memory() -> None:
    async def story() -> None:
        store = MemoryStore(lifetime=10)
        for number in range(100):
            await store.create(session(str(number), at=after(number)))
        assert len(store) == 11
        assert await store.look_up("99", after(109)) is not None
        assert await store.look_up("99", after(119.5)) is None
        assert len(store) == 0

    run(story)


@pytest.mark.parametrize("most", [0, -1])
def test_a_bound_that_makes_no_sense_is_refused(most: int) -> None:
    with pytest.raises(InvalidOption, match="most must be at least 1"):
        MemoryStore(most=most)


def test_bounds_of_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="most"):
        MemoryStore(most="3")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="lifetime"):
        MemoryStore(lifetime="3")  # type: ignore[arg-type]
