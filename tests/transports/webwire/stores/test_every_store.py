"""What every store promises, told of each."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import trio

from tests.transports.webwire.stores.conftest import BEGIN, Open, after, run, session
from wirecore.errors import InvalidKey, InvalidOption
from wirecore.protocols.webwire import Session
from wirecore_trio.webwire.stores import SessionStore

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v"

NESTED = {
    "username": "ünï 🙂",
    "level": 42,
    "ratio": 0.1,
    "large": 2**70,
    "nothing": None,
    "nested": {"a": [1, [], {}, {"": False}], "": "\x00\u2028"},
}

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:\\x",
    "x\x00y",
    "x\n",
    "k" * 10_000,
    "ключ",
    "\ud800",
    ".wwrsess",
    ".new-x",
    "*",
    "%",
    "'; DROP TABLE sessions; --",
]


async def takes(store: SessionStore, new: Session) -> bool:
    """Whether *store* keeps *new*; False where it can't have its key."""
    try:
        await store.create(new)
    except InvalidKey:
        return False
    return True


def test_each_is_what_the_server_wants(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            assert isinstance(store, SessionStore)

    run(story)


def test_a_session_from_its_creation_to_its_close(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            assert await store.look_up(KEY, BEGIN) is None
            await store.create(session(KEY, NESTED))
            # Each lookup tells of the one before.
            found = await store.look_up(KEY, after(1))
            assert found == session(KEY, NESTED)
            found = await store.look_up(KEY, after(2.000001))
            assert found is not None
            assert (found.created, found.last_lookup, found.info) == (BEGIN, after(1), NESTED)
            found = await store.look_up(KEY, after(3))
            assert found is not None
            assert found.last_lookup == after(2.000001)
            await store.close(KEY)
            assert await store.look_up(KEY, after(4)) is None
            await store.close(KEY)
            await store.create(session(KEY))
            found = await store.look_up(KEY, after(5))
            assert found == session(KEY)
            assert found.info == {}

    run(story)


def test_a_taken_key_keeps_its_session(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            await store.create(session(KEY, {"mine": True}))
            with pytest.raises(KeyError) as caught:
                await store.create(session(KEY, {"mine": False}, after(1)))
            assert KEY not in repr(caught.value)
            assert await store.look_up(KEY, after(2)) == session(KEY, {"mine": True})

    run(story)


def test_keys_differ_where_they_differ(open_store: Open) -> None:
    keys = [KEY, KEY[:-1], KEY + "-2", KEY[:-1] + "=", *string.digits]

    async def story() -> None:
        async with open_store() as store:
            for number, key in enumerate(keys):
                await store.create(session(key, {"number": number}))
            await store.close(keys[1])
            for number, key in enumerate(keys):
                found = await store.look_up(key, after(1))
                if number == 1:
                    assert found is None
                else:
                    assert found == session(key, {"number": number})

    run(story)


def test_keys_from_the_network_harm_nothing(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            for number, key in enumerate(HOSTILE):
                good = f"good{number}"
                await store.create(session(good, {"stays": True}))
                assert await store.look_up(key, after(1)) is None
                await store.close(key)
                if await takes(store, session(key, {"hostile": True})):
                    found = await store.look_up(key, after(2))
                    assert found == session(key, {"hostile": True})
                    await store.close(key)
                assert await store.look_up(key, after(3)) is None
                assert await store.look_up(good, after(4)) == session(good, {"stays": True})

    run(story)


def test_times_of_other_zones_are_the_same_times(open_store: Open) -> None:
    there = timezone(timedelta(hours=-5, minutes=-30))
    edges = [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2038, 1, 19, 3, 14, 8, 1, UTC),
        datetime(1, 1, 2, 0, 0, 0, 999999, UTC),
        datetime(9999, 12, 30, 23, 59, 59, 999999, there),
    ]

    async def story() -> None:
        async with open_store() as store:
            for number, edge in enumerate(edges):
                await store.create(session(str(number), at=edge))
            for number, edge in enumerate(edges):
                found = await store.look_up(str(number), BEGIN.astimezone(there))
                assert found is not None
                assert (found.created, found.last_lookup) == (edge, edge)
                again = await store.look_up(str(number), BEGIN)
                assert again is not None
                assert again.last_lookup == BEGIN
            with pytest.raises(ValueError, match="must have a zone"):
                await store.create(session("naive", at=datetime(2021, 1, 1)))

    run(story)


def test_what_is_kept_is_nobodys_to_change(open_store: Open) -> None:
    info: dict[str, Any] = {"roles": ["guest"]}

    async def story() -> None:
        async with open_store() as store:
            await store.create(session(KEY, info))
            info["roles"].append("admin")
            found = await store.look_up(KEY, after(1))
            assert found is not None
            assert found.info == {"roles": ["guest"]}
            found.info["roles"].append("root")
            again = await store.look_up(KEY, after(2))
            assert again is not None
            assert again.info == {"roles": ["guest"]}

    run(story)


@pytest.mark.parametrize("bad", [{"x": {1, 2}}, {"x": float("nan")}], ids=["set", "nan"])
def test_info_that_json_has_not_is_refused(open_store: Open, bad: dict[str, Any]) -> None:
    async def story() -> None:
        async with open_store() as store:
            with pytest.raises((TypeError, ValueError)):
                await store.create(session(KEY, bad))
            assert await store.look_up(KEY, after(1)) is None

    run(story)


def test_fifty_tasks_at_once(open_store: Open) -> None:
    """All create one key, and one of them has it; each has a key of its own, too."""
    created = []

    async def visit(store: SessionStore, number: int) -> None:
        own = f"own-{number}"
        await store.create(session(own, {"number": number}))
        try:
            await store.create(session("one-for-all", {"number": number}))
            created.append(number)
        except KeyError:
            pass
        for turn in range(3):
            found = await store.look_up(own, after(turn))
            assert found is not None
            assert found.info == {"number": number}
            assert found.last_lookup == after(max(turn - 1, 0))
            shared = await store.look_up("one-for-all", after(turn))
            assert shared is not None
            assert shared.info == {"number": created[0]}
        await store.close(own)

    async def story() -> None:
        async with open_store() as store:
            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(visit, store, number)
            for number in range(50):
                assert await store.look_up(f"own-{number}", BEGIN) is None

    run(story)
    assert len(created) == 1


def test_no_lookup_brings_back_what_was_closed(open_store: Open) -> None:
    """Lookups and one close of a key, all at once: what comes after the close finds nothing."""

    async def look_up(store: SessionStore, key: str) -> None:
        await store.look_up(key, after(1))

    async def story() -> None:
        async with open_store() as store:
            for round_ in range(20):
                key = f"round-{round_}"
                await store.create(session(key))
                async with trio.open_nursery() as nursery:
                    for place in range(6):
                        if place == round_ % 6:
                            nursery.start_soon(store.close, key)
                        nursery.start_soon(look_up, store, key)
                assert await store.look_up(key, after(2)) is None

    run(story)


def test_calls_cancelled_at_any_moment_leave_a_store_that_works(open_store: Open) -> None:
    async def story() -> None:
        async with open_store() as store:
            await store.create(session(KEY))
            for round_ in range(40):
                with trio.move_on_after(round_ * 0.0001):
                    await store.look_up(KEY, after(1))
                    await store.close("another")
                    await store.create(session("another", {"round": round_}))
            await store.close("another")
            await store.create(session("another"))
            assert await store.look_up("another", after(2)) == session("another")
            assert await store.look_up(KEY, after(3)) is not None

    run(story)


def test_a_session_nobody_looks_up_expires(open_store: Open) -> None:
    now = datetime.now(UTC)

    async def story() -> None:
        async with open_store(lifetime=3600) as store:
            await store.create(session("old", at=now - timedelta(seconds=7201)))
            await store.create(session("used", at=now - timedelta(seconds=5400)))
            assert await store.look_up("used", now - timedelta(seconds=2000)) is not None
            assert await store.look_up("used", now) is not None
            assert await store.look_up("old", now) is None
            await store.create(session("old", at=now))  # its key is free again

    run(story)


@pytest.mark.parametrize("lifetime", [0, -1, float("nan"), float("inf")])
def test_a_lifetime_that_makes_no_sense_is_refused(open_store: Open, lifetime: float) -> None:
    async def story() -> None:
        with pytest.raises((InvalidOption, TypeError), match="lifetime"):
            async with open_store(lifetime=lifetime):
                pass

    run(story)
