"""The pump between a link and a session: who reads, who sends, who waits, and how it ends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.transports.pump_story import ScriptedLink, Story
from wirecore import errors, moving_rules
from wirecore_trio import _amounts

if TYPE_CHECKING:
    from tests.transports.conftest import Run


# --- reading --------------------------------------------------------------------------------


def test_a_read_that_fills_the_buffer_gives_others_their_turn(run: Run) -> None:
    """What a full one takes to handle is long enough."""

    async def story() -> None:
        s = Story(ScriptedLink(*[bytes(moving_rules.RECEIVE_BUFFER)] * 20))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.pump.run_reader)
            for _ in range(5):
                await trio.lowlevel.checkpoint()
            assert s.pump.flooded
            assert 0 < len(s.events) <= 6
            s.link.change(b"")

    run(story)


def test_reads_within_one_large_message_cost_no_more_than_others(run: Run) -> None:
    """They are copied and no more, so several may follow each other."""

    async def story() -> None:
        reads = 100
        s = Story(ScriptedLink(*[bytes(moving_rules.RECEIVE_BUFFER)] * reads))
        s.session.grows_by = moving_rules.RECEIVE_BUFFER - 14  # behind the head of a fragment
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.pump.run_reader)
            for _ in range(5):
                await trio.lowlevel.checkpoint()
            assert s.pump.flooded
            assert 8 < len(s.events) <= 6 * _amounts.READS_IN_A_ROW < reads
            s.link.change(b"")

    run(story)


def test_a_flood_within_a_large_message_gives_others_their_turn(run: Run) -> None:
    """Empty fragments are as much work as empty messages."""

    async def story() -> None:
        s = Story(ScriptedLink(*[bytes(moving_rules.RECEIVE_BUFFER)] * 20))
        s.session.growing = 10 * moving_rules.RECEIVE_BUFFER
        s.session.grows_by = moving_rules.RECEIVE_BUFFER // 3
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.pump.run_reader)
            for _ in range(5):
                await trio.lowlevel.checkpoint()
            assert s.pump.flooded
            assert 0 < len(s.events) <= 7
            s.link.change(b"")

    run(story)


def test_each_read_is_one_call_of_the_session_and_one_send(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(b"one", b"echo two"))
        assert s.pump.read()
        assert s.pump.read()
        assert not s.pump.read()
        assert s.events == [b"one", b"echo two"]
        assert s.link.sent == [b"two"]
        s.pump.end(None)
        assert s.ends == [None]

    run(story)


def test_a_reader_reads_until_the_end_and_leaves_room_for_others(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(*[b"x"] * 100))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.pump.run_reader)
            await trio.lowlevel.checkpoint()
            assert len(s.events) <= 2 * _amounts.READS_IN_A_ROW
            await trio.testing.wait_all_tasks_blocked()
            assert len(s.events) == 100
            s.link.change(b"y")
            await trio.testing.wait_all_tasks_blocked()
            s.link.change(b"")
        assert s.events[100:] == [b"y"]
        assert s.ends == [None]
        assert s.link.closed

    run(story)


def test_an_end_that_the_session_puts_off_is_seen_to_before_more_is_read(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(b"last", b"never read"))
        assert s.pump.read()
        assert s.ends == []
        s.write(b"an answer in time")
        assert s.pump.read()
        assert s.events == [b"last"]
        assert s.ends == [None]
        assert s.link.read_count == 1

    run(story)


def test_reads_that_most_likely_find_nothing_are_left_out(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink())
        pump, link = s.pump, s.link
        assert not pump.read_if_likely()
        assert link.read_count == 1
        link.reads += [b"one", b"two", b"three"]
        for _ in range(moving_rules.LEFT_OUT):
            assert not pump.read_if_likely()
        assert link.read_count == 1
        assert pump.read_if_likely()  # now it is tried again, and for as long as it finds something
        assert pump.read_if_likely()
        pump.end(None)

    run(story)


def test_what_the_session_or_the_link_holds_is_never_left_out(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink())
        assert not s.pump.read_if_likely()
        s.link.reads += [bytes(moving_rules.RECEIVE_BUFFER), b"rest", b"last"]
        assert s.pump.read()
        assert s.pump.read_if_likely()  # there was no room for more in the first
        assert not s.pump.read_if_likely()
        assert s.pump.read()
        assert s.session.deferred
        assert s.pump.read_if_likely()
        assert s.session.finished
        s.pump.end(None)

    run(story)


@pytest.mark.parametrize("error", [trio.BrokenResourceError("reset"), errors.ProtocolError("TLS")])
def test_a_broken_link_ends_it_with_the_error(run: Run, error: Exception) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(b"last words", error))
        await s.pump.run_reader()
        assert s.events == [b"last words"]
        assert s.ends == [error]
        s.pump.end(None)
        assert s.ends == [error]

    run(story)


def test_a_link_that_the_system_cant_watch_ends_it(run: Run) -> None:
    class Unwatched(ScriptedLink):
        async def wait_readable(self) -> None:
            raise OSError("no more watches")

    async def story() -> None:
        s = Story(Unwatched())
        await s.pump.run_reader()
        (error,) = s.ends
        assert str(error) == "no more watches"

    run(story)


def test_a_link_closed_by_somebody_else_ends_it(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.pump.run_reader)
            await trio.testing.wait_all_tasks_blocked()
            s.link.close()
        assert isinstance(s.ends[0], trio.ClosedResourceError)

    run(story)


def test_a_peer_that_stops_in_half_close_isnt_asked_again_and_again(run: Run) -> None:
    """Behind the end of the stream a socket stays readable for ever."""

    async def story() -> None:
        s = Story(ScriptedLink(b"", room=3))
        s.write(b"some more than that")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.pump.run_reader)
            await trio.testing.wait_all_tasks_blocked()
            assert s.link.read_count < 5
            s.link.change(room=3)  # something leaves, and not all
            await trio.testing.wait_all_tasks_blocked()
            assert s.link.read_count < 8
            with trio.move_on_after(1) as scope:
                await s.pump.wait_readable()  # for whoever asks
            assert scope.cancelled_caught
            s.link.change(room=100)
        assert b"".join(s.link.sent) == b"some more than that"
        assert s.ends == [None]

    run(story)


# --- a send that fails ----------------------------------------------------------------------


def failing(reads: Iterable[bytes | Exception]) -> Story:
    s = Story(ScriptedLink(*reads))
    s.link.send_error = trio.BrokenResourceError("broken pipe")
    return s


def test_what_the_peer_said_before_it_went_is_still_read(run: Run) -> None:
    async def story() -> None:
        said = [b"echo me", *(b"%d" % number for number in range(20))]
        s = failing(said)
        s.write(b"x")
        assert s.events == said
        assert s.ends == [s.link.send_error]

    run(story)


def test_a_send_that_fails_within_a_read_waits_for_its_end(run: Run) -> None:
    async def story() -> None:
        s = failing([b"echo one", b"echo two", b"three", b""])
        assert s.pump.read()
        assert s.events == [b"echo one", b"echo two", b"three"]
        # The end of the stream finished the session, what it had to send can't leave.
        assert s.ends == [s.link.send_error]

    run(story)


def test_a_send_that_fails_while_an_end_that_was_put_off_is_seen_to(run: Run) -> None:
    """A close frame came behind messages, and its answer finds the peer gone."""

    async def story() -> None:
        s = failing([b"last"])
        s.session.farewell = b"close frame"
        assert s.pump.read()
        assert s.session.deferred
        assert s.pump.read()
        assert s.pump.ended
        assert s.ends == [s.link.send_error]

    run(story)


def test_a_peer_that_sends_for_ever_isnt_read_for_ever(run: Run) -> None:
    async def story() -> None:
        s = failing([b"x"] * 10_000)
        s.write(b"x")
        assert len(s.events) == _amounts.LAST_READS
        assert s.ends == [s.link.send_error]

    run(story)


def test_a_link_that_breaks_under_the_writer_task_ends_it(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(room=1))
        s.write(b"xyz")
        s.link.change(b"goodbye")
        s.link.send_error = trio.BrokenResourceError("broken pipe")
        s.link.change(room=1)
        await trio.testing.wait_all_tasks_blocked()
        assert s.events == [b"goodbye"]
        assert s.ends == [s.link.send_error]

        s = Story(ScriptedLink(room=1))
        s.write(b"xyz")
        await trio.testing.wait_all_tasks_blocked()
        s.link.close()
        await trio.testing.wait_all_tasks_blocked()
        assert isinstance(s.ends[0], trio.ClosedResourceError)

    run(story)


# --- time -----------------------------------------------------------------------------------


def test_the_sessions_deadlines_are_kept(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink())
        start = trio.current_time()
        s.session.deadline = start + 10
        s.pump.arm()
        s.session.deadline = start + 3
        s.pump.arm()  # a nearer one
        s.session.deadline = start + 5
        s.pump.arm()  # a later one: the timer looks again when it fires
        await trio.sleep(20)
        assert s.session.expiries == [start + 5]
        assert s.events == ["expired"]
        s.session.deadline = math.inf
        s.pump.arm()
        s.pump.end(None)
        s.session.deadline = start + 30
        s.pump.arm()
        await trio.sleep(20)
        assert len(s.session.expiries) == 1

    run(story)


def test_a_peer_that_takes_nothing_for_write_timeout_is_lost(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(room=1), write_timeout=7)
        start = trio.current_time()
        s.write(b"abc")
        await trio.sleep(6)
        s.link.change(room=1)  # that counts
        await trio.sleep(6)
        assert s.ends == []
        await trio.sleep(1.5)
        (error,) = s.ends
        assert isinstance(error, trio.BrokenResourceError)
        assert "for 7 s" in str(error)
        assert trio.current_time() - start == 13.5

    run(story)


def test_a_peer_that_reads_slowly_isnt_lost_while_it_reads(run: Run) -> None:
    """The system has no room for more long after the peer has begun to read what it holds."""

    async def story() -> None:
        s = Story(ScriptedLink(room=1), write_timeout=7)
        s.link.held = 1000
        s.write(b"abc")
        await trio.sleep(6)
        s.link.held = 999
        await trio.sleep(6)
        s.link.held = 998
        await trio.sleep(7)
        assert s.ends == []
        await trio.sleep(3)  # 21 s after the beginning it was seen to have taken nothing for 7
        (error,) = s.ends
        assert isinstance(error, trio.BrokenResourceError)

    run(story)


def test_nothing_more_is_read_once_the_session_has_finished(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(b"bye", b"and more", room=1))
        s.write(b"abc")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.pump.run_reader)
            await trio.testing.wait_all_tasks_blocked()
            assert s.events == [b"bye"]
            assert s.finishes == 1  # its owner hears that no more will come
            await s.pump.drained()  # and nobody waits for room any more
            s.link.change(room=10)
        assert s.link.read_count == 1
        assert s.ends == [None]

    run(story)


def test_who_has_finished_gets_only_so_long_for_its_last_bytes(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(b"bye", room=1))
        s.write(b"abcdefghij")
        start = trio.current_time()
        assert s.pump.read()
        assert s.ends == []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.pump.run_reader)
            for _ in range(4):  # a byte now and then buys no time
                await trio.sleep(1)
                s.link.change(room=1)
        assert trio.current_time() - start == _amounts.LAST_FLUSH
        assert isinstance(s.ends[0], trio.BrokenResourceError)

    run(story)


def test_a_finished_session_ends_when_its_last_bytes_have_left(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(b"bye", room=1))
        s.write(b"abc")
        s.pump.read()
        await trio.testing.wait_all_tasks_blocked()
        s.link.change(room=10)
        await trio.testing.wait_all_tasks_blocked()
        assert s.ends == [None]

        s = Story(ScriptedLink())
        s.session.finished = True
        s.write(b"abc")
        assert s.ends == [None]
        assert s.link.sent == [b"abc"]

    run(story)


def test_a_session_that_gives_up_on_a_stuck_peer_doesnt_wait_once_more(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(room=1))
        start = trio.current_time()
        s.write(b"abc")
        s.session.deadline = start + 2
        s.session.finish_on_expiry = True
        s.pump.arm()
        await trio.sleep(2)
        await trio.testing.wait_all_tasks_blocked()
        assert s.ends == [None]

    run(story)


# --- defects --------------------------------------------------------------------------------


def test_a_session_that_raises_ends_its_connection_and_nothing_else(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(b"x"))
        s.session.error = ValueError("a bug")
        assert s.pump.read()
        assert s.ends == [s.session.error]

        s = Story(ScriptedLink())
        s.session.error = ValueError("another bug")
        s.session.deadline = trio.current_time() + 1
        s.pump.arm()
        await trio.sleep(2)
        assert s.ends == [s.session.error]

        s = Story(ScriptedLink())
        s.session.deadline = trio.current_time() + 1
        s.pump.arm()
        s.session.next_deadline = lambda: 1 / 0  # type: ignore[method-assign]
        await trio.sleep(2)
        assert isinstance(s.ends[0], ZeroDivisionError)

    run(story)
    assert caplog.text.count("a connection failed") == 3
