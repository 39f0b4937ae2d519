"""Pings: the round trip, many at once, and the heartbeat that finds a dead peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore.constants import Opcode
from wirecore.errors import LocalLimitExceeded
from wirecore.events import Ping, Pong
from wirecore_trio.websocket import AlreadyClosed, ConnectionClosed, Options, WebSocket

if TYPE_CHECKING:
    from tests.transports.conftest import OpenPair, OpenRaw, RawPeer, Run

QUIET = Options(ping_interval=None)


async def ping_into(ws: WebSocket, times: list[float]) -> None:
    times.append(await ws.ping())


async def pong(peer: RawPeer, ping: Ping) -> None:
    await peer.send(peer.frame(Opcode.PONG, ping.payload))


def test_the_round_trip_is_measured(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=QUIET)
        times: list[float] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ping_into, ws, times)
            ping = await peer.next()
            await trio.sleep(3)
            await pong(peer, ping)
        assert times == [3]
        ws.abort()

    run(story)


@pytest.mark.parametrize("receiving", [False, True])
def test_the_other_end_answers_also_while_nobody_receives(
    open_pair: OpenPair, run: Run, receiving: bool
) -> None:
    async def story() -> None:
        client, server = open_pair(client=QUIET, server=QUIET)
        server._baton.attend()
        async with trio.open_nursery() as nursery:
            if receiving:
                nursery.start_soon(client.receive)
            await trio.testing.wait_all_tasks_blocked()
            assert await client.ping() == 0
            nursery.cancel_scope.cancel()
        client.abort()
        server.abort()

    run(story)


def test_many_may_wait_and_a_pong_answers_those_before_it(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=QUIET)
        times: list[float] = []
        async with trio.open_nursery() as nursery:
            pings = []
            for _ in range(3):
                nursery.start_soon(ping_into, ws, times)
                pings.append(await peer.next())
                await trio.sleep(1)
            assert len({ping.payload for ping in pings}) == 3
            await peer.send(peer.frame(Opcode.PONG, b"nobody asked for it"))
            await pong(peer, pings[1])  # RFC 6455 section 5.5.3: the latest one is enough
            await trio.testing.wait_all_tasks_blocked()
            assert sorted(times) == [2, 3]
            await trio.sleep(1)
            await pong(peer, pings[2])
        assert times[2:] == [2]
        ws.abort()

    run(story)


def test_a_cancelled_ping_is_forgotten(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=QUIET)
        with trio.move_on_after(1) as scope:
            await ws.ping()
        assert scope.cancelled_caught
        await pong(peer, await peer.next())
        await peer.message(b"x")
        assert await ws.receive() == b"x"
        ws.abort()

    run(story)


def test_pings_without_an_answer_are_bounded(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, _ = open_raw(options=QUIET)
        async with trio.open_nursery() as nursery:
            for _ in range(1024):
                nursery.start_soon(ws.ping)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(LocalLimitExceeded, match="max_pending_pings is 1024"):
                await ws.ping()
            nursery.cancel_scope.cancel()
        ws.abort()

    run(story)


def test_a_ping_over_a_connection_that_ends_or_has_ended(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=QUIET)

        async def lose() -> None:
            with pytest.raises(ConnectionClosed, match="1001"):
                await ws.ping()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose)
            nursery.start_soon(lose)
            await trio.testing.wait_all_tasks_blocked()
            await peer.close(1001)
        with pytest.raises(ConnectionClosed, match="1001"):
            await ws.ping()

        ws, peer = open_raw(options=QUIET)
        ws.abort()
        with pytest.raises(AlreadyClosed):
            await ws.ping()

    run(story)


# --- the heartbeat --------------------------------------------------------------------------

BEAT = Options(ping_interval=10, ping_timeout=25)


def test_a_ping_every_interval_and_an_end_without_pongs(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=BEAT)
        start = trio.current_time()
        ends: list[float] = []

        async def receive() -> None:
            with pytest.raises(ConnectionClosed, match="no ping in time") as caught:
                await ws.receive()
            assert isinstance(caught.value, trio.BrokenResourceError)
            assert (caught.value.code, caught.value.clean) == (1006, False)
            ends.append(trio.current_time() - start)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            for beat in range(1, 6):
                assert await peer.next() == Ping(b"")
                assert trio.current_time() - start == 10 * beat
                if beat <= 3:
                    await pong(peer, Ping(b""))
        # The last pong was at 30.
        assert ends == [55]
        assert ws.closed
        assert await peer.next() is None

    run(story)


@pytest.mark.parametrize("who", ["sender", "ping", "wait_closed", "nobody"])
def test_whoever_waits_hears_of_a_dead_peer(
    open_raw_socket: OpenRaw, run_sockets: Run, who: str
) -> None:
    async def story() -> None:
        ws, peer = open_raw_socket(options=BEAT)

        async def send_on() -> None:
            while True:
                await ws.send(bytes(100_000))

        if who in ("sender", "ping"):
            with pytest.raises(ConnectionClosed, match="no ping in time"):
                await (send_on() if who == "sender" else ws.ping())
        elif who == "wait_closed":
            await ws.wait_closed()
        else:
            await trio.sleep(26)
        assert ws.closed
        with pytest.raises(ConnectionClosed, match="no ping in time"):
            await ws.send(b"x")
        await peer.stream.aclose()

    run_sockets(story)


def test_without_an_interval_nothing_is_pinged_and_nobody_is_dead(
    open_raw: OpenRaw, run: Run
) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=Options(ping_interval=None))  # the timeout is the default
        with trio.move_on_after(10_000) as scope:
            await ws.receive()
        assert scope.cancelled_caught
        await ws.send(b"x")
        assert await peer.next() == b"x"
        ws.abort()

    run(story)


def test_without_a_timeout_pings_go_on_for_ever(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=Options(ping_interval=10, ping_timeout=None))
        with trio.move_on_after(1005):
            await ws.receive()
        assert not ws.closed
        pings = 0
        with trio.move_on_after(1):
            while await peer.next() == Ping(b""):
                pings += 1
        assert pings == 100
        ws.abort()

    run(story)


def test_data_and_the_peers_own_pings_are_no_pongs(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=BEAT)

        async def chatter() -> None:
            while True:
                await peer.send(peer.frame(Opcode.PING, b"mine"))
                await peer.message(b"x")
                await trio.sleep(1)

        async def receive_on() -> None:
            while True:
                await ws.receive()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(chatter)
            with pytest.raises(ConnectionClosed, match="no ping in time"):
                await receive_on()
            nursery.cancel_scope.cancel()

    run(story)


def test_pings_of_the_peer_are_answered_at_once(open_raw: OpenRaw, run: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw(options=QUIET)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.receive)
            for payload in (b"", b"x" * 125):
                await peer.send(peer.frame(Opcode.PING, payload))
                assert await peer.next() == Pong(payload)
            # Also between the fragments of a message.
            await peer.send(
                peer.frame(Opcode.BINARY, b"a", fin=False),
                peer.frame(Opcode.PING, b"in between"),
            )
            assert await peer.next() == Pong(b"in between")
            nursery.cancel_scope.cancel()
        ws.abort()

    run(story)
