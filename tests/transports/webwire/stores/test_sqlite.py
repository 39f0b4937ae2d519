"""Sessions in SQLite: restarts, kills, several processes, and files that aren't its own."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from tests.transports.webwire.stores.conftest import BEGIN, after, run, session
from tests.transports.webwire.stores.killing import kill_amid, moments, run_together, start
from tests.transports.webwire.stores.victim import INFO
from wirecore.errors import InvalidOption, InvalidState
from wirecore_trio.webwire.stores import SQLiteStore, StoreDamaged, StoreUnavailable

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")


def count(path: Path) -> int:
    """How many sessions the database at *path* has."""
    with closing(sqlite3.connect(path)) as connection:
        [number] = connection.execute("SELECT count(*) FROM sessions").fetchone()
    assert isinstance(number, int)
    return number


def test_sessions_outlive_the_store(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"

    async def story() -> None:
        async with SQLiteStore(path) as store:
            await store.create(session("kept", {"a": 1}))
            await store.look_up("kept", after(1))
        async with SQLiteStore(str(path)) as store:
            found = await store.look_up("kept", after(2))
            assert found is not None
            assert (found.last_lookup, found.info) == (after(1), {"a": 1})

    run(story)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@posix
def test_a_kill_undoes_nothing_that_was_done(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    for moment in moments(6):
        told = kill_amid(start("sqlite", path, "mine"), moment)

        async def story(told: dict[str, str] = told) -> None:
            async with SQLiteStore(path) as store:
                for key, step in told.items():
                    found = await store.look_up(key, datetime.now(UTC))
                    if step == "created":
                        assert found is not None
                        assert found.info == INFO
                    if step == "closed":
                        assert found is None
                    await store.close(key)
                # It may have been killed between a creation and its word of it.
                await store.close(f"mine-{len(told)}")
                await store.close("shared")

        run(story)
        assert count(path) == 0


@posix
def test_processes_share_a_database(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    run_together(*(("sqlite", path, f"process{number}", "60") for number in range(3)))
    assert count(path) <= 1


def test_two_stores_of_one_database_wait_for_each_other(tmp_path: Path) -> None:
    """They know nothing of each other, as two processes: one that reads first may write then."""

    async def look_up(store: SQLiteStore, number: int) -> None:
        for turn in range(100):
            assert await store.look_up("kept", after(turn)) is not None
            await store.create(session(f"{number}-{turn}"))

    async def story() -> None:
        path = tmp_path / "sessions.db"
        async with SQLiteStore(path) as one, SQLiteStore(path) as other:
            await one.create(session("kept"))
            async with trio.open_nursery() as nursery:
                for number, store in enumerate((one, other)):
                    nursery.start_soon(look_up, store, number)

    run(story)
    assert count(tmp_path / "sessions.db") == 201


def test_what_expired_is_deleted_when_another_comes(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"

    async def story() -> None:
        async with SQLiteStore(path, lifetime=10) as store:
            for number in range(50):
                await store.create(session(str(number), at=after(number)))

    run(story)
    assert count(path) == 11


def test_another_process_that_holds_the_database_is_told_and_survived(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"

    async def story() -> None:
        async with SQLiteStore(path, busy_timeout=0.05) as store:
            await store.create(session("kept"))
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(StoreUnavailable, match="locked"):
                    await store.look_up("kept", BEGIN)
                other.execute("COMMIT")
            assert await store.look_up("kept", BEGIN) is not None

    run(story)


def test_a_store_that_is_closed_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        store = SQLiteStore(tmp_path / "sessions.db")
        await store.create(session("kept"))
        await store.aclose()
        await store.aclose()
        for use in (store.look_up("kept", BEGIN), store.close("kept"), store.create(session("x"))):
            with pytest.raises(InvalidState, match="closed") as caught:
                await use
            assert isinstance(caught.value, trio.ClosedResourceError)

    run(story)


def test_a_path_that_cant_be_a_file_is_told_at_once(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "sessions.db", ""):
        with pytest.raises(InvalidOption, match="no database can be at"):
            SQLiteStore(path)


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")

    async def story() -> None:
        async with SQLiteStore(path) as store:
            with pytest.raises(StoreDamaged, match="version 2 of the schema"):
                await store.look_up("kept", BEGIN)

    run(story)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    path.write_bytes(b"nothing of SQLite's" * 100)

    async def story() -> None:
        async with SQLiteStore(path) as store:
            with pytest.raises(StoreDamaged, match="not a database"):
                await store.look_up("kept", BEGIN)
        folder = tmp_path / "short-lived"
        folder.mkdir()
        lost = SQLiteStore(folder / "sessions.db")
        folder.rmdir()
        with pytest.raises(StoreUnavailable, match="unable to open"):
            await lost.look_up("kept", BEGIN)

    run(story)
    assert path.read_bytes() == b"nothing of SQLite's" * 100


@pytest.mark.parametrize("damage", ["{", "[]", "\ud800"])
def test_info_that_somebody_damaged_is_told(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "sessions.db"

    async def story() -> None:
        async with SQLiteStore(path) as store:
            await store.create(session("kept"))
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("UPDATE sessions SET info = ?", (damage.encode("utf-8", "replace"),))
            with pytest.raises(StoreDamaged, match="info of a stored session"):
                await store.look_up("kept", BEGIN)

    run(story)
