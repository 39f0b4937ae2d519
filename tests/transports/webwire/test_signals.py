"""Signals both ways, slow readers, and one signal to many."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.test_requests import SENDABLE
from tests.transports.webwire.world import OpenServer, lose_all, settle
from wirecore.constants import Opcode
from wirecore.events import Close
from wirecore_trio import webwire
from wirecore_trio.webwire import ClientOptions, Encoding, Payload
from wirecore_trio.webwire.stores import MemoryStore

MEGABYTE = 1 << 20


def test_signals_both_ways_in_every_encoding(open_server: OpenServer, run_sockets: Run) -> None:
    at_server: list[Payload] = []
    at_client: list[Payload] = []

    def prepare(server: webwire.Server) -> None:
        @server.signal("n")
        async def note(signal: webwire.Signal[Payload]) -> None:
            assert signal.value is signal.payload
            at_server.append(signal.payload)

    sendable = [each for each in SENDABLE if each[1] != Payload(b"", Encoding.UTF16)]
    expected = [payload for _, payload in sendable]

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:

            @client.on_signal("n")
            async def note(signal: webwire.ServerSignal[Payload]) -> None:
                assert signal.client is client
                at_client.append(signal.payload)

            for value, _ in sendable:
                await client.signal("n", value)
                await world.only().signal("n", value)
            await settle()
            assert at_server == expected
            assert at_client == expected

    run_sockets(main)


def test_a_signal_of_a_handler_goes_before_its_reply(
    open_server: OpenServer, run_sockets: Run
) -> None:
    def prepare(server: webwire.Server) -> None:
        @server.request()
        async def handle(request: webwire.Request[Payload]) -> str:
            await request.connection.signal("first", "x")
            return "then"

    async def main() -> None:
        async with open_server(prepare) as world, world.raw() as raw:
            await raw.request(1, "x")
            assert await raw.answer() == (64, 0, "first", b"x")
            assert await raw.answer() == (192, 1, "", b"then")

    run_sockets(main)


def test_more_signals_than_a_client_handles_stay_with_the_server(
    open_server: OpenServer, run_sockets: Run
) -> None:
    seen: list[int] = []
    gate = trio.Event()

    async def main() -> None:
        options = ClientOptions(max_queue=10)
        async with open_server(high_water=10_000) as world, world.connect(options) as client:

            @client.on_signal()
            async def slow(signal: webwire.ServerSignal[Payload]) -> None:
                await gate.wait()
                seen.append(int(signal.data[:5]))

            sent = 0
            connection = world.only()

            async def send() -> None:
                nonlocal sent
                for number in range(3000):
                    await connection.signal("", b"%05d" % number + bytes(6000))
                    sent += 1

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                await trio.sleep(1)
                assert sent < 2900
                gate.set()
            await settle()
            assert seen == list(range(3000))
            assert client.connections == 1

    run_sockets(main)


def test_a_handler_that_requests_has_its_reply_behind_more_signals_than_may_wait(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """The reader stops for signals that wait, and goes on for a reply that is due."""
    seen: list[int] = []

    def prepare(server: webwire.Server) -> None:
        @server.request("ask")
        async def ask(request: webwire.Request[Payload]) -> Payload:
            return request.payload

    async def main() -> None:
        options = ClientOptions(max_queue=2)
        async with open_server(prepare) as world, world.connect(options) as client:

            @client.on_signal()
            async def asking(signal: webwire.ServerSignal[Payload]) -> None:
                reply = await client.request("ask", signal.payload, timeout=5)
                seen.append(int(reply.data))

            for number in range(30):
                await world.only().signal("", b"%d" % number)
            await settle()
            assert seen == list(range(30))
            assert client.connections == 1

    run_sockets(main)


def test_a_server_that_signals_without_end_while_a_reply_is_due_is_dropped(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    lost = trio.Event()

    def prepare(server: webwire.Server) -> None:
        @server.request("flood")
        async def flood(request: webwire.Request[Payload]) -> None:
            while True:
                await request.connection.signal("", b"x")

    async def main() -> None:
        options = ClientOptions(max_queue=10)
        opened = open_server(prepare)
        async with opened as world, world.connect(options, autoconnect=False) as client:

            @client.on_signal()
            async def stuck(signal: webwire.ServerSignal[Payload]) -> None:
                await lost.wait()

            with pytest.raises(webwire.Disconnected):
                await client.request("flood")
            lost.set()

    run_sockets(main)
    assert "signals come faster than they are taken" in caplog.text


def test_a_flood_adds_no_more_than_the_bound_however_often_it_comes(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def prepare(server: webwire.Server) -> None:
        @server.on_client_connected
        async def flood(connection: webwire.Connection) -> None:
            for _ in range(20_000):
                await connection.signal("", b"x")

    async def main() -> None:
        async with open_server(prepare) as world:
            connecting = world.connect(ClientOptions(max_queue=4, request_timeout=None), wait=False)

            @connecting.on_signal()
            async def stuck(signal: webwire.ServerSignal[Payload]) -> None:
                await trio.sleep_forever()

            async with connecting as client:

                async def ask() -> None:
                    await client.request("x")

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ask)  # what is due keeps the reader going
                    await trio.sleep(300)
                    assert len(client._events._queue) <= 64
                    assert client.connections <= 1
                    nursery.cancel_scope.cancel()

    run_sockets(main)
    assert caplog.text.count("signals come faster than they are taken") <= 1


def test_a_server_that_makes_sessions_without_end_is_dropped(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    lost = trio.Event()

    def prepare(server: webwire.Server) -> None:
        @server.request("flood")
        async def flood(request: webwire.Request[Payload]) -> None:
            while True:
                await request.connection.create_session()
                await request.connection.close_session()

    async def main() -> None:
        async with open_server(prepare, store=MemoryStore()) as world:
            connecting = world.connect(ClientOptions(max_queue=10), autoconnect=False)

            @connecting.on_session_created
            async def stuck(session: webwire.Session) -> None:
                await lost.wait()

            async with connecting as client:
                with pytest.raises(webwire.Disconnected):
                    await client.request("flood")
                lost.set()

    run_sockets(main)
    assert "signals come faster than they are taken" in caplog.text


def test_signals_behind_a_restored_session_stop_the_reader_until_they_are_handled(
    open_server: OpenServer, run_sockets: Run
) -> None:
    seen: list[int] = []
    gate = trio.Event()

    def prepare(server: webwire.Server) -> None:
        @server.request("login")
        async def login(request: webwire.Request[Payload]) -> None:
            await request.connection.create_session()

    async def signal_without_end(connection: webwire.Connection) -> None:
        """They come while the session is restored, behind the reply, and later."""
        for number in range(3000):
            with suppress(webwire.Disconnected):
                await connection.signal("", b"%05d" % number + bytes(6000))

    async def main() -> None:
        async with (
            open_server(prepare, high_water=10_000, store=MemoryStore()) as world,
            trio.open_nursery() as nursery,
        ):

            @world.server.on_client_connected
            async def flood(connection: webwire.Connection) -> None:
                nursery.start_soon(signal_without_end, connection)

            connecting = world.connect(ClientOptions(max_queue=10, request_timeout=None))

            @connecting.on_signal()
            async def slow(signal: webwire.ServerSignal[Payload]) -> None:
                await gate.wait()
                seen.append(int(signal.data[:5]))

            async with connecting as client:
                await client.request("login")
                await lose_all(world)
                await trio.sleep(10)
                assert len(client._events._queue) <= 161
                gate.set()
                await trio.sleep(10)
                await settle()
                assert seen[-1] == 2999
                assert client.session is not None

    run_sockets(main)


# --- slow readers -------------------------------------------------------------------------------


async def fill(connection: webwire.Connection) -> int:
    """Signal until it waits; how often it didn't."""
    sent = 0
    while True:
        with trio.move_on_after(1) as scope:
            await connection.signal("", bytes(MEGABYTE))
        if scope.cancelled_caught:
            return sent
        sent += 1


def test_a_signal_waits_while_too_much_waits_to_be_sent(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        options = {"buffer_size": 2 * MEGABYTE, "write_timeout": None, "high_water": MEGABYTE}
        async with open_server(**options) as world, world.raw() as raw:
            connection = world.only()
            sent = await fill(connection)
            pending = connection._session_state.outbox.pending
            assert MEGABYTE < pending <= 2 * MEGABYTE + 100
            assert await fill(connection) == 0  # the cancelled one was never queued
            assert connection._session_state.outbox.pending == pending
            for _ in range(sent):
                await raw.answer()
            await connection.signal("last")
            assert (await raw.answer())[2] == "last"

    run_sockets(main)


def test_who_takes_nothing_for_too_long_is_lost(open_server: OpenServer, run_sockets: Run) -> None:
    reasons: list[Any] = []

    def prepare(server: webwire.Server) -> None:
        server.on_client_disconnected(lambda connection, reason: reasons.append(reason))

    async def main() -> None:
        async with (
            open_server(prepare, buffer_size=2 * MEGABYTE, write_timeout=5) as world,
            world.raw(),
        ):
            connection = world.only()

            async def signal_for_ever() -> None:
                while True:
                    await connection.signal("", bytes(MEGABYTE))

            with pytest.raises(webwire.Disconnected):
                await signal_for_ever()
            await settle()
            assert len(reasons) == 1
            assert reasons[0] is not None

    run_sockets(main)


def test_who_asks_and_doesnt_read_the_replies_is_cut(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def prepare(server: webwire.Server) -> None:
        server.request(inline=True)(lambda request: bytes(MEGABYTE))

    async def main() -> None:
        bounds = {"buffer_size": 2 * MEGABYTE, "max_queued_bytes": 4 * MEGABYTE}
        async with open_server(prepare, **bounds) as world, world.raw() as raw:
            connection = world.only()
            request = raw.frame(Opcode.BINARY, b"\x7f12345678\x01x")
            await raw.send(*[request] * 30)
            await settle()
            assert connection._ended

    run_sockets(main)
    assert "a peer that doesn't read is cut" in caplog.text


# --- one to many --------------------------------------------------------------------------------


def test_a_broadcast_is_encoded_once_and_leaves_out_who_is_slow_or_gone(
    open_server: OpenServer, run_sockets: Run
) -> None:
    options = {"buffer_size": 2 * MEGABYTE, "write_timeout": None}

    async def main() -> None:
        async with (
            open_server(**options) as world,
            world.raw() as slow,
            world.raw() as quick,
            world.raw() as gone,
            world.raw() as closing,
        ):
            everybody = [world.of(raw) for raw in (slow, quick, gone, closing)]
            at_slow, at_quick, at_gone, at_closing = everybody
            await fill(at_slow)
            await gone.lose()
            at_closing.close()
            await settle()
            left_out = await world.server.broadcast("n", "text", to=everybody)
            assert left_out == [at_slow, at_gone, at_closing]
            assert await quick.answer() == (64, 0, "n", b"text")
            assert at_slow.connected
            left_out = await world.server.broadcast("n", webwire.Json().encode([1]))
            assert set(left_out) == {at_slow, at_closing}
            assert await quick.answer() == (64, 0, "n", b"[1]")
            await world.server.broadcast("n", {"a": 1}, to=iter([at_quick]), codec=webwire.Json())
            assert await quick.answer() == (64, 0, "n", b'{"a":1}')
            assert await world.server.broadcast("n", to=[]) == []

    run_sockets(main)


def test_a_slow_member_of_a_room_is_dropped_alone(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"buffer_size": 2 * MEGABYTE, "write_timeout": None}

    async def main() -> None:
        async with open_server(**options) as world, world.raw() as slow:
            room = world.server.room("r")
            at_slow = world.only()
            async with world.raw() as quick:
                for connection in world.server.connections:
                    await room.join(connection)
                await fill(at_slow)
                await room.send("n", "text")
                assert await quick.answer() == (64, 0, "n", b"text")
                await settle()
                assert at_slow._ended
                assert at_slow not in room.members
                assert len(room.members) == 1
                received = await slow.rest()
                assert all(isinstance(item, bytes | Close) for item in received)

    run_sockets(main)
    assert "is too slow for the room 'r', and is dropped" in caplog.text
