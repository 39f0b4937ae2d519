"""A session over a stream: what its owner and its user have of it, and every way it ends."""

from __future__ import annotations

import contextvars
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.session.lines import Lines, Reader
from wirecore.errors import InvalidState
from wirecore_trio import Options, Running, run_session

if TYPE_CHECKING:
    from tests.transports.conftest import Run


async def rest(stream: trio.abc.ReceiveStream) -> bytes:
    """All that comes until the end."""
    return b"".join([bytes(data) async for data in stream])


def test_both_ends_over_memory(run: Run) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with run_session(ours, Lines(), Reader) as here:
            async with run_session(theirs, Lines(), Reader) as there:
                here.send(b"one")
                here.send(b"two")
                assert await there.until(2) == [b"one", b"two"]
                there.send(b"three")
                assert await here.until(1) == [b"three"]
            await here.running.wait_ended()
        assert there.lines[2:] == []
        assert (here.ends, there.ends) == ([None], [None])
        assert here.lines == [b"three", b"bye"]

    run(story)


def test_leaving_closes_in_good_order(run: Run) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with run_session(ours, Lines(), Reader) as here:
            here.send(b"hello")
            assert here.running.session.started == trio.current_time()
        assert await rest(theirs) == b"hello\nbye\n"
        assert here.ends == [None]
        assert here.running.error is None

    run(story)


def test_a_session_that_never_finishes_is_waited_for_only_so_long(run: Run) -> None:
    async def story() -> None:
        ours, _theirs = trio.testing.memory_stream_pair()
        session = Lines()
        session.closes = False
        start = trio.current_time()
        async with run_session(ours, session, Reader, options=Options(close_timeout=7)) as here:
            pass
        assert trio.current_time() - start == 7
        assert here.ends == [None]

    run(story)


def test_the_end_of_the_stream_is_told_and_the_body_goes_on(run: Run) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with run_session(ours, Lines(), Reader) as here:
            await theirs.send_all(b"last\n")
            await theirs.aclose()
            await here.running.wait_ended()
            assert here.running.ended
            assert here.lines == [b"last"]
            await trio.sleep(1)
            here.send(b"in vain")  # nothing happens
            await here.running.drained()
        assert here.ends == [None]

    run(story)


def test_a_stream_that_breaks_is_told(run: Run) -> None:
    class Breaking(trio.abc.ReceiveStream):
        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("torn")

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    async def story() -> None:
        stream = trio.StapledStream(trio.testing.MemorySendStream(), Breaking())
        async with run_session(stream, Lines(), Reader) as here:
            await here.running.wait_ended()
        [error] = here.ends
        assert isinstance(error, trio.BrokenResourceError)
        assert here.running.error is error

    run(story)


def test_a_deadline_that_a_read_brought_nearer_is_kept(run: Run) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with run_session(ours, Lines(idle=5), Reader) as here:
            await trio.sleep(100)
            await theirs.send_all(b"once\n")
            await here.until(1)
            start = trio.current_time()
            await here.running.wait_ended()
            assert trio.current_time() - start == 5
        assert here.lines == [b"once", b"(idle)"]

    run(story)


def test_a_deadline_that_its_user_brought_nearer_is_kept(run: Run) -> None:
    async def story() -> None:
        ours, _theirs = trio.testing.memory_stream_pair()
        session = Lines(idle=3)
        async with run_session(ours, session, Reader) as here:
            start = trio.current_time()
            session.receive(b"as if it had come\n", start)
            here.running.write()
            await here.running.wait_ended()
            assert trio.current_time() - start == 3

    run(story)


def test_senders_wait_while_the_peer_doesnt_read(run: Run) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.lockstep_stream_pair()
        async with run_session(ours, Lines(), Reader, options=Options(high_water=1000)) as here:
            here.send(bytes(200_000))
            with trio.move_on_after(5) as scope:
                await here.running.drained()
            assert scope.cancelled_caught
            async with trio.open_nursery() as nursery:
                nursery.start_soon(rest, theirs)
                await here.running.drained()  # it reads now
                here.running.close()
                await here.running.wait_ended()

    run(story)


def test_what_the_session_cant_send_at_its_end_is_told_first(run: Run) -> None:
    async def story() -> None:
        ours, _theirs = trio.testing.lockstep_stream_pair()
        async with run_session(ours, Lines(), Reader) as here:
            here.send(bytes(1_000_000))
            here.running.close()
            assert (here.finishes, here.ends) == (1, [])
            await here.running.wait_ended()
        assert (here.finishes, len(here.ends)) == (1, 1)

    run(story)


def test_a_session_that_its_user_has_finished_ends_with_the_next_write(run: Run) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with run_session(ours, Lines(), Reader) as here:
            here.running.session.close()
            here.running.write()
            await here.running.wait_ended()
            assert await rest(theirs) == b"bye\n"

    run(story)


def test_an_owner_that_ends_it_while_it_is_made_is_told_of_it(run: Run) -> None:
    class Unwilling(Reader):
        def __init__(self, running: Running[Lines]) -> None:
            super().__init__(running)
            running.abort()

    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with run_session(ours, Lines(), Unwilling) as here:
            assert here.running.ended
            assert here.ends == [None]
        assert await rest(theirs) == b"bye\n"

    run(story)


# --- tasks of the owner's ---------------------------------------------------------------------


def echo(reader: Reader, line: bytes) -> None:
    async def answer() -> None:
        await trio.sleep(1)
        reader.send(line)

    reader.running.start_soon(answer)


def test_tasks_may_answer_at_the_same_time(run: Run) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with (
            run_session(ours, Lines(), Reader) as here,
            run_session(theirs, Lines(), partial(Reader, react=echo)),
        ):
            start = trio.current_time()
            for line in b"one", b"two", b"three":
                here.send(line)
            assert sorted(await here.until(3)) == [b"one", b"three", b"two"]
            assert trio.current_time() - start == 1

    run(story)


def test_an_owner_may_begin_tasks_while_it_is_made(run: Run) -> None:
    class Greeter(Reader):
        def __init__(self, running: Running[Lines]) -> None:
            super().__init__(running)
            running.start_soon(self.greet, b"hello")
            running.write()  # too early, and harmless

        async def greet(self, line: bytes) -> None:
            self.send(line)

    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with run_session(ours, Lines(), Greeter):
            assert await theirs.receive_some() == b"hello\n"

    run(story)


def test_what_was_queued_before_it_runs_is_sent_when_it_does(run: Run) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        session = Lines()
        session.send(b"first")
        async with run_session(ours, session, Reader):
            assert await theirs.receive_some() == b"first\n"

    run(story)


def test_tasks_outlive_the_connection_but_not_the_body(run: Run) -> None:
    seen = []

    async def work(seconds: float) -> None:
        try:
            await trio.sleep(seconds)
            seen.append("done")
        except trio.Cancelled:
            seen.append("cancelled")
            raise

    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with run_session(ours, Lines(), Reader) as here:
            here.running.start_soon(work, 5)
            here.running.start_soon(work, 50)
            await theirs.aclose()
            await here.running.wait_ended()
            await trio.sleep(10)
            assert seen == ["done"]
        assert seen == ["done", "cancelled"]
        with pytest.raises(InvalidState, match="have ended"):
            here.running.start_soon(work, 1)

    run(story)


def test_an_owner_may_want_its_tasks_to_end_with_the_connection(run: Run) -> None:
    class Impatient(Reader):
        def on_end(self, error: BaseException | None) -> None:
            super().on_end(error)
            self.running.cancel_tasks()

    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        start = trio.current_time()
        async with run_session(ours, Lines(), Impatient) as here:
            here.running.start_soon(trio.sleep, 1000)
            await theirs.aclose()
            await here.running.wait_ended()
        assert trio.current_time() == start

    run(story)


def test_tasks_see_the_context_that_the_connection_began_with(run: Run) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    seen = []

    async def look() -> None:
        seen.append(variable.get())
        variable.set("changed")

    def react(reader: Reader, _: bytes) -> None:
        reader.running.start_soon(look)

    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        variable.set("begun")
        async with run_session(ours, Lines(), partial(Reader, react=react)) as here:
            variable.set("later")
            await theirs.send_all(b"one\n")
            await theirs.send_all(b"two\n")
            await here.until(2)
            await trio.testing.wait_all_tasks_blocked()
        assert seen == ["begun", "begun"]

    run(story)


# --- faults -----------------------------------------------------------------------------------


async def _fail() -> None:
    raise ValueError("a bug")


def _fail_now(*_: object) -> None:
    raise ValueError("a bug")


def _task_fails(reader: Reader) -> None:
    reader.running.start_soon(_fail)


def _session_fails(reader: Reader) -> None:
    reader.running.session.error = ValueError("a bug")


def _receiving_fails(reader: Reader) -> None:
    reader._react = _fail_now


def _stage_fails(reader: Reader) -> None:
    del reader.running.session.finished


def _deadline_fails(reader: Reader) -> None:
    reader.running.session.next_deadline = lambda: "soon"


@pytest.mark.parametrize(
    "what", [_task_fails, _session_fails, _receiving_fails, _stage_fails, _deadline_fails]
)
def test_a_fault_of_session_or_owner_ends_its_connection_and_nothing_else(
    run: Run, caplog: pytest.LogCaptureFixture, what: Any
) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with run_session(ours, Lines(), Reader) as here:
            what(here)
            await trio.testing.wait_all_tasks_blocked()
            with suppress(trio.BrokenResourceError):  # it may have ended already
                await theirs.send_all(b"one\n")
            await here.running.wait_ended()
            await trio.sleep(1)  # the body goes on
        [error] = here.ends
        assert isinstance(error, ValueError | AttributeError | TypeError)
        assert here.running.error is error
        assert await rest(theirs) == b""

    run(story)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "a defect" in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.parametrize("callback", ["on_finish", "on_end"])
def test_what_an_owner_raises_about_the_end_is_logged(
    run: Run, caplog: pytest.LogCaptureFixture, callback: str
) -> None:
    async def story() -> None:
        ours, _theirs = trio.testing.lockstep_stream_pair()
        async with run_session(ours, Lines(), Reader) as here:
            setattr(here, callback, _fail_now)
            here.send(bytes(1_000_000))
            here.running.close()
            await here.running.wait_ended()
        await trio.sleep(2)  # for the last bytes, which nobody takes

    run(story)
    [record] = caplog.records
    assert f"the owner's {callback} raised, which is a defect of theirs" in record.getMessage()


def test_a_close_that_raises_ends_it_all_the_same(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        ours, _theirs = trio.testing.memory_stream_pair()
        session = Lines()
        async with run_session(ours, session, Reader) as here:
            session.close = _fail_now  # type: ignore[method-assign]
        assert [str(error) for error in here.ends] == ["a bug"]

    run(story)
    assert "session.close() raised" in caplog.text


def test_an_owner_that_cant_be_made_is_raised_as_it_is(run: Run) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        running: Any = run_session(ours, Lines(), _fail_now)
        with pytest.raises(ValueError, match="a bug"):
            await running.__aenter__()
        assert await rest(theirs) == b"bye\n"

    run(story)


def test_an_exception_of_the_body_arrives_as_itself(run: Run) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        with pytest.raises(KeyError, match="mine"):  # noqa: PT012 - the body raises
            async with run_session(ours, Lines(), Reader) as here:
                here.running.start_soon(trio.sleep_forever)
                raise KeyError("mine")
        assert await rest(theirs) == b"bye\n"

    run(story)


def test_a_cancelled_body_ends_at_once(run: Run) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        session = Lines()
        session.closes = False
        start = trio.current_time()
        with trio.move_on_after(3) as scope:
            async with run_session(ours, session, Reader):
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert trio.current_time() - start == 3
        assert await rest(theirs) == b""

    run(story)


def test_a_cancelled_close_ends_at_once(run: Run) -> None:
    async def story() -> None:
        ours, _theirs = trio.testing.memory_stream_pair()
        session = Lines()
        session.closes = False
        start = trio.current_time()
        with trio.move_on_after(2) as scope:
            async with run_session(ours, session, Reader):
                pass
        assert scope.cancelled_caught
        assert trio.current_time() - start == 2

    run(story)


def test_it_is_used_once_and_with_async_with(run: Run) -> None:
    async def story() -> None:
        ours, _theirs = trio.testing.memory_stream_pair()
        running = run_session(ours, Lines(), Reader)
        async with running:
            pass
        with pytest.raises(InvalidState, match="call run_session again"):
            await running.__aenter__()
        with pytest.raises(TypeError, match="use async with run_session"):
            await running  # type: ignore[misc]
        with pytest.raises(TypeError, match=r"stream must be Stream, not Lines"):
            run_session(Lines(), Lines(), Reader)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="options must be Options or None, not dict"):
            run_session(ours, Lines(), Reader, options={})  # type: ignore[arg-type]

    run(story)


def test_it_says_what_it_is(run: Run) -> None:
    async def story() -> None:
        ours, _theirs = trio.testing.memory_stream_pair()
        async with run_session(ours, Lines(), Reader) as here:
            assert repr(here.running) == "<Running Lines (a stream)>"

    run(story)


def test_a_class_is_no_session_yet(run: Run) -> None:
    async def story() -> None:
        ours, _ = trio.testing.memory_stream_pair()
        with pytest.raises(TypeError, match=r"Lines is a class: give a session, as Lines\(\)"):
            run_session(ours, Lines, Reader)  # type: ignore[type-var]

    run(story)
