"""Slow ends: a peer that doesn't read slows the sender down, a user that doesn't receive the peer.

What may lie in memory meanwhile: to be sent, ``high_water`` and one message; received, the
queue's bounds, one read of the pump's buffer, and one message in the making.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore.constants import Opcode
from wirecore.events import Ping
from wirecore.moving_rules import RECEIVE_BUFFER
from wirecore_trio.websocket import ConnectionClosed, Options, WebSocket

if TYPE_CHECKING:
    from tests.transports.conftest import OpenPair, OpenRaw, Run

MESSAGE = bytes(10_000)


class Sender:
    """Sends without end, and counts."""

    def __init__(self, ws: WebSocket) -> None:
        self.ws = ws
        self.sent = 0
        self.most = 0

    async def run(self) -> None:
        while True:
            await self.ws.send(MESSAGE)
            self.sent += 1
            self.most = max(self.most, self.ws._connection.outbox.pending)


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.02)


def test_a_peer_that_stops_reading_stops_the_sender(
    open_raw_socket: OpenRaw, run_sockets: Run
) -> None:
    async def story() -> None:
        ws, peer = open_raw_socket(options=Options(high_water=50_000, write_timeout=None))
        sender = Sender(ws)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender.run)
            await settle()
            stopped_at = sender.sent
            await settle()
            assert sender.sent == stopped_at
            # It goes on when the peer does, as often as that happens.
            for _ in range(3):
                for _ in range(30):
                    assert await peer.next() == MESSAGE
                await settle()
                assert sender.sent >= stopped_at + 20
                stopped_at = sender.sent
            assert sender.most <= 50_000 + len(MESSAGE) + 10
            nursery.cancel_scope.cancel()
        ws.abort()
        await peer.stream.aclose()

    run_sockets(story)


def test_many_senders_share_the_room(open_raw_socket: OpenRaw, run_sockets: Run) -> None:
    async def story() -> None:
        ws, peer = open_raw_socket(options=Options(high_water=50_000, write_timeout=None))
        senders = [Sender(ws) for _ in range(20)]
        async with trio.open_nursery() as nursery:
            for sender in senders:
                nursery.start_soon(sender.run)
            await settle()
            # The system's own buffers take what the first ones send: how much is its matter.
            for _ in range(50):
                for _ in range(100):
                    assert await peer.next() == MESSAGE
                await settle()
                if min(sender.sent for sender in senders) > 20:
                    break
            total = sum(sender.sent for sender in senders)
            assert min(sender.sent for sender in senders) > total / len(senders) / 10
            assert max(sender.most for sender in senders) <= 50_000 + len(MESSAGE) + 10
            nursery.cancel_scope.cancel()
        ws.abort()
        await peer.stream.aclose()

    run_sockets(story)


def test_one_message_of_any_size_goes(open_socket_pair: OpenPair, run_sockets: Run) -> None:
    async def story() -> None:
        client, server = open_socket_pair(client=Options(high_water=10))
        big = bytes(range(256)) * 20_000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, big)
            assert await server.receive() == big
        client.abort()
        server.abort()

    run_sockets(story)


def test_a_sender_on_its_own_gives_others_their_turn(
    open_socket_pair: OpenPair, run_sockets: Run
) -> None:
    """A send that needn't wait is no checkpoint; but who sends on and on must wait some time."""

    async def story() -> None:
        client, server = open_socket_pair(client=Options(high_water=100_000))
        count = 500
        received = 0

        async def receive() -> None:
            nonlocal received
            while received < count:
                await server.receive()
                received += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            for number in range(count):
                await client.send(MESSAGE)
                assert number - received < 60
        client.abort()
        server.abort()

    run_sockets(story)


def test_a_peer_that_takes_nothing_for_write_timeout_is_lost(
    open_raw_socket: OpenRaw, run_sockets: Run
) -> None:
    async def story() -> None:
        ws, peer = open_raw_socket(options=Options(write_timeout=15, ping_interval=None))
        sender = Sender(ws)
        start = trio.current_time()
        with pytest.raises(ConnectionClosed, match="1006") as caught:
            await sender.run()
        assert "took nothing of what was sent for 15 s" in str(caught.value.__cause__)
        assert trio.current_time() - start == pytest.approx(15)
        with pytest.raises(ConnectionClosed):
            await ws.receive()
        await peer.stream.aclose()

    run_sockets(story)


def test_a_peer_that_takes_a_little_is_not_lost(open_raw_socket: OpenRaw, run_sockets: Run) -> None:
    async def story() -> None:
        options = Options(write_timeout=15, ping_interval=None, high_water=1)
        ws, peer = open_raw_socket(options=options)
        await ws.send(bytes(3_000_000))
        for _ in range(20):
            await trio.sleep(10)
            size = 0
            while size < 100_000:
                size += len(await peer.stream.receive_some(100_000 - size))
            await settle()
        assert not ws.closed
        ws.abort()
        await peer.stream.aclose()

    run_sockets(story)


def test_a_user_that_doesnt_receive_slows_the_peer_down(
    open_socket_pair: OpenPair, run_sockets: Run
) -> None:
    async def story() -> None:
        options = Options(max_queue=100, max_queue_bytes=50_000, ping_interval=None)
        client, server = open_socket_pair(
            client=Options(high_water=20_000, write_timeout=None, ping_interval=None),
            server=options,
        )
        server._baton.attend()
        sender = Sender(client)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender.run)
            await trio.sleep(1)
            stopped_at = sender.sent
            await trio.sleep(1000)
            assert sender.sent == stopped_at
            assert not server.closed
            queued = sum(map(len, server._baton.queued))
            assert 50_000 <= queued <= 50_000 + RECEIVE_BUFFER
            assert server._connection._decoder.buffered <= len(MESSAGE) + 14
            # It receives again, and all goes on.
            for _ in range(200):
                assert await server.receive() == MESSAGE
            assert sender.sent > stopped_at
            nursery.cancel_scope.cancel()
        client.abort()
        server.abort()

    run_sockets(story)


def test_small_messages_are_bounded_by_their_number(
    open_socket_pair: OpenPair, run_sockets: Run
) -> None:
    async def story() -> None:
        client, server = open_socket_pair(
            client=Options(high_water=20_000, write_timeout=None, ping_interval=None),
            server=Options(max_queue=100, ping_interval=None),
        )
        server._baton.attend()

        async def flood() -> None:
            while True:
                await client.send(b"")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            await trio.sleep(10)
            queued = len(server._baton.queued)
            assert 100 <= queued <= 100 + RECEIVE_BUFFER // len(b"\x82\x80mask")
            nursery.cancel_scope.cancel()
        client.abort()
        server.abort()

    run_sockets(story)


def test_neither_ends_pings_nor_its_patience_suffer_from_a_full_queue(
    open_raw: OpenRaw, run: Run
) -> None:
    """Our pings go on, and the peer isn't to blame that its pongs can't be seen."""

    async def story() -> None:
        ws, peer = open_raw(options=Options(max_queue=1, ping_interval=10, ping_timeout=25))
        ws._baton.attend()
        await peer.message(b"x")
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(10):
            assert await peer.next() == Ping(b"")
        assert not ws.closed
        await peer.send(peer.frame(Opcode.PONG))
        assert await ws.receive() == b"x"
        with trio.move_on_after(20):
            await ws.receive()
        assert not ws.closed
        ws.abort()

    run(story)


def test_after_a_pause_a_dead_peer_is_found_in_time(open_raw: OpenRaw, run: Run) -> None:
    """Also where the next ping is due only later."""

    async def story() -> None:
        options = Options(max_queue=1, ping_interval=100, ping_timeout=101)
        ws, peer = open_raw(options=options)
        start = trio.current_time()
        ws._baton.attend()
        await trio.sleep(95)
        await peer.send(peer.frame(Opcode.PONG))
        await trio.sleep(95)  # 6 of the 101 seconds are left
        await peer.message(b"x")
        await trio.sleep(60)
        assert await ws.receive() == b"x"
        with pytest.raises(ConnectionClosed, match="no ping in time"):
            await ws.receive()
        assert trio.current_time() - start == pytest.approx(95 + 101 + 60)

    run(story)
