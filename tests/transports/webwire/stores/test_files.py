"""Sessions in files: those of webwire-go, both ways, and what a kill leaves of them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.transports.webwire.stores.conftest import BEGIN, after, run, session
from tests.transports.webwire.stores.killing import kill_amid, moments, run_together, start
from tests.transports.webwire.stores.victim import INFO
from wirecore.errors import InvalidKey
from wirecore.protocols.webwire import Session
from wirecore_trio.webwire.stores import FileStore, StoreDamaged, StoreUnavailable

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v"
NAME = KEY + ".wwrsess"

# As the default session manager of webwire-go has written them.
BEFORE_A_RESTORE = (
    '{"c":"2020-01-02T03:04:05.678901234Z","l":"2020-02-03T04:05:06Z",'
    '"i":{"level":42,"username":"alice"}}'
)
AFTER_IT = (
    '{"c":"2020-01-02T03:04:05.678901234Z","l":"2026-11-20T23:25:33.906868962Z",'
    '"i":{"level":42,"username":"alice"}}'
)
WITHOUT_INFO = '{"c":"2026-11-20T23:31:37.48106134Z","l":"2026-11-20T23:31:37.48106134Z","i":null}'
WITH_INFO = (
    '{"c":"2026-11-20T23:31:36.047429176Z","l":"2026-11-20T23:31:36.047429176Z",'
    '"i":{"level":42,"nested":{"a":[1,2]},"username":"alice"}}'
)

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes, and no SIGKILL")


def test_a_file_of_the_original_is_restored_as_the_original_does(tmp_path: Path) -> None:
    file = tmp_path / NAME
    file.write_text(BEFORE_A_RESTORE)

    async def story() -> None:
        store = FileStore(tmp_path)
        now = datetime(2026, 11, 20, 23, 25, 33, 906868, UTC)
        found = await store.look_up(KEY, now)
        assert found == Session(
            KEY,
            datetime(2020, 1, 2, 3, 4, 5, 678901, UTC),
            datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC),
            {"level": 42, "username": "alice"},
        )

    run(story)
    # The original has another three digits of the present time; all else is as it was.
    assert file.read_text() == AFTER_IT.replace("906868962Z", "906868Z")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("golden", "info"),
    [
        (WITHOUT_INFO, {}),
        (WITH_INFO, {"level": 42, "nested": {"a": [1, 2]}, "username": "alice"}),
    ],
    ids=["no info", "info"],
)
def test_a_file_is_written_as_the_original_writes_it(
    tmp_path: Path, golden: str, info: dict[str, object]
) -> None:
    (tmp_path / NAME).write_text(golden)

    async def story() -> None:
        read = await FileStore(tmp_path).look_up(KEY, BEGIN)
        assert read is not None
        assert read.info == info
        await FileStore(tmp_path / "ours").create(read)

    run(story)
    ours = (tmp_path / "ours" / NAME).read_text()
    # To the byte, but for the digits beyond a microsecond that a datetime doesn't hold.
    at = json.loads(golden)["c"]
    assert ours == golden.replace(at, at[: len("2026-11-20T23:31:37.481061")] + "Z")


@posix
def test_modes_are_those_of_the_original(tmp_path: Path) -> None:
    async def story() -> None:
        store = FileStore(tmp_path / "made")
        await store.create(session("a"))
        await store.create(session("b"))
        await store.look_up("b", BEGIN)

    before = os.umask(0)
    try:
        run(story)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "made").iterdir()}
    assert modes == {"a.wwrsess": 0o640, "b.wwrsess": 0o640}
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o750


@pytest.mark.parametrize("key", ["k" * 247, "a=_-Z9"])
def test_keys_that_files_can_have(tmp_path: Path, key: str) -> None:
    async def story() -> None:
        store = FileStore(tmp_path)
        await store.create(session(key))
        assert await store.look_up(key, BEGIN) == session(key)

    run(story)


@pytest.mark.parametrize("key", ["k" * 248, "../x", "", "a/b", "x\n", "ü", "NUL", "com1"])
def test_keys_that_files_can_not_have(tmp_path: Path, key: str) -> None:
    (tmp_path / "x.wwrsess").write_text(BEFORE_A_RESTORE)

    async def story() -> None:
        store = FileStore(tmp_path / "inside")
        assert await store.look_up(key, BEGIN) is None
        await store.close(key)
        with pytest.raises(InvalidKey, match="A-Z a-z 0-9"):
            await store.create(session(key))

    run(story)
    assert (tmp_path / "x.wwrsess").read_text() == BEFORE_A_RESTORE
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inside", "x.wwrsess"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"c":"now"}', '{"c":1,"l":2,"i":[]}', "\0" * 9]
)
def test_a_file_that_is_none_of_a_session_is_told_and_left(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)

    async def story() -> None:
        store = FileStore(tmp_path)
        with pytest.raises(StoreDamaged, match="isn't one") as caught:
            await store.look_up(KEY, BEGIN)
        assert KEY not in str(caught.value)
        assert (tmp_path / NAME).read_text() == content
        await store.close(KEY)

    run(story)
    assert list(tmp_path.iterdir()) == []


@posix
def test_an_error_of_the_disk_holds_no_key(tmp_path: Path) -> None:
    async def story() -> None:
        store = FileStore(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        with pytest.raises(StoreUnavailable, match="No such file") as caught:
            await store.create(session(KEY))
        assert str(tmp_path) in str(caught.value)
        assert KEY not in str(caught.value)
        assert caught.value.__suppress_context__
        (tmp_path / "gone" / NAME).mkdir(parents=True)
        with pytest.raises(StoreUnavailable, match="Is a directory"):
            await store.look_up(KEY, BEGIN)

    run(story)


def test_what_expired_is_swept_away_and_nothing_else(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    long_ago = now - timedelta(seconds=7200)

    def age() -> None:
        """Make files as old as they could be, but for what was copied here just now."""
        (tmp_path / "strange.wwrsess").write_text("nothing of ours")
        (tmp_path / "old.txt").write_text("nothing of ours")
        # A file may be older than what it says, where a backup was brought back.
        said = json.loads((tmp_path / "restored.wwrsess").read_text())
        (tmp_path / "restored.wwrsess").write_text(json.dumps({**said, "l": now.isoformat()}))
        for path in tmp_path.iterdir():
            if path.stem not in ("new", "copied"):
                os.utime(path, (long_ago.timestamp(),) * 2)

    async def story() -> None:
        store = FileStore(tmp_path, lifetime=3600)
        for name in ("old", "restored", "copied"):
            await store.create(session(name, at=long_ago))
        await store.create(session("new", at=now))
        age()
        assert await FileStore(tmp_path).sweep() == 0
        assert await store.sweep() == 1
        assert await store.sweep() == 0
        assert await store.look_up("copied", now) is None

    run(story)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["new.wwrsess", "old.txt", "restored.wwrsess", "strange.wwrsess"]


def test_tasks_of_one_key_go_one_after_another(tmp_path: Path) -> None:
    """The order is that of the calls, not that of the threads."""
    found: list[float] = []

    async def look_up(store: FileStore, number: int) -> None:
        kept = await store.look_up(KEY, after(number))
        assert kept is not None
        found.append((kept.last_lookup - BEGIN).total_seconds())

    async def story() -> None:
        store = FileStore(tmp_path)
        await store.create(session(KEY))
        async with trio.open_nursery() as nursery:
            for number in range(1, 30):
                nursery.start_soon(look_up, store, number)
                await trio.testing.wait_all_tasks_blocked()

    run(story)
    assert found == list(range(29))


@posix
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    for moment in moments(8):
        told = kill_amid(start("files", tmp_path, "mine"), moment)
        kept = {path.stem for path in tmp_path.glob("*.wwrsess")} - {"shared"}
        # Only the last was under way, or the next, of which nothing was told yet.
        last = list(told)[-1]
        assert kept <= {last, f"mine-{len(told)}"}
        assert told[last] != "created" or last in kept
        assert told[last] != "closed" or last not in kept

        async def story(kept: set[str] = kept) -> None:
            store = FileStore(tmp_path)
            for key in kept:
                found = await store.look_up(key, datetime.now(UTC))
                assert found is not None
                assert found.info == INFO
                await store.close(key)
            if found := await store.look_up("shared", datetime.now(UTC)):
                assert found.info == INFO

        run(story)


@posix
def test_what_a_killed_process_left_is_removed_in_time(tmp_path: Path) -> None:
    left = tmp_path / ".new-0123"
    left.write_text("half a sess")
    FileStore(tmp_path)
    assert left.exists(), "another process may be writing it"
    os.utime(left, (0, 0))
    FileStore(tmp_path)
    assert not left.exists()


@posix
def test_processes_share_a_directory(tmp_path: Path) -> None:
    run_together(*(("files", tmp_path, f"process{number}", "40") for number in range(3)))
    assert {path.stem for path in tmp_path.iterdir()} <= {"shared"}


@posix
def test_two_stores_of_one_directory_bring_nothing_back(tmp_path: Path) -> None:
    """They know nothing of each other, as two processes: the file alone keeps them apart."""

    async def story() -> None:
        one, other = FileStore(tmp_path), FileStore(tmp_path)

        async def look_up(key: str) -> None:
            for _ in range(3):
                await one.look_up(key, after(1))

        for round_ in range(60):
            key = f"round-{round_}"
            await one.create(session(key))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(look_up, key)
                await trio.sleep(round_ * 0.0001)
                await other.close(key)
            assert await other.look_up(key, after(2)) is None

    run(story)
    assert list(tmp_path.iterdir()) == []


def test_no_module_of_another_store_is_loaded() -> None:
    code = (
        "import sys; from wirecore_trio.webwire.stores import FileStore, MemoryStore; "
        "print(*{'sqlite3', 'coredis', 'anyio'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout == "\n"
