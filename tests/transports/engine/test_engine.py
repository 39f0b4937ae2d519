"""An engine's life: callbacks in their order, restarts, retries, and its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from tests.transports.engine.scripted import Diary, Line, Scripted
from wirecore.errors import InvalidState
from wirecore_trio import engine
from wirecore_trio.engine import CloseDetails, CloseMessage, Engine, Options, Session

URL = "ws://feed.example/"


class Noting(engine.Handler):
    """Writes down what it is called for; *script* is what it does then."""

    def __init__(self, diary: Diary, **script: Callable[..., Any]) -> None:
        self.diary = diary
        self.script = script

    async def _do(self, name: str, *arguments: Any) -> Any:
        function = self.script.get(name)
        try:
            return None if function is None else await function(*arguments)
        finally:
            if function is not None:
                self.diary.note(f"{name} done")

    async def on_open(self, session: Session) -> None:
        self.diary.note(f"on_open {session.number}{' again' if session.restarting else ''}")
        await self._do("on_open", session)

    async def on_message(self, session: Session, message: engine.Message) -> None:
        self.diary.note(f"on_message {message!r}")
        await self._do("on_message", session, message)

    async def on_read_error(self, session: Session, error: Exception) -> None:
        self.diary.note(f"on_read_error {error}")
        await self._do("on_read_error", session, error)

    async def on_close(self, session: Session, details: CloseDetails | None) -> Any:
        told = f"{details.code} {details.reason}".strip() if details else "none"
        self.diary.note(f"on_close {told}")
        return await self._do("on_close", session, details)

    async def on_close_error(self, error: Exception) -> None:
        self.diary.note(f"on_close_error {error}")
        await self._do("on_close_error", error)

    async def on_restart_error(
        self, error: Exception, retry_count: int, give_up: Callable[[], None]
    ) -> None:
        self.diary.note(f"on_restart_error {retry_count}")
        await self._do("on_restart_error", error, retry_count, give_up)


def make(
    adapter: Scripted,
    diary: Diary,
    options: Options | None = None,
    **script: Callable[..., Any],
) -> Engine:
    """An engine over *adapter*."""
    options = options or Options(workers=1, retry_delay_base=1)
    return Engine(URL, Noting(diary, **script), options, adapter=adapter)


async def wait(seconds: float) -> None:
    """As long as others have nothing else to do, too."""
    await trio.sleep(seconds)
    await trio.testing.wait_all_tasks_blocked()


# --- one session ----------------------------------------------------------------------------------


def test_from_start_to_stop(run: Run) -> None:
    async def story() -> None:
        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary) as client:
            assert client.is_started
            session = client.session
            assert session is not None
            assert (session.number, session.restarting) == (1, False)
            assert session.response == "answer 1"
            assert session.underlying is adapter.line
            adapter.lines[0].bring("text", b"\x00\x01", "")
            await wait(1)
        assert diary.what == [
            "on_open 1",
            "on_message 'text'",
            "on_message b'\\x00\\x01'",
            "on_message ''",
            "on_close none",
        ]
        assert adapter.lines[0].closed == (1001, "Going away")
        assert not client.is_started
        assert client.session is None
        assert session.underlying is None

    run(story)


def test_on_close_chooses_the_code(run: Run) -> None:
    async def story() -> None:
        async def finish(session: Session, details: object) -> CloseMessage:
            return CloseMessage(1000, "finished")

        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary, on_close=finish) as client:
            await client.stop()
            assert adapter.lines[0].closed == (1000, "finished")
            with pytest.raises(engine.NotStarted):
                await client.stop()
            await client.start()
        assert len(adapter.lines) == 2

    run(story)


def test_it_starts_once_and_goes_on_unharmed(run: Run) -> None:
    async def story() -> None:
        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary) as client:
            with pytest.raises(engine.AlreadyStarted, match="engine has already started"):
                await client.start()
            adapter.lines[0].bring("m1")
            await wait(1)
        assert diary.what == ["on_open 1", "on_message 'm1'", "on_close none"]

    run(story)


def test_it_starts_within_its_async_with_alone(run: Run) -> None:
    async def story() -> None:
        client = make(Scripted(), Diary())
        with pytest.raises(InvalidState, match="within its async with"):
            await client.start()
        async with client:
            with pytest.raises(InvalidState, match="entered already"):
                async with client:
                    raise AssertionError("it isn't entered twice")

    run(story)


def test_a_start_that_fails_is_told_and_may_be_made_again(run: Run) -> None:
    async def story() -> None:
        def on_dial(line: Line) -> None:
            if line.number == 1:
                raise ConnectionRefusedError("nobody listens")

        adapter, diary = Scripted(on_dial), Diary()
        client = Engine(URL, Noting(diary), adapter=adapter, autostart=False)
        async with client:
            with pytest.raises(engine.EngineStartError) as caught:
                await client.start()
            assert str(caught.value) == "websocket engine failed to start: nobody listens"
            assert isinstance(caught.value.__cause__, ConnectionRefusedError)
            assert not client.is_started
            await client.start()
            assert client.is_started
        assert diary.what == ["on_open 1", "on_close none"]

    run(story)


def test_an_on_open_that_fails_closes_without_on_close(run: Run) -> None:
    async def story() -> None:
        async def say_no(session: Session) -> None:
            raise ValueError("on_open says no")

        adapter, diary = Scripted(), Diary()
        with pytest.raises(engine.EngineStartError, match="on_open says no"):
            async with make(adapter, diary, on_open=say_no):
                raise AssertionError("it isn't entered")
        assert diary.what == ["on_open 1", "on_open done"]
        assert adapter.lines[0].closed == (1001, "websocket client failed to start")

    run(story)


def test_on_open_sends_and_receives_by_hand(run: Run) -> None:
    async def story() -> None:
        async def greet(session: Session) -> None:
            await session.send("hello")
            adapter.lines[0].bring("re:hello", "m1")
            assert await session.receive() == "re:hello"

        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary, on_open=greet) as client:
            await wait(1)
            assert client.session is not None
            with pytest.raises(InvalidState, match="pause it first"):
                await client.session.receive()
        assert adapter.lines[0].sent == ["hello"]
        assert diary.what[2] == "on_message 'm1'"

    run(story)


# --- messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_messages_start_in_order_and_as_many_run_as_there_are_workers(
    run: Run, workers: int
) -> None:
    async def story() -> None:
        running, most, started = 0, 0, []

        async def take_2_seconds(session: Session, message: str) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            started.append((trio.current_time() - begun, message))
            await trio.sleep(2)
            running -= 1

        adapter, diary = Scripted(), Diary()
        options = Options(workers=workers)
        async with make(adapter, diary, options, on_message=take_2_seconds):
            begun = trio.current_time()
            adapter.lines[0].bring(*[f"m{n}" for n in range(1, 7)])
            await wait(13)
        expected = [((n // workers) * 2, f"m{n + 1}") for n in range(6)]
        assert started == expected
        assert most == workers

    run(story)


def test_plain_callbacks_and_functions(run: Run) -> None:
    async def story() -> None:
        got: list[str] = []
        callbacks = engine.Callbacks()

        @callbacks.on_message
        def keep(session: Session, message: str) -> None:
            got.append(message)

        adapter = Scripted()
        async with Engine(URL, callbacks, adapter=adapter):
            adapter.lines[0].bring("a", "b")
            await wait(1)
        assert got == ["a", "b"]

    run(story)


def test_an_on_message_that_fails_is_logged_and_the_engine_goes_on(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async def fail(session: Session, message: str) -> None:
            if message == "late":
                await trio.sleep(1)
            raise ZeroDivisionError("of the user's")

        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary, on_message=fail):
            adapter.lines[0].bring("m1", "late", "m3")
            await wait(2)
        assert diary.what.count("on_message done") == 3

    run(story)
    assert caplog.text.count("on_message failed; the engine goes on") == 3
    assert "of the user's" in caplog.text


def test_a_stop_waits_for_no_message_and_cancels_none(run: Run) -> None:
    async def story() -> None:
        async def take_5_seconds(session: Session, message: str) -> None:
            await trio.sleep(5)

        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary, on_message=take_5_seconds) as client:
            adapter.lines[0].bring("m1", "m2")
            await wait(2)
            await client.stop()
            diary.note("stopped")
        diary.note("left")
        assert diary.entries == [
            (0, "on_open 1"),
            (0, "on_message 'm1'"),
            (2, "on_close none"),
            (2, "stopped"),
            (5, "on_message done"),
            (5, "left"),
        ]

    run(story)


def test_who_leaves_with_an_error_has_callbacks_cancelled(run: Run) -> None:
    async def story() -> None:
        cancelled = trio.Event()

        async def sleep(session: Session, message: str) -> None:
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                cancelled.set()
                raise

        adapter, diary = Scripted(), Diary()
        client = make(adapter, diary, on_message=sleep)

        async def fail() -> None:
            async with client:
                adapter.lines[0].bring("m1")
                await wait(1)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert cancelled.is_set()
        assert adapter.lines[0].closed == (1001, "Going away")
        assert diary.what[-2:] == ["on_close none", "on_message done"]

    run(story)


def test_who_waits_for_the_end_hears_of_one_by_cancellation(run: Run) -> None:
    async def story() -> None:
        adapter, diary = Scripted(), Diary()
        client = make(adapter, diary)
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(1):
                async with client:
                    nursery.start_soon(client.wait_ended)
                    await trio.sleep_forever()
        assert not client.is_started

    run(story)


def test_who_has_left_cant_start_it(run: Run) -> None:
    async def story() -> None:
        adapter, diary = Scripted(), Diary()
        client = make(adapter, diary)
        async with client:
            pass
        with pytest.raises(InvalidState, match="within its async with"):
            await client.start()
        assert adapter.line is None
        assert len(adapter.lines) == 1

    run(story)


def test_exit_ends_a_second_start_too(run: Run) -> None:
    async def story() -> None:
        dialling = trio.Event()

        async def take_time() -> None:
            dialling.set()
            await trio.sleep(5)

        def on_dial(line: Line) -> Any:
            return take_time() if line.number == 2 else None

        adapter, diary = Scripted(on_dial), Diary()
        async with make(adapter, diary) as client:
            await client.stop()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.start)
                await dialling.wait()
                client.exit()
            await client.wait_ended()
        assert diary.what == ["on_open 1", "on_close none", "on_open 2", "on_close none"]

    run(story)


def test_who_is_cancelled_leaves_no_connection(run: Run) -> None:
    async def story() -> None:
        adapter, diary = Scripted(), Diary()
        with trio.move_on_after(1):
            async with make(adapter, diary):
                await trio.sleep_forever()
        assert adapter.line is None
        assert diary.what == ["on_open 1"]

    run(story)


# --- the end of a connection ----------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1005, 1006, 4000])
def test_a_closed_connection_is_made_again_at_once(run: Run, code: int) -> None:
    async def story() -> None:
        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary) as client:
            await wait(1)
            adapter.lines[0].lose(code, "bye")
            await wait(1)
            assert client.session is not None
            assert client.session.restarting
        assert diary.entries == [
            (0, "on_open 1"),
            (1, f"on_close {code} bye"),
            (1, "on_open 2 again"),
            (2, "on_close none"),
        ]
        assert adapter.lines[0].closed is None

    run(story)


def test_without_auto_reconnect_it_is_done_then(run: Run) -> None:
    async def story() -> None:
        adapter, diary = Scripted(), Diary()
        options = Options(auto_reconnect=False)
        async with make(adapter, diary, options) as client:
            adapter.lines[0].lose(1000)
            await client.wait_ended()
            assert not client.is_started
        assert diary.what == ["on_open 1", "on_close 1000"]

    run(story)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("ask", ["restart", "exit"])
def test_restart_and_exit_in_on_message(run: Run, ask: str, workers: int) -> None:
    """The callback is finished first; what was read meanwhile is dropped."""

    async def story() -> None:
        async def asks(session: Session, message: str) -> None:
            getattr(session, ask)()
            await trio.sleep(1)

        adapter, diary = Scripted(), Diary()
        options = Options(workers=workers)
        async with make(adapter, diary, options, on_message=asks) as client:
            adapter.lines[0].bring("m1", "m2")
            await wait(0.5)
            adapter.lines[0].bring("m3")
            await wait(1)
            assert client.is_started == (ask == "restart")
        entries: list[tuple[float, str]] = [
            (0, "on_open 1"),
            (0, "on_message 'm1'"),
            (1, "on_message done"),
            (1, "on_close none"),
        ]
        if ask == "restart":
            entries += [(1, "on_open 2 again"), (1.5, "on_close none")]
        assert diary.entries == entries
        assert adapter.lines[0].closed == (1001, "Going away")

    run(story)


def test_exit_in_on_open_has_it_close_at_once(run: Run) -> None:
    async def story() -> None:
        async def leave(session: Session) -> None:
            session.exit()

        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary, on_open=leave) as client:
            await client.wait_ended()
        assert diary.what == ["on_open 1", "on_open done", "on_close none"]
        assert adapter.lines[0].closed == (1001, "Going away")

    run(story)


def test_a_close_that_fails_is_told(run: Run) -> None:
    async def story() -> None:
        adapter, diary = Scripted(), Diary()
        adapter.close_error = OSError("broken pipe")
        async with make(adapter, diary) as client:
            client.restart()
            await wait(1)
            adapter.close_error = None
        assert diary.what == [
            "on_open 1",
            "on_close none",
            "on_close_error broken pipe",
            "on_open 2 again",
            "on_close none",
        ]

    run(story)


def test_a_read_error_that_is_no_closure(run: Run) -> None:
    """All workers wait, and the callback may read by hand."""

    async def story() -> None:
        async def read_on(session: Session, error: Exception) -> None:
            async with session.pause():  # it has that already
                assert await session.receive() == "m2"
            await trio.sleep(2)

        adapter, diary = Scripted(), Diary()
        options = Options(workers=4)
        async with make(adapter, diary, options, on_read_error=read_on):
            adapter.lines[0].bring("m1", ValueError("injected"), "m2", "m3")
            await wait(3)
        assert diary.entries == [
            (0, "on_open 1"),
            (0, "on_message 'm1'"),
            (0, "on_read_error injected"),
            (2, "on_read_error done"),
            (2, "on_message 'm3'"),
            (3, "on_close none"),
        ]

    run(story)


# --- retries --------------------------------------------------------------------------------------


def refuses(*numbers: int) -> Callable[[Line], None]:
    """Refuse the dials of these *numbers*."""

    def on_dial(line: Line) -> None:
        if line.number in numbers:
            raise ConnectionRefusedError("nobody listens")

    return on_dial


def test_retries_and_their_delays(run: Run) -> None:
    async def story() -> None:
        adapter, diary = Scripted(refuses(2, 3, 4)), Diary()
        options = Options(retry_delay_base=2, retry_delay_max_exponent=2)
        async with make(adapter, diary, options) as client:
            adapter.lines[0].lose()
            await wait(11)
            assert client.is_started
        assert diary.entries == [
            (0, "on_open 1"),
            (0, "on_close 1006"),
            (0, "on_restart_error 0"),
            (2, "on_restart_error 1"),
            (6, "on_restart_error 2"),
            (10, "on_open 2 again"),
            (11, "on_close none"),
        ]

    run(story)


def test_giving_up_in_on_restart_error(run: Run) -> None:
    async def story() -> None:
        async def stop_trying(error: Exception, count: int, give_up: Callable[[], None]) -> None:
            assert str(error) == "websocket engine failed to start: nobody listens"
            if count == 1:
                give_up()

        adapter, diary = Scripted(refuses(2, 3, 4)), Diary()
        async with make(adapter, diary, on_restart_error=stop_trying) as client:
            adapter.lines[0].lose()
            await client.wait_ended()
        assert len(adapter.lines) == 3

    run(story)


def test_a_stop_ends_a_wait_at_once(run: Run) -> None:
    async def story() -> None:
        adapter, diary = Scripted(refuses(2)), Diary()
        async with make(adapter, diary, Options(retry_delay_base=50)) as client:
            adapter.lines[0].lose()
            await wait(1)
            assert client.is_started
            assert client.session is None
            with pytest.raises(engine.NotConnected):
                await client.send("x")
            await client.stop()
            diary.note("stopped")
        assert diary.entries[-1] == (1, "stopped")

    run(story)


def test_after_exit_it_may_be_started_at_once(run: Run) -> None:
    """The run that was left hasn't ended yet, and mustn't end the new one."""

    async def story() -> None:
        adapter, diary = Scripted(refuses(2)), Diary()
        async with make(adapter, diary) as client:
            adapter.lines[0].lose()
            await trio.sleep(0.5)
            client.exit()
            await client.start()
            await wait(5)
            assert client.session is not None
        assert diary.what[-2:] == ["on_open 2", "on_close none"]
        assert len(adapter.lines) == 3

    run(story)


def test_an_attempt_that_takes_too_long(run: Run) -> None:
    async def story() -> None:
        async def never() -> None:
            await trio.sleep_forever()

        def on_dial(line: Line) -> Any:
            return never() if line.number == 2 else None

        adapter, diary = Scripted(on_dial), Diary()
        options = Options(retry_delay_base=1, open_timeout=3)
        async with make(adapter, diary, options) as client:
            adapter.lines[0].lose()
            await wait(5)
            assert client.session is not None
        assert diary.entries[2:4] == [(3, "on_restart_error 0"), (4, "on_open 2 again")]

    run(story)


def test_an_on_open_that_takes_too_long_is_cancelled_and_closed(run: Run) -> None:
    async def story() -> None:
        async def never(session: Session) -> None:
            await trio.sleep_forever()

        adapter, diary = Scripted(), Diary()
        with pytest.raises(engine.EngineStartError) as caught:
            async with make(adapter, diary, Options(open_timeout=3), on_open=never):
                raise AssertionError("it isn't entered")
        assert isinstance(caught.value.__cause__, engine.OpenTimeout)
        assert adapter.lines[0].closed == (1001, "websocket client has been interrupted")
        assert diary.entries == [(0, "on_open 1"), (3, "on_open done")]

    run(story)


def test_a_start_that_is_cancelled_leaves_nothing(run: Run) -> None:
    async def story() -> None:
        async def never(session: Session) -> None:
            await trio.sleep_forever()

        adapter, diary = Scripted(), Diary()
        client = Engine(URL, Noting(diary, on_open=never), adapter=adapter, autostart=False)
        async with client:
            with trio.move_on_after(1):
                await client.start()
            assert not client.is_started
            assert adapter.line is None

    run(story)


def test_a_stop_that_takes_too_long_drops_the_connection(run: Run) -> None:
    async def story() -> None:
        async def take_6_seconds(session: Session, details: object) -> None:
            await trio.sleep(6)

        adapter, diary = Scripted(), Diary()
        options = Options(stop_timeout=2)
        async with make(adapter, diary, options, on_close=take_6_seconds) as client:
            with pytest.raises(engine.StopTimeout, match="within 2 s"):
                await client.stop()
            diary.note("stopped")
            assert not client.is_started
            assert adapter.line is None
        assert diary.entries[1:] == [(0, "on_close none"), (2, "stopped"), (6, "on_close done")]

    run(story)


def test_stop_in_a_callback_that_it_waits_for_is_refused(run: Run) -> None:
    async def story() -> None:
        async def stop(session: Session, details: object) -> None:
            with pytest.raises(InvalidState, match=r"session\.exit"):
                await client.stop()
            session.exit()

        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary, on_close=stop) as client:
            adapter.lines[0].lose()
            await client.wait_ended()
        assert len(adapter.lines) == 1

    run(story)


# --- pausing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 4])
def test_a_pause_is_had_at_once_on_a_quiet_connection(run: Run, workers: int) -> None:
    async def story() -> None:
        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary, Options(workers=workers)) as client:
            await wait(1)
            async with client.pause() as session:
                diary.note("paused")
                adapter.lines[0].bring("m1", "m2")
                await wait(1)
                assert await session.receive() == "m1"
            await wait(1)
        assert diary.entries == [
            (0, "on_open 1"),
            (1, "paused"),
            (2, "on_message 'm2'"),
            (3, "on_close none"),
        ]

    run(story)


def test_pauses_come_one_after_the_other(run: Run) -> None:
    async def story() -> None:
        order: list[int] = []

        async def pause(number: int) -> None:
            async with client.pause():
                order.append(number)
                await trio.sleep(1)

        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary) as client:
            async with trio.open_nursery() as nursery:
                for number in range(3):
                    nursery.start_soon(pause, number)
                    await trio.testing.wait_all_tasks_blocked()
                adapter.lines[0].bring("m1")
            await wait(1)
        assert order == [0, 1, 2]
        assert diary.entries[1] == (3, "on_message 'm1'")

    run(story)


def test_a_pause_in_on_message(run: Run) -> None:
    async def story() -> None:
        async def ask(session: Session, message: str) -> None:
            if message == "m1":
                async with session.pause():
                    await session.send("ask")
                    adapter.lines[0].bring("answer", "m2")
                    assert await session.receive() == "answer"

        adapter, diary = Scripted(), Diary()
        options = Options(workers=1)
        async with make(adapter, diary, options, on_message=ask):
            adapter.lines[0].bring("m1")
            await trio.testing.wait_all_tasks_blocked()
        assert diary.what[1:4] == ["on_message 'm1'", "on_message done", "on_message 'm2'"]

    run(story)


def test_a_pause_in_on_open_ends_with_it(run: Run) -> None:
    """It needn't ask, and may."""

    async def story() -> None:
        async def login(session: Session) -> None:
            async with session.pause():
                await session.send("login")
                adapter.lines[-1].bring("welcome", "m1")
                assert await session.receive() == "welcome"

        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary, on_open=login) as client:
            await wait(1)
            async with client.pause():
                diary.note("paused")
        assert diary.what == [
            "on_open 1",
            "on_open done",
            "on_message 'm1'",
            "paused",
            "on_close none",
        ]

    run(story)


def test_neither_stop_nor_restart_waits_for_a_pause(run: Run) -> None:
    async def story() -> None:
        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary) as client:
            async with client.pause() as session:
                client.restart()
                await wait(1)
                assert client.session is not session
                with pytest.raises(engine.NotConnected):
                    await session.receive()
                async with client.pause():
                    await client.stop()
            with pytest.raises(engine.NotConnected):
                async with session.pause():
                    raise AssertionError("it is over")
        assert diary.what == ["on_open 1", "on_close none", "on_open 2 again", "on_close none"]

    run(story)


def test_a_loss_is_seen_when_the_pause_is_over(run: Run) -> None:
    async def story() -> None:
        adapter, diary = Scripted(), Diary()
        async with make(adapter, diary) as client:
            async with client.pause() as session:
                adapter.lines[0].lose(1000, "bye")
                with pytest.raises(engine.ConnectionClosed):
                    await session.receive()
                diary.note("seen")
            await wait(1)
            assert client.session is not None
        assert diary.what[1] == "seen"
        assert "on_open 2 again" in diary.what

    run(story)
