"""Floods starve nobody; who sends together leaves together, and each in its order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.constants import Opcode
from wirecore_trio._link import SocketLink
from wirecore_trio.websocket import ConnectionClosed, Options, WebSocket

if TYPE_CHECKING:
    from tests.transports.conftest import OpenPair, OpenRaw, RawPeer, Run

#: Steps that the others of a run may get between two of a task that wants its turn.
MANY = 40


class Others:
    """Another task of the run: counts its turns, and the steps of all tasks between two of them."""

    def __init__(self) -> None:
        self.turns = 0

    async def run(self) -> None:
        while True:
            self.turns += 1
            await trio.lowlevel.checkpoint()


class EndlessLink(SocketLink):
    """A socket that always has something to read."""

    flood = b""

    def try_recv_into(self, buffer: memoryview) -> int | None:
        size = min(len(self.flood), len(buffer))
        buffer[:size] = self.flood[:size]
        return size


def flooded(
    open_raw_socket: OpenRaw, frames: Callable[[RawPeer], bytes]
) -> tuple[WebSocket, RawPeer]:
    """A WebSocket that the kernel never makes wait."""
    ws, peer = open_raw_socket(options=Options(max_queue=1_000_000_000))
    link = EndlessLink(ws._pump.link.socket)
    link.flood = frames(peer)
    ws._pump.link = link
    return ws, peer


def small_messages(peer: RawPeer) -> bytes:
    return peer.frame(Opcode.BINARY, b"x") * 100


def pings(peer: RawPeer) -> bytes:
    return peer.frame(Opcode.PING, b"x")


def pongs(peer: RawPeer) -> bytes:
    return peer.frame(Opcode.PONG, b"nobody asked")


async def receive_on(ws: WebSocket) -> None:
    while True:
        await ws.receive()


async def receive_many_on(ws: WebSocket) -> None:
    while True:
        await ws.receive_many()


async def iterate(ws: WebSocket) -> None:
    async for _ in ws:
        pass


async def leave_it_to_the_keeper(ws: WebSocket) -> None:
    ws._baton.attend()
    await trio.sleep_forever()


Verb = Callable[[WebSocket], Awaitable[None]]


@pytest.mark.parametrize("verb", [receive_on, receive_many_on, iterate, leave_it_to_the_keeper])
@pytest.mark.parametrize("frames", [small_messages, pings, pongs])
def test_a_flood_starves_nobody(
    open_raw_socket: OpenRaw, run_sockets: Run, verb: Verb, frames: Callable[[RawPeer], bytes]
) -> None:
    async def story() -> None:
        ws, peer = flooded(open_raw_socket, frames)
        others = Others()
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(verb, ws)
                nursery.start_soon(others.run)
                for _ in range(MANY):
                    await trio.lowlevel.checkpoint()
                scope.cancel()  # and it can be cancelled
        assert others.turns >= MANY / 2
        ws.abort()
        await peer.stream.aclose()

    run_sockets(story)


def test_a_flood_doesnt_stop_a_close(open_raw_socket: OpenRaw, run_sockets: Run) -> None:
    async def story() -> None:
        ws, peer = flooded(open_raw_socket, small_messages)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ws.aclose)
                for _ in range(MANY):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        assert ws.closed
        await peer.stream.aclose()

    run_sockets(story)


def test_pings_without_reading_the_pongs_are_bounded(
    open_raw_socket: OpenRaw, run_sockets: Run
) -> None:
    """Else their answers would pile up."""

    async def story() -> None:
        ws, peer = flooded(open_raw_socket, lambda peer: peer.frame(Opcode.PING, bytes(125)) * 400)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive_on, ws)
            while not ws._connection.finished:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert ws._connection.outbox.pending < 4_000_000
        with pytest.raises(ConnectionClosed) as caught:
            await ws.send(b"x")
        assert "max_queued_pongs" in str(caught.value.__cause__)
        ws.abort()
        await peer.stream.aclose()

    run_sockets(story)


# --- many senders ---------------------------------------------------------------------------


def test_many_senders_leave_together_and_each_in_its_order(
    open_socket_pair: OpenPair, run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        client, server = open_socket_pair()
        sends = 0
        real = SocketLink.try_send

        def counted(link: SocketLink, data: Any) -> int:
            nonlocal sends
            sends += link is client._pump.link
            return real(link, data)

        monkeypatch.setattr(SocketLink, "try_send", counted)

        async def send(task: int) -> None:
            for number in range(10):
                await client.send(b"%d %d" % (task, number))
                await trio.lowlevel.checkpoint()

        got: list[tuple[int, int]] = []
        async with trio.open_nursery() as nursery:
            for task in range(100):
                nursery.start_soon(send, task)
            while len(got) < 1000:
                for message in await server.receive_many():
                    assert isinstance(message, bytes)
                    task, number = map(int, message.split())
                    got.append((task, number))
        for task in range(100):
            assert [number for t, number in got if t == task] == list(range(10))
        assert sends < 100  # a few for each pass of the loop, not one for each message
        client.abort()
        server.abort()

    run_sockets(story)


def test_an_answer_takes_what_waits_along(
    open_socket_pair: OpenPair, run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of requests in one read is answered in few sends."""

    async def story() -> None:
        client, server = open_socket_pair()
        count = 50
        async with trio.open_nursery() as nursery:

            async def echo() -> None:
                for _ in range(count):
                    await server.send(await server.receive())

            for number in range(count):
                await client.send(b"%d" % number)
            nursery.start_soon(echo)
            got: list[Any] = []
            reads = 0
            while len(got) < count:
                got += await client.receive_many()
                reads += 1
        assert got == [b"%d" % number for number in range(count)]
        assert reads < 10
        client.abort()
        server.abort()

    run_sockets(story)


def test_controls_overtake_data(open_raw_socket: OpenRaw, run_sockets: Run) -> None:
    """A long message goes in fragments, and a pong between two of them."""

    async def story() -> None:
        ws, peer = open_raw_socket(options=Options(fragment_size=1000, high_water=10_000_000))
        ws._baton.attend()
        await ws.send(bytes(1_000_000))
        await peer.send(peer.frame(Opcode.PING, b"urgent"))
        await trio.testing.wait_all_tasks_blocked(0.02)
        first = await peer.next()
        assert getattr(first, "payload", None) == b"urgent"
        assert await peer.next() == bytes(1_000_000)
        ws.abort()
        await peer.stream.aclose()

    run_sockets(story)


def test_ten_thousand_round_trips_leave_no_timer_behind(open_pair: OpenPair, run: Run) -> None:
    async def story() -> None:
        client, server = open_pair()
        heap = client._pump._clock._heap

        async def echo() -> None:
            async for message in server:
                await server.send(message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo)
            sizes = []
            for number in range(2000):
                await client.send(b"x")
                await client.receive()
                if number % 500 == 100:
                    sizes.append(len(heap))
            assert len(set(sizes)) == 1
            assert sizes[0] < 10
            nursery.cancel_scope.cancel()
        client.abort()
        server.abort()

    run(story)
