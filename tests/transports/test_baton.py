"""Who reads a connection: the receiver itself, a keeper where nobody receives, and never two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.constants import Opcode
from wirecore.events import Pong
from wirecore_trio._baton import _CREDIT, _ROUND, Baton
from wirecore_trio.websocket import ConnectionClosed, Options

if TYPE_CHECKING:
    from tests.transports.conftest import OpenPair, OpenRaw, RawPeer, Run
    from wirecore_trio.websocket import WebSocket

#: After this long a keeper has taken over from a receiver that left.
A_MOMENT = 3 * _ROUND


def baton_of(ws: WebSocket) -> Baton:
    return ws._baton


def keepers() -> int:
    root = trio.lowlevel.current_root_task()
    assert root is not None
    return sum(
        task.name == "wirecore keeper"
        for nursery in root.child_nurseries
        for task in nursery.child_tasks
    )


async def assert_answers(peer: RawPeer) -> None:
    await peer.send(peer.frame(Opcode.PING, b"there?"))
    assert await peer.next() == Pong(b"there?")


async def assert_silent(peer: RawPeer) -> None:
    await peer.send(peer.frame(Opcode.PING, b"there?"))
    with trio.move_on_after(10) as scope:
        await peer.next()
    assert scope.cancelled_caught


def test_a_receiver_reads_in_its_own_task(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                assert await ws.receive() == b"x"

            nursery.start_soon(receive)
            await trio.sleep(10)
            assert keepers() == 0
            await peer.message(b"x")
        ws.abort()

    run(story)


@pytest.mark.parametrize("leftover", [b"", b"\x81\x80mask"])
def test_who_never_receives_gets_a_keeper_too(open_raw: OpenRaw, run: Run, leftover: bytes) -> None:
    """A connection that is only sent over: its pings are answered, and its close is seen."""

    async def story() -> None:
        ws, peer = open_raw(leftover=leftover)
        await trio.sleep(A_MOMENT)
        assert keepers() == 1
        await assert_answers(peer)
        await ws.send(b"x")
        assert await peer.next() == b"x"
        await peer.close(1001)
        await trio.testing.wait_all_tasks_blocked()
        assert ws.closed
        with pytest.raises(ConnectionClosed, match="1001"):
            await ws.send(b"x")

    run(story)


def test_who_hasnt_received_for_a_moment_gets_a_keeper(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        await peer.message(b"1")
        assert await ws.receive() == b"1"
        await trio.sleep(A_MOMENT)
        assert keepers() == 1
        await assert_answers(peer)
        await peer.message(b"2")
        await peer.message(b"3")
        assert await ws.receive() == b"2"
        assert await ws.receive() == b"3"
        await trio.sleep(A_MOMENT)
        # It ends with the first message that a receiver waits for: the baton is its own again.
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def receive() -> None:
                    assert await ws.receive() == b"4"
                    assert await ws.receive() == b"5"
                    scope.cancel()

                nursery.start_soon(receive)
                await trio.testing.wait_all_tasks_blocked()
                assert keepers() == 1
                await peer.message(b"4")
                await trio.testing.wait_all_tasks_blocked()
                assert keepers() == 0
                await peer.message(b"5")
        ws.abort()

    run(story)


def test_a_receiver_that_comes_back_often_needs_no_keeper(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        for _ in range(50):
            await peer.message(b"x")
            assert await ws.receive() == b"x"
            await trio.sleep(_ROUND * 0.9)
            assert keepers() == 0
        ws.abort()

    run(story)


def test_one_round_serves_all_connections(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        pairs = [open_raw() for _ in range(10)]
        for ws, peer in pairs:
            await peer.message(b"x")
            await ws.receive()
        timers = ws._baton._rounds._clock._heap
        rounds = [timer for timer in timers if "_go_round" in repr(timer.callback)]
        assert len(rounds) == 1
        await trio.sleep(A_MOMENT)
        assert keepers() == 10
        for ws, _ in pairs:
            ws.abort()
        await trio.sleep(A_MOMENT)
        assert not [timer for timer in timers if "_go_round" in repr(timer.callback)]

    run(story)


def test_a_connection_that_ends_in_the_meantime_is_let_go(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        await peer.message(b"x")
        await ws.receive()
        ws.abort()
        await trio.sleep(A_MOMENT)
        assert baton_of(ws)._rounds._left == []
        assert keepers() == 0
        baton_of(ws).attend()
        assert keepers() == 0

    run(story)


def test_a_keeper_sees_the_close_and_messages_before_it_stay(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        await peer.message(b"first")
        assert await ws.receive() == b"first"
        await trio.sleep(A_MOMENT)
        await peer.message(b"second")
        await peer.close(1000)
        await ws.wait_closed()
        assert ws.closed
        assert [message async for message in ws] == [b"second"]

    run(story)


# --- a full queue ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [Options(max_queue=3), Options(max_queue_bytes=30)], ids=["messages", "bytes"]
)
def test_a_full_queue_stops_the_reading_and_an_emptier_one_starts_it_again(
    open_raw: OpenRaw, run: Run, options: Options
) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=options)
        await peer.message(b"first")
        await ws.receive()
        await trio.sleep(A_MOMENT)
        for number in range(3):
            await assert_answers(peer)
            await peer.message(b"%10d" % number)
            await trio.testing.wait_all_tasks_blocked()
        await assert_silent(peer)
        assert keepers() == 0
        assert len(baton_of(ws).queued) == 3
        assert await ws.receive() == b"%10d" % 0
        await trio.sleep(A_MOMENT)
        assert await peer.next() == Pong(b"there?")
        await assert_answers(peer)
        assert [await ws.receive(), await ws.receive()] == [b"%10d" % 1, b"%10d" % 2]
        await peer.message(b"last")
        assert await ws.receive() == b"last"
        ws.abort()

    run(story)


@pytest.mark.parametrize("many", [False, True])
def test_a_slow_receiver_with_a_full_queue_still_has_its_pings_answered(
    open_raw: OpenRaw, run: Run, many: bool
) -> None:
    """It comes often enough to be called a receiver, but takes from the queue only."""

    async def story() -> None:
        ws, peer = open_raw(options=Options(max_queue=100))
        await peer.message(b"first")
        await ws.receive()
        for _ in range(2 if many else 100):
            await peer.message(b"x")
        await trio.sleep(A_MOMENT)
        await trio.sleep(A_MOMENT)
        await peer.send(peer.frame(Opcode.PING, b"there?"))
        with trio.fail_after(1):
            async with trio.open_nursery() as nursery:

                async def consume() -> None:
                    while True:
                        await (ws.receive_many() if many else ws.receive())
                        await trio.sleep(_ROUND * 0.9)

                nursery.start_soon(consume)
                assert await peer.next() == Pong(b"there?")
                nursery.cancel_scope.cancel()
        ws.abort()

    run(story)


def test_all_of_a_full_queue_can_be_taken_at_once(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=Options(max_queue=2))
        await peer.message(b"first")
        await ws.receive()
        await trio.sleep(A_MOMENT)
        for number in range(4):
            await peer.message(b"%d" % number)
            await trio.testing.wait_all_tasks_blocked()
        assert await ws.receive_many() == [b"0", b"1"]
        await trio.sleep(A_MOMENT)
        assert await ws.receive_many() == [b"2", b"3"]
        ws.abort()

    run(story)


def test_the_pong_clock_stands_still_while_the_queue_is_full(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        options = Options(max_queue=1, ping_interval=10, ping_timeout=25)
        ws, peer = open_raw(options=options)
        await peer.message(b"1")
        assert await ws.receive() == b"1"
        await trio.sleep(A_MOMENT)
        await peer.message(b"2")
        await trio.sleep(300)  # the peer's pongs can't be seen, and it isn't to blame
        assert not ws.closed
        assert await ws.receive() == b"2"
        # From here on it has as much time as was left.
        with pytest.raises(ConnectionClosed, match="no ping in time"), trio.fail_after(26):
            await ws.receive()

    run(story)


# --- two at a time --------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("verb", ["receive", "receive_many", "__anext__"])
def test_one_task_may_wait_at_a_time(open_raw: OpenRaw, run: Run, verb: str, kept: bool) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        if kept:
            baton_of(ws).attend()

        async def first() -> None:
            assert await ws.receive() == b"x"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(first)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await getattr(ws, verb)()
            await peer.message(b"x")
        ws.abort()

    run(story)


def test_a_receiver_that_was_woken_and_one_that_was_quicker(open_raw: OpenRaw, run: Run) -> None:
    """Between the wake-up and the step of the one, the other takes what it was woken for."""

    async def story() -> None:
        ws, peer = open_raw()
        baton = baton_of(ws)
        baton.attend()
        got: list[Any] = []

        async def slow() -> None:
            got.append(await ws.receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(slow)
            await trio.testing.wait_all_tasks_blocked()
            baton.received([b"1"])
            assert await ws.receive() == b"1"
            await trio.testing.wait_all_tasks_blocked()
            assert got == []
            await peer.message(b"2")
        assert got == [b"2"]
        ws.abort()

    run(story)


@pytest.mark.parametrize("many", [False, True])
def test_what_is_taken_away_while_a_receiver_gives_others_their_turn(
    open_raw: OpenRaw, run: Run, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    async def taken_by_another(baton: Baton) -> None:
        await trio.lowlevel.checkpoint()
        baton._credit = _CREDIT
        baton.drop()

    async def story() -> None:
        ws, peer = open_raw()
        receive = ws.receive_many if many else ws.receive
        monkeypatch.setattr(Baton, "_pay", taken_by_another)
        baton_of(ws).received([b"x" for _ in range(2 * _CREDIT)])
        baton_of(ws)._credit = 1
        await peer.message(b"y")
        assert await receive() == ([b"y"] if many else b"y")
        baton_of(ws).received([b"x"])
        baton_of(ws)._credit = 1
        await peer.close()
        with pytest.raises(ConnectionClosed):
            await receive()

    run(story)


def test_a_cancelled_wait_for_the_keeper_loses_nothing(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        baton_of(ws).attend()
        with trio.move_on_after(1):
            await ws.receive()
        await peer.message(b"x")
        await trio.testing.wait_all_tasks_blocked()
        assert await ws.receive() == b"x"
        ws.abort()

    run(story)


def test_a_receiver_is_woken_by_the_end_that_a_keeper_sees(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw()
        baton_of(ws).attend()
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                with pytest.raises(ConnectionClosed, match="1001"):
                    await ws.receive()

            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            await peer.close(1001)

    run(story)


def test_a_flood_leaves_the_keepers_run_room_for_others(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()
        server._baton.attend()
        steps = 0
        for _ in range(1000):
            await client.send(b"x")
            steps += 1
            await trio.lowlevel.checkpoint()
        assert steps == 1000
        client.abort()
        server.abort()

    run(story)
