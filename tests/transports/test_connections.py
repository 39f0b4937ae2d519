"""A server's connections by key, and the stream of what changes."""

from __future__ import annotations

import gc
import weakref

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from wirecore_trio._connections import Change, Changes, Connections

ALICE, BOB = b"alice", b"bob"


def change(connected: str = "", disconnected: str = "") -> Change:
    """A change of the keys whose names stand in the two texts."""
    return Change(frozenset(connected.encode().split()), frozenset(disconnected.encode().split()))


async def nothing_more(changes: Changes) -> None:
    """Nothing is told until somebody comes or goes."""
    with trio.move_on_after(1) as scope:
        await anext(changes)
    assert scope.cancelled_caught


def test_a_key_has_one_connection_and_the_last_one_counts() -> None:
    connections: Connections[str] = Connections()
    connections.add(ALICE, "first")
    connections.add(BOB, "bob's")
    connections.add(ALICE, "second")
    assert connections.keys == [BOB, ALICE]
    assert connections.all == ["bob's", "second"]
    assert connections.get(ALICE) == "second"
    assert connections.remove(ALICE, "first") is None, "the end of the old one changes nothing"
    assert ALICE in connections
    assert connections.remove(ALICE) == "second"
    assert connections.remove(ALICE) is None
    assert len(connections) == 1


def test_every_change_is_told_beginning_with_what_is_there(run: Run) -> None:
    async def story() -> None:
        connections: Connections[str] = Connections()
        connections.add(ALICE, "1")
        changes = connections.changes()
        assert await anext(changes) == change("alice")
        await nothing_more(changes)
        connections.add(BOB, "2")
        connections.remove(ALICE)
        assert await anext(changes) == change("bob", "alice")
        await nothing_more(changes)

    run(story)


def test_with_nobody_there_the_first_change_is_the_first_to_come(run: Run) -> None:
    async def story() -> None:
        connections: Connections[str] = Connections()
        changes = connections.changes()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def listen() -> None:
                assert await anext(changes) == change("alice")

            await trio.testing.wait_all_tasks_blocked()
            connections.add(ALICE, "1")

    run(story)


def test_who_is_slow_misses_no_outcome(run: Run) -> None:
    async def story() -> None:
        connections: Connections[str] = Connections()
        connections.add(ALICE, "1")
        changes = connections.changes()
        await anext(changes)
        connections.add(ALICE, "2")
        connections.add(BOB, "3")
        connections.remove(BOB)
        assert await anext(changes) == change("alice", "alice"), "a new one; Bob was never seen"
        connections.add(ALICE, "4")
        connections.remove(ALICE)
        assert await anext(changes) == change(disconnected="alice")

    run(story)


def test_the_stream_ends_with_the_server_after_its_last_change(run: Run) -> None:
    async def story() -> None:
        connections: Connections[str] = Connections()
        connections.add(ALICE, "1")
        changes, waiting = connections.changes(), connections.changes()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def listen() -> None:
                told = [each async for each in waiting]
                assert told == [change("alice"), change(disconnected="alice")]

            await trio.testing.wait_all_tasks_blocked()
            connections.remove(ALICE)
            connections.close()
        assert [each async for each in changes] == [], "came and went unseen"
        assert [each async for each in connections.changes()] == []
        await connections.wait_closed()

    run(story)


def test_a_cancelled_listener_has_lost_nothing(run: Run) -> None:
    async def story() -> None:
        connections: Connections[str] = Connections()
        changes = connections.changes()
        await nothing_more(changes)
        connections.add(ALICE, "1")
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(changes)
        assert scope.cancelled_caught
        assert await anext(changes) == change("alice")

    run(story)


def test_two_tasks_cannot_share_a_stream(run: Run) -> None:
    async def story() -> None:
        changes = Connections[str]().changes()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(nothing_more, changes)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await anext(changes)

    run(story)


def test_who_stops_listening_is_forgotten() -> None:
    connections: Connections[str] = Connections()
    changes = connections.changes()
    gone = weakref.ref(changes)
    del changes
    gc.collect()
    assert gone() is None
    connections.add(ALICE, "1")
