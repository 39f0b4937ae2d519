"""What ours does otherwise than the original, and no recorded scenario shows.

The original was run beside ours against one scripted server; docs/engine-differences.md lists what
came of that, and names these tests, and some that were there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from tests.transports.engine.scripted import Diary, Line, Scripted
from tests.transports.engine.test_engine import Noting, make, wait
from wirecore.errors import InvalidState
from wirecore_trio import engine
from wirecore_trio.engine import (
    ConnectionClosed,
    Engine,
    NotConnected,
    NotStarted,
    Options,
    Session,
)

URL: Final = "ws://feed.test/"

TESTS: Final = Path(__file__).parents[1]

PAGE: Final = Path(__file__).parents[4] / "docs" / "engine-differences.md"


def test_the_page_names_tests_that_there_are() -> None:
    text = PAGE.read_text().partition("\n## What no recording shows")[2].partition("\n## ")[0]
    _, _, *cells = [row.split("|")[-2] for row in text.splitlines() if row.startswith("| ")]
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    there = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert all("`test_" in cell for cell in cells)
    assert named
    assert named <= there


# --- start and stop -------------------------------------------------------------------------------


async def takes_a_minute(line: Line) -> None:
    """Dialling does."""
    await trio.sleep(60)


def test_a_second_start_fails_while_the_first_one_runs(run: Run) -> None:
    async def start() -> None:
        await client.start()
        diary.note("started")

    async def story() -> None:
        async with client, trio.open_nursery() as nursery:
            nursery.start_soon(start)
            diary.note("asked")
            await wait(1)
            with pytest.raises(engine.AlreadyStarted):
                await client.start()
            diary.note("refused")
        assert diary.entries[:3] == [(0, "asked"), (1, "refused"), (60, "on_open 1")]

    diary = Diary()
    client = Engine(URL, Noting(diary), adapter=Scripted(takes_a_minute), autostart=False)
    run(story)


def test_a_start_fails_while_the_engine_is_stopped(run: Run) -> None:
    async def story() -> None:
        async def take_a_second(session: Session, details: object) -> None:
            await trio.sleep(1)

        diary = Diary()
        async with make(Scripted(), diary, on_close=take_a_second) as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.stop)
                await wait(0.5)
                with pytest.raises(engine.AlreadyStarted):
                    await client.start()
            assert not client.is_started
        assert diary.what == ["on_open 1", "on_close none", "on_close done"]

    run(story)


@pytest.mark.parametrize("at", [1, 2], ids=["at first", "again"])
def test_a_stop_ends_the_attempt_that_runs(run: Run, at: int) -> None:
    async def start() -> None:
        if at == 1:
            with pytest.raises(engine.EngineStartError):
                await client.start()
        else:
            await client.start()
            client.restart()

    async def story() -> None:
        begun = trio.current_time()
        async with client, trio.open_nursery() as nursery:
            nursery.start_soon(start)
            await wait(1)
            await client.stop()
            assert not client.is_started
        assert trio.current_time() - begun < 2
        assert adapter.line is None

    adapter = Scripted(lambda line: takes_a_minute(line) if line.number == at else None)
    client = Engine(URL, Noting(Diary()), adapter=adapter, autostart=False)
    run(story)


def test_two_stops_at_once_are_both_through_when_it_has_ended(run: Run) -> None:
    async def story() -> None:
        async def take_a_second(session: Session, details: object) -> None:
            await trio.sleep(1)

        async def stop() -> None:
            await client.stop()
            diary.note("stopped")

        diary = Diary()
        async with make(Scripted(), diary, on_close=take_a_second) as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stop)
                await wait(0.5)
                nursery.start_soon(stop)
            with pytest.raises(NotStarted):
                await client.stop()
        assert diary.entries[-2:] == [(1, "stopped"), (1, "stopped")]

    run(story)


def test_stop_in_on_restart_error_is_refused(run: Run) -> None:
    async def story() -> None:
        async def stop(error: Exception, retry_count: int, give_up: Callable[[], None]) -> None:
            with pytest.raises(InvalidState, match=r"give_up\(\) in on_restart_error"):
                await client.stop()
            give_up()

        def on_dial(line: Line) -> None:
            if line.number == 2:
                raise ConnectionRefusedError("nobody listens")

        adapter, diary = Scripted(on_dial), Diary()
        async with make(adapter, diary, on_restart_error=stop) as client:
            client.restart()
            await client.wait_ended()
        assert len(adapter.lines) == 2

    run(story)


def test_exit_ends_a_wait_at_once_without_another_attempt(run: Run) -> None:
    async def story() -> None:
        def on_dial(line: Line) -> None:
            if line.number > 1:
                raise ConnectionRefusedError("nobody listens")

        adapter, diary = Scripted(on_dial), Diary()
        async with make(adapter, diary) as client:
            session = client.session
            assert session is not None
            client.restart()
            await wait(0.5)
            session.exit()
            await client.wait_ended()
            diary.note("ended")
        assert diary.entries[-2:] == [(0, "on_restart_error 0"), (0.5, "ended")]

    run(story)


@pytest.mark.parametrize("ask", ["restart", "exit"])
def test_restart_and_exit_are_heeded_wherever_they_are_called(run: Run, ask: str) -> None:
    """On a connection on which nothing comes any more, by who has kept the session."""

    async def story() -> None:
        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary) as client:
            session = client.session
            assert session is not None
            getattr(session, ask)()
            await wait(1)
            assert adapter.lines[0].closed == (1001, "Going away")
            assert client.is_started is (ask == "restart")
        assert diary.what[:2] == ["on_open 1", "on_close none"]

    run(story)


# --- a connection that has ended, or isn't there --------------------------------------------------


@pytest.mark.parametrize("where", ["on_message", "on_open"])
def test_a_close_that_is_read_by_hand_is_one(run: Run, where: str) -> None:
    async def story() -> None:
        async def read(session: Session, *_: object) -> None:
            if session.number == 1:
                async with session.pause():
                    adapter.lines[0].lose(4005, "bye")
                    with pytest.raises(ConnectionClosed):
                        await session.receive()

        adapter, diary = Scripted(), Diary()
        handler = Noting(diary, **{where: read})
        async with Engine(URL, handler, Options(workers=1), adapter=adapter):
            adapter.lines[0].bring("m")
            await wait(1)
        told = [what for what in diary.what if what.startswith("on_close")]
        assert told == ["on_close 4005 bye", "on_close none"]
        assert not any("error" in what for what in diary.what)

    run(story)


def test_who_outlives_a_connection_sends_over_no_other_one(run: Run) -> None:
    async def story() -> None:
        async def answer_late(session: Session, message: object) -> None:
            await trio.sleep(1)
            with pytest.raises(NotConnected):
                await session.send("late")

        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary, Options(workers=2), on_message=answer_late) as client:
            adapter.lines[0].bring("m")
            adapter.lines[0].lose()
            await wait(2)
            assert client.session is not None
            await client.session.send("in time")
        assert [line.sent for line in adapter.lines] == [[], ["in time"]]
        assert "on_message done" in diary.what

    run(story)


def test_there_is_nothing_to_pause_without_a_connection(run: Run) -> None:
    """Before the start, while on_open runs, and in an outage."""

    async def story() -> None:
        async def refused() -> None:
            with pytest.raises(NotConnected):
                async with client.pause():
                    raise AssertionError("there is a connection")

        async def stay_a_second(session: Session) -> None:
            await refused()
            await trio.sleep(1)

        def on_dial(line: Line) -> None:
            if line.number == 2:
                raise ConnectionRefusedError("nobody listens")

        diary = Diary()
        handler = Noting(diary, on_open=stay_a_second)
        client = Engine(URL, handler, adapter=Scripted(on_dial), autostart=False)
        async with client:
            await refused()
            await client.start()
            client.restart()
            await wait(1)
            assert diary.what[-1] == "on_restart_error 0"
            await refused()

    run(story)
