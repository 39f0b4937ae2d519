"""What keeps a feed up: heartbeats of the application's, and the watch over silence."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from tests.transports.engine.scripted import Line, Scripted
from wirecore_trio.engine import Callbacks, Engine, Heartbeat, NotConnected, Options, Session

URL = "ws://feed.example/"


def test_a_heartbeat_is_sent_as_long_as_a_connection_is_open(run: Run) -> None:
    async def story() -> None:
        def on_dial(line: Line) -> None:
            if line.number == 2:
                raise ConnectionRefusedError("nobody listens")

        adapter = Scripted(on_dial)
        options = Options(heartbeat=Heartbeat(interval=10, message="ping"), retry_delay_base=30)
        async with Engine(URL, Callbacks(), options, adapter=adapter):
            await trio.sleep(25)
            adapter.lines[0].lose()
            await trio.sleep(40)  # 30 s until the next attempt, and 10 s of a connection
            await trio.testing.wait_all_tasks_blocked()
        assert [line.sent for line in adapter.lines] == [["ping", "ping"], [], ["ping"]]

    run(story)


def test_a_function_gives_each_heartbeat(run: Run) -> None:
    async def story() -> None:
        adapter = Scripted()

        def time() -> bytes:
            return b"%g" % (trio.current_time() - begun)

        times = Heartbeat(interval=1, message=time)
        begun = trio.current_time()
        async with Engine(URL, Callbacks(), Options(heartbeat=times), adapter=adapter):
            await trio.sleep(2.5)
        assert adapter.lines[0].sent == [b"1", b"2"]

    run(story)


def test_one_that_fails_is_logged_and_the_next_one_is_sent(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        adapter = Scripted()
        numbers = iter((0, 1))
        beat = Heartbeat(interval=1, message=lambda: f"{1 // next(numbers)}")
        async with Engine(URL, Callbacks(), Options(heartbeat=beat), adapter=adapter):
            await trio.sleep(2.5)
        assert adapter.lines == adapter.lines[:1]
        assert adapter.lines[0].sent == ["1"]

    run(story)
    [told] = [record.getMessage() for record in caplog.records]
    assert told == "a heartbeat couldn't be sent; the next one is tried"


def test_heartbeats_go_on_while_it_is_paused_and_a_callback_runs(run: Run) -> None:
    async def story() -> None:
        callbacks = Callbacks()

        @callbacks.on_message
        async def take_long(session: Session, message: str) -> None:
            await trio.sleep(3)

        adapter = Scripted()
        options = Options(workers=1, heartbeat=Heartbeat(interval=1, message="ping"))
        async with Engine(URL, callbacks, options, adapter=adapter) as client:
            adapter.lines[0].bring("m1")
            await trio.sleep(2.5)
            async with client.pause():
                await trio.sleep(2)
        assert len(adapter.lines[0].sent) >= 4

    run(story)


def test_a_silent_connection_is_made_anew(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        adapter = Scripted()
        async with Engine(URL, Callbacks(), Options(idle_timeout=5), adapter=adapter) as client:
            for _ in range(3):
                await trio.sleep(4)
                adapter.lines[0].bring("still here")
            await trio.sleep(4.9)
            assert len(adapter.lines) == 1
            await trio.sleep(0.2)
            assert len(adapter.lines) == 2
            assert adapter.lines[0].closed == (1001, "Going away")
            assert client.session is not None
            await trio.sleep(5)  # the new one is watched, too
            assert len(adapter.lines) == 3

    run(story)
    assert [record.getMessage() for record in caplog.records] == [
        "no message came for 5 s: another connection is made"
    ] * 2


def test_what_is_read_by_hand_counts_as_heard(run: Run) -> None:
    async def story() -> None:
        adapter = Scripted()
        async with Engine(URL, Callbacks(), Options(idle_timeout=5), adapter=adapter) as client:
            async with client.pause() as session:
                for _ in range(3):
                    await trio.sleep(3)
                    adapter.lines[0].bring("by hand")
                    await session.receive()
            await trio.sleep(1)
            assert client.session is session

    run(story)


def test_while_it_is_paused_silence_is_the_users(run: Run) -> None:
    """Nobody reads then, so nothing could be heard."""

    async def story() -> None:
        adapter = Scripted()
        async with Engine(URL, Callbacks(), Options(idle_timeout=5), adapter=adapter) as client:
            async with client.pause() as session:
                await trio.sleep(20)
            await trio.sleep(4)
            assert client.session is session
            await trio.sleep(2)
            assert client.session is not session

    run(story)


def test_nor_does_it_count_while_all_workers_are_busy(run: Run) -> None:
    async def story() -> None:
        callbacks = Callbacks()

        @callbacks.on_message
        async def take_long(session: Session, message: str) -> None:
            await trio.sleep(20)

        adapter = Scripted()
        options = Options(workers=1, idle_timeout=5)
        async with Engine(URL, callbacks, options, adapter=adapter) as client:
            session = client.session
            adapter.lines[0].bring("m1", "m2")
            await trio.sleep(30)
            assert client.session is session

    run(story)


def test_both_end_with_the_engine(run: Run) -> None:
    async def story() -> None:
        adapter = Scripted()
        options = Options(heartbeat=Heartbeat(interval=1, message="ping"), idle_timeout=2)
        async with Engine(URL, Callbacks(), options, adapter=adapter) as client:
            await client.stop()
            await trio.sleep(10)
            with pytest.raises(NotConnected):
                await client.send("x")
        assert len(adapter.lines) == 1
        assert adapter.lines[0].sent == []

    run(story)
