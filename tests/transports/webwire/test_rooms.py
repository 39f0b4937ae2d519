"""Rooms, on one server and on two that share a store; sessions of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.logins import logged_in, login
from tests.transports.webwire.shared_store import Behind, FakeSharedStore
from tests.transports.webwire.world import OpenServer, World, settle
from wirecore._backend import Backend
from wirecore_trio import webwire
from wirecore_trio.webwire.stores import SessionStore, SharedStore

NOTE_CLOSED = (22, 0, "", b"")
TEXT = (64, 0, "n", b"text")


@asynccontextmanager
async def two_servers(
    open_server: OpenServer, **options: int
) -> AsyncIterator[tuple[World, World, Behind]]:
    """Two servers of one store."""
    behind = Behind()
    async with (
        open_server(login(), store=FakeSharedStore(behind), **options) as one,
        open_server(login(), store=FakeSharedStore(behind), **options) as two,
    ):
        yield one, two, behind


def test_the_fake_is_a_shared_store() -> None:
    assert isinstance(FakeSharedStore(Behind()), SharedStore)
    assert isinstance(FakeSharedStore(Behind()), SessionStore)


def test_members_get_what_is_sent_in_its_order(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_server() as world, world.raw() as one:
            first = world.only()
            async with world.raw() as two, world.raw() as stranger:
                second = world.of(two)
                lobby = world.server.room("lobby")
                assert lobby.members == []
                await lobby.send("n", "nobody hears it")
                await lobby.join(first)
                await lobby.join(first)
                await world.server.room("lobby").join(second)
                assert lobby.members == [first, second]
                assert lobby == world.server.room("lobby") != world.server.room("other")
                assert repr(lobby) == "<webwire.Room 'lobby' of 2>"
                for number in range(5):
                    await lobby.send("n", str(number))
                await lobby.send("json", [1], codec=webwire.Json())
                for raw in (one, two):
                    got = [(await raw.answer())[3] for _ in range(6)]
                    assert got == [b"0", b"1", b"2", b"3", b"4", b"[1]"]
                await lobby.leave(second)
                await lobby.leave(second)
                await lobby.send("n", "text")
                assert await one.answer() == TEXT
                await two.nothing_comes()
                await stranger.nothing_comes()
                first.close()
                with pytest.raises(webwire.Disconnected, match="can't join"):
                    await lobby.join(first)
            await one.closing()
            await settle()
            assert lobby.members == []

    run_sockets(main)


def test_a_room_is_the_same_for_all_whoever_left_in_between(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with open_server() as world, world.raw() as raw:
            kept = world.server.room("lobby")
            connection = world.only()
            await kept.join(connection)
            await kept.leave(connection)
            await world.server.room("lobby").join(connection)
            await kept.send("n", "text")
            assert await raw.answer() == TEXT
            assert kept.members == [connection]

    run_sockets(main)


def test_what_is_no_connection_is_told(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_server() as world, world.raw():
            wrong: Any = "a request"
            with pytest.raises(TypeError, match=r"a Connection is needed, not str: request\.conn"):
                await world.server.room("all").join(wrong)
            with pytest.raises(TypeError, match="a Connection is needed"):
                await world.server.broadcast("x", to=[wrong])
            one: Any = world.only()
            with pytest.raises(TypeError, match="to must be some connections, not Connection"):
                await world.server.broadcast("x", to=one)

    run_sockets(main)


def test_rooms_that_nobody_is_in_take_no_memory(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        for store in (None, FakeSharedStore(Behind())):
            async with open_server(store=store) as world, world.raw() as raw:
                for number in range(10):
                    room = world.server.room(f"room {number}")
                    await room.send("n", "text")
                    await room.leave(world.only())
                    await room.join(world.only())
                await raw.lose()
                await settle()
                assert world.server._rooms == {}
                assert world.server._joined_rooms == {}
                if store is not None:
                    assert store.topics == {"sessions closed"}

    run_sockets(main)


# --- two servers --------------------------------------------------------------------------------


def test_a_room_spans_the_servers_of_a_store(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with (
            two_servers(open_server) as (here, there, behind),
            here.raw() as one,
            there.raw() as two,
            there.raw() as stranger,
        ):
            await here.server.room("r").join(here.only())
            await there.server.room("r").join(there.of(two))
            assert there.server.room("r").members == [there.of(two)]
            for number in range(5):
                await (here, there)[number % 2].server.room("r").send("n", str(number))
            for raw in (one, two):
                assert [(await raw.answer())[3] for _ in range(5)] == [b"%d" % n for n in range(5)]
            await stranger.nothing_comes()
            await two.lose()
            await settle()
            assert [len(store.topics) for store in behind.stores] == [2, 1]
            await there.server.room("r").send("n", "text")  # from where nobody is in it
            assert await one.answer() == TEXT

    run_sockets(main)


def test_a_session_that_is_closed_is_so_on_all_servers(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with (
            two_servers(open_server) as (here, there, behind),
            here.raw() as one,
            there.raw() as two,
        ):
            key = await logged_in(one)
            await two.restore(1, key)
            assert (await two.answer())[:2] == (192, 1)
            closed = await here.server.close_session(key)
            assert [(each.connected, error) for each, error in closed] == [(True, None)]
            assert await one.answer() == NOTE_CLOSED
            assert await two.answer() == NOTE_CLOSED
            await settle()
            assert behind.users == {}
            assert len(behind.sessions) == 0
            assert here.server.active_sessions == there.server.active_sessions == 0

    run_sockets(main)


def test_a_session_is_closed_from_where_nobody_uses_it(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with (
            two_servers(open_server) as (here, there, behind),
            here.raw() as one,
        ):
            key = await logged_in(one)
            assert await there.server.close_session(key) == []
            assert await one.answer() == NOTE_CLOSED
            await settle()
            assert len(behind.sessions) == 0
            key = await logged_in(one)
            await one.lose()
            await settle()
            assert await there.server.close_session(key) == []
            assert len(behind.sessions) == 1  # nobody is connected with it: it stays

    run_sockets(main)


def test_the_last_connection_on_any_server_ends_the_session(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with (
            two_servers(open_server, max_session_connections=2) as (here, there, behind),
            here.raw() as one,
            there.raw() as two,
            there.raw() as three,
        ):
            key = await logged_in(one)
            await two.restore(1, key)
            await two.answer()
            await three.restore(2, key)
            assert (await three.answer())[:2] == (4, 2)  # as many as may, on both
            await one.close_session(3)
            await one.answer()
            assert len(behind.sessions) == 1
            await two.close_session(4)
            await two.answer()
            assert len(behind.sessions) == 0
            assert behind.users == {}

    run_sockets(main)


def test_what_was_missed_is_made_up_for_when_the_store_is_back(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with (
            two_servers(open_server) as (here, there, behind),
            here.raw() as one,
            there.raw() as two,
        ):
            key = await logged_in(one)
            other = await logged_in(two, b"bob")
            await two.restore(1, key)
            await two.answer()
            store = behind.stores[1]
            store.topics.clear()  # out of reach
            await here.server.close_session(key)
            assert await one.answer() == NOTE_CLOSED
            await two.nothing_comes()
            store.resumed()
            assert await two.answer() == NOTE_CLOSED
            await settle()
            assert await behind.sessions.look_up(other, datetime.now(UTC)) is not None
            assert behind.users == {}

    run_sockets(main)


def test_a_shared_store_is_heard_as_long_as_the_server_has_an_address(
    backend: Backend, run_sockets: Run
) -> None:
    heard = trio.Event()

    async def serve_for_a_while(
        server: webwire.Server,
        task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(server.serve, "127.0.0.1", 0)
                task_status.started(scope)

    async def main() -> None:
        server = webwire.Server(store=FakeSharedStore(Behind()), backend=backend)
        async with trio.open_nursery() as nursery:
            first = await nursery.start(serve_for_a_while, server)
            second = await nursery.start(server.serve, "127.0.0.1", 0)
            first.cancel()
            await settle()
            async with webwire.connect(f"ws://127.0.0.1:{second.port}/") as client:

                @client.on_signal("n")
                async def hear(signal: webwire.ServerSignal[webwire.Payload]) -> None:
                    heard.set()

                room = server.room("r")
                await room.join(server.connections[0])
                await room.send("n", "text")
                with trio.fail_after(5):
                    await heard.wait()
            await server.shutdown()

    run_sockets(main)


# --- a store that fails -------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError("gone"), trio.BrokenResourceError("gone")])
def test_errors_of_the_store_come_out_and_leave_nothing_behind(
    open_server: OpenServer, run_sockets: Run, error: Exception
) -> None:
    async def main() -> None:
        store = FakeSharedStore(Behind())
        async with open_server(store=store) as world, world.raw() as raw:
            room = world.server.room("r")
            for method in ("subscribe", "unsubscribe", "publish"):
                store.broken[method] = error
            with pytest.raises(type(error), match="gone"):
                await room.join(world.only())
            assert (room.members, world.server._rooms) == ([], {})
            with pytest.raises(type(error), match="gone"):
                await room.send("n", "text")
            del store.broken["subscribe"]
            await room.join(world.only())
            with pytest.raises(type(error), match="gone"):
                await room.leave(world.only())
            assert room.members == []
            await raw.nothing_comes()

    run_sockets(main)


def test_who_joins_while_another_join_is_undone_hears_what_is_sent(
    open_server: OpenServer, run_sockets: Run
) -> None:
    class Slow(FakeSharedStore):
        """Its methods wait for what is in *gates*."""

        def __init__(self, behind: Behind) -> None:
            super().__init__(behind)
            self.gates: dict[str, trio.Event] = {}

        async def _do(self, method: str) -> None:
            if method in self.gates:
                await self.gates[method].wait()
            await super()._do(method)

    async def main() -> None:
        store = Slow(Behind())
        async with (
            open_server(store=store) as world,
            world.raw() as lost,
            world.raw() as raw,
            trio.open_nursery() as nursery,
        ):
            room = world.server.room("x")
            scope = trio.CancelScope()

            async def join() -> None:
                with scope:
                    await room.join(world.of(lost))

            store.gates = {"subscribe": trio.Event(), "unsubscribe": trio.Event()}
            nursery.start_soon(join)
            await settle()
            await lost.lose()
            await trio.sleep(10)  # longer than it is waited for when a member is gone
            scope.cancel()
            await settle()
            del store.gates["subscribe"]
            nursery.start_soon(room.join, world.of(raw))
            await settle()
            store.gates["unsubscribe"].set()
            await settle()
            await room.send("s", b"hello")
            assert await raw.answer() == (63, 0, "s", b"hello")

    run_sockets(main)
