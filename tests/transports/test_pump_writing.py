"""How the pump sends: at once, together with others, bit by bit, and who waits for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.transports.pump_story import ScriptedLink, Story
from wirecore import moving_rules
from wirecore.moving_rules import MAX_SEND
from wirecore_trio._company import Company

if TYPE_CHECKING:
    from tests.transports.conftest import Run


def test_the_first_write_of_a_pass_goes_at_once_and_the_rest_together(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(b"echo x"))
        s.write(b"1", b"2", b"3")
        assert s.link.sent == [b"1"]
        await trio.testing.wait_all_tasks_blocked()
        assert s.link.sent == [b"1", b"23"]
        s.write(b"4")
        assert s.link.sent[2:] == [b"4"]
        s.write(b"5")
        s.pump.read()  # its answer takes along what waits
        assert s.link.sent[3:] == [b"5x"]
        s.write(b"6")
        assert s.link.sent[4:] == [b"6"]
        await trio.testing.wait_all_tasks_blocked()
        s.pump.end(None)

    run(story)


def test_what_was_written_is_forgotten_when_the_connection_ends_first(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink())
        s.write(b"1", b"2")
        s.pump.end(None)
        s.write(b"3")
        s.pump.push()
        await trio.testing.wait_all_tasks_blocked()
        assert s.link.sent == [b"1"]

    run(story)


def test_a_full_link_gets_a_task_that_sees_to_the_rest(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(room=1))
        s.write(b"abc", b"def")
        await trio.testing.wait_all_tasks_blocked()
        s.link.change(room=2)
        await trio.testing.wait_all_tasks_blocked()
        s.write(b"ghi")
        assert s.link.sent == [b"a", b"bc"]
        s.link.change(room=math.inf)
        await trio.testing.wait_all_tasks_blocked()
        assert s.link.sent[2:] == [b"def", b"ghi"]
        s.write(b"jkl")
        await trio.testing.wait_all_tasks_blocked()
        assert s.link.sent[4:] == [b"jkl"]
        s.pump.end(None)

    run(story)


def test_one_connection_sends_no_more_in_a_row_than_leaves_others_their_turn(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink())
        piece = bytes(MAX_SEND)
        for _ in range(40):
            s.session.outbox.put(piece)
        s.pump.push()
        assert sum(map(len, s.link.sent)) == moving_rules.PUSH_BUDGET
        await trio.testing.wait_all_tasks_blocked()
        assert sum(map(len, s.link.sent)) == 40 * len(piece)
        s.pump.end(None)

    run(story)


def test_senders_wait_above_high_water_until_half_of_it_has_left(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(room=0), high_water=10)
        await s.pump.drained()
        s.write(b"x" * 11)
        through: list[int] = []

        async def send(number: int) -> None:
            await s.pump.drained()
            through.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, 1)
            nursery.start_soon(send, 2)
            await trio.testing.wait_all_tasks_blocked()
            s.link.change(room=4)
            await trio.testing.wait_all_tasks_blocked()
            assert through == []
            s.link.change(room=2)
        assert sorted(through) == [1, 2]
        s.pump.end(None)

    run(story)


def test_senders_go_on_one_by_one_and_only_while_there_is_room(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(room=0), high_water=10)
        s.write(b"x" * 11)
        through: list[int] = []

        async def send(number: int) -> None:
            await s.pump.drained()
            through.append(number)
            s.session.outbox.put(b"y" * 6)
            s.pump.write()

        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(send, number)
                await trio.testing.wait_all_tasks_blocked()
            s.link.change(room=11)
            await trio.testing.wait_all_tasks_blocked()
            assert sorted(through) == [0, 1]  # they have filled it up
            s.link.change(room=7)
            await trio.testing.wait_all_tasks_blocked()
            assert len(through) == 3
            s.link.change(room=math.inf)
        assert sorted(through) == [0, 1, 2, 3, 4, 5]
        s.pump.end(None)

    run(story)


def test_a_sender_that_is_woken_and_cancelled_leaves_its_turn_to_the_next(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(room=0), high_water=10)
        s.write(b"x" * 11)
        through: list[int] = []

        async def send(number: int, scope: trio.CancelScope) -> None:
            with scope:
                await s.pump.drained()
                await trio.lowlevel.checkpoint_if_cancelled()
                through.append(number)

        async with trio.open_nursery() as nursery:
            scopes = [trio.CancelScope() for _ in range(3)]
            for number, scope in enumerate(scopes):
                nursery.start_soon(send, number, scope)
                await trio.testing.wait_all_tasks_blocked()
            s.session.outbox.clear()
            s.pump._wake_parked()
            scopes[0].cancel()
        assert through == [1, 2]
        s.pump.end(None)

    run(story)


def test_senders_are_woken_where_the_flusher_sent_it_all(run: Run) -> None:
    """No writer task was needed, so none can wake them."""

    async def story() -> None:
        s = Story(ScriptedLink(), high_water=10)
        s.write(b"x", b"y" * 20)
        assert s.session.outbox.pending == 20
        await s.pump.drained()
        assert s.link.sent == [b"x", b"y" * 20]
        s.pump.end(None)

    run(story)


def test_the_end_wakes_who_waits_to_send(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(room=0), high_water=1)
        s.write(b"xyz")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.pump.drained)
            await trio.testing.wait_all_tasks_blocked()
            s.pump.end(None)

    run(story)


def test_what_is_written_while_a_read_is_handled_leaves_at_its_end(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(b"echo x"))
        s.react = lambda: s.write(b"1", b"2")
        s.pump.read()
        assert s.link.sent == [b"x12"]
        s.pump.end(None)

    run(story)


def test_where_a_read_will_be_answered_by_several_their_writes_leave_together(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(b"question", b"next"))
        s.react = s.pump.hold
        s.pump.read()
        s.write(b"1", b"2")
        assert s.link.sent == []
        await trio.testing.wait_all_tasks_blocked()
        assert s.link.sent == [b"12"]
        s.react = lambda: None  # it was only for what that read brought
        s.pump.read()
        s.write(b"3", b"4")
        assert s.link.sent == [b"12", b"3"]
        s.pump.end(None)

    run(story)


def test_many_messages_of_a_pass_do_not_all_wait_for_its_end(run: Run) -> None:
    """Its peer begins with the first ones while this end makes the others."""

    async def story() -> None:
        s = Story(ScriptedLink())
        together = b"x" * moving_rules.TOGETHER
        s.write(b"1", *[b"x"] * (2 * moving_rules.TOGETHER + 1))
        assert s.link.sent == [b"1", together, together]
        await trio.testing.wait_all_tasks_blocked()
        assert s.link.sent[3:] == [b"x"]
        s.pump.end(None)

    run(story)


def test_many_messages_of_a_read_do_not_all_wait_for_its_end(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink(b"echo x"))
        s.react = lambda: s.write(*[b"y"] * (moving_rules.TOGETHER + 1))
        s.pump.read()
        assert s.link.sent == [b"x" + b"y" * moving_rules.TOGETHER, b"y"]
        s.pump.end(None)

    run(story)


def test_a_peer_on_this_core_is_not_woken_before_the_end_of_a_pass(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sends_of(link: ScriptedLink, *, alone: bool) -> int:
        monkeypatch.setattr(Company, "is_alone", lambda _: alone)
        s = Story(link)
        s.pump.hold()
        s.write(*[b"x"] * (10 * moving_rules.TOGETHER))
        early = len(link.sent)
        await trio.testing.wait_all_tasks_blocked()
        s.pump.end(None)
        return early

    class SocketLink(ScriptedLink):
        """What isn't over a socket can't know."""

        def backlog(self) -> int:
            return 0

    async def story() -> None:
        assert await sends_of(SocketLink(), alone=True) == 10
        assert await sends_of(SocketLink(), alone=False) == 0
        assert await sends_of(ScriptedLink(), alone=False) == 10

    run(story)


def test_who_is_preempted_now_and_then_has_company() -> None:
    preempted = 100
    company = Company(lambda: preempted)
    for more, alone in ((2, True), (3, False), (100, False), (0, True)):
        preempted += more
        for _ in range(255):
            company.is_alone()
        assert company.is_alone() is alone
    unknown = Company(None)
    assert all(unknown.is_alone() for _ in range(1000))


def test_a_connection_that_is_lost_in_the_midst_of_a_pass(run: Run) -> None:
    async def story() -> None:
        s = Story(ScriptedLink())
        s.write(b"1", *[b"x"] * (moving_rules.TOGETHER - 1))
        s.link.send_error = trio.BrokenResourceError()
        s.write(b"x", b"nobody gets it")
        assert s.pump.ended
        await trio.testing.wait_all_tasks_blocked()
        assert s.link.sent == [b"1"]

    run(story)
