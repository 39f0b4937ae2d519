"""The end of a session, however it meets what else happens: all agree on it afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.logins import login
from tests.transports.webwire.shared_store import Behind, FakeSharedStore
from tests.transports.webwire.test_session_failures import SlowStore
from tests.transports.webwire.world import OpenServer, settle
from wirecore.errors import InvalidState
from wirecore_trio import webwire
from wirecore_trio.webwire.stores import MemoryStore

BROKEN = OSError("the disk is full")


async def logged_in(client: webwire.Client) -> str:
    """Have a session made: its key."""
    await client.request("login", "alice")
    assert client.session is not None
    return client.session.key


def begun(
    nursery: trio.Nursery, function: Callable[..., Awaitable[object]], *arguments: object
) -> Callable[[], None]:
    """Call *function* in a task: what cancels it."""
    scope = trio.CancelScope()

    async def run() -> None:
        with scope:
            await function(*arguments)

    nursery.start_soon(run)
    return scope.cancel


def test_a_close_whose_task_is_cancelled_is_gone_through_with(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        store = SlowStore()
        store.gates["close"] = trio.Event()
        async with open_server(login(), store=store) as world, world.connect() as client:
            key = await logged_in(client)
            async with trio.open_nursery() as nursery:
                cancel = begun(nursery, world.server.close_session, key)
                await settle()
                cancel()
                await settle()
                assert client.session is not None  # not told before nobody can restore it
                store.gates["close"].set()
            await settle()
            assert client.session is None
            assert world.server.active_sessions == len(store) == 0
            with pytest.raises(webwire.SessionNotFound):
                await client.restore_session(key)

    run_sockets(main)


def test_a_close_that_the_store_fails_at_is_told_and_can_be_tried_again(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        store = SlowStore()
        store.broken["close"] = BROKEN
        async with (
            open_server(login(), store=store) as world,
            world.connect() as client,
            world.connect() as other,
        ):
            key = await logged_in(client)
            await other.restore_session(key)
            results = await world.server.close_session(key)
            assert [error for _, error in results] == [BROKEN, BROKEN]
            assert {connection for connection, _ in results} == set(world.server.connections)
            assert client.session is not None
            store.broken.clear()
            results = await world.server.close_session(key)
            assert [error for _, error in results] == [None, None]
            await settle()
            assert client.session is other.session is None

    run_sockets(main)


def test_a_store_that_never_answers_holds_no_close_for_ever(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        store = SlowStore()
        store.gates["close"] = trio.Event()
        async with open_server(login(), store=store) as world, world.connect() as client:
            key = await logged_in(client)
            [(_, error)] = await world.server.close_session(key)
            assert isinstance(error, TimeoutError)
            assert client.session is not None

    run_sockets(main)


def test_a_session_in_its_keys_place_is_told(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_server(login(), store=MemoryStore()) as world, world.connect() as client:
            await logged_in(client)
            session: Any = client.session
            with pytest.raises(TypeError, match=r"key must be str, not Session: session\.key"):
                await world.server.close_session(session)

    run_sockets(main)


def test_what_nobody_uses_can_be_forgotten_too(open_server: OpenServer, run_sockets: Run) -> None:
    events: list[Any] = []

    async def main() -> None:
        store = MemoryStore()
        async with open_server(login(events), store=store) as world:
            async with world.connect() as client:
                key = await logged_in(client)
            await settle()
            assert await world.server.close_session(key) == []
            assert len(store) == 1
            events.clear()
            assert await world.server.close_session(key, stored=True) == []
            assert len(store) == 0
            assert events == [("closed", key)]

    run_sockets(main)


def test_hooks_may_close_the_session_they_are_told_of(
    open_server: OpenServer, run_sockets: Run
) -> None:
    def prepare(server: webwire.Server) -> None:
        login()(server)

        @server.on_session_lookup
        async def look_up(key: str) -> webwire.Session | None:
            await server.close_session(key)
            return None

        @server.on_session_closed
        async def closed(key: str) -> None:
            await server.close_session(key, stored=key in again)
            again.clear()

    again: set[str] = set()

    async def main() -> None:
        async with (
            open_server(prepare, store=MemoryStore()) as world,
            world.connect() as client,
            world.connect() as other,
        ):
            key = await logged_in(client)
            again.add(key)
            with pytest.raises(webwire.SessionNotFound):
                await other.restore_session(key)
            await settle()
            assert client.session is None
            assert world.server.active_sessions == 0

    run_sockets(main)


def test_who_restores_a_session_that_is_closed_meanwhile_doesnt_get_it(
    open_server: OpenServer, run_sockets: Run
) -> None:
    found, go = trio.Event(), trio.Event()

    def prepare(server: webwire.Server) -> None:
        login()(server)

        @server.on_session_lookup
        async def look_up(key: str) -> webwire.Session | None:
            [connection] = server.session_connections(key)[:1]
            session = connection.session
            found.set()
            await go.wait()
            return session

    async def main() -> None:
        async with (
            open_server(prepare, store=MemoryStore()) as world,
            world.connect() as client,
            world.connect() as other,
            trio.open_nursery() as nursery,
        ):
            key = await logged_in(client)

            async def restore() -> None:
                with pytest.raises(webwire.SessionNotFound):
                    await other.restore_session(key)

            nursery.start_soon(restore)
            await found.wait()
            assert len(await world.server.close_session(key)) == 2
            go.set()
            await settle()
            assert client.session is other.session is None
            assert world.server.active_sessions == 0

    run_sockets(main)


def test_who_moves_to_another_session_while_the_old_one_is_closed_has_the_new_one(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        behind = Behind()
        store = SlowDetach(behind)
        async with (
            open_server(login(), store=store) as world,
            world.connect() as client,
            world.raw() as raw,
            trio.open_nursery() as nursery,
        ):
            old = await logged_in(client)
            await raw.restore(1, old)
            assert (await raw.answer())[:2] == (192, 1)
            async with world.connect() as third:
                new = await logged_in(third)
                store.slow = trio.Event()
                nursery.start_soon(world.server.close_session, old)
                await settle()
                await raw.restore(2, new)
                await settle()
                assert (await raw.answer())[0] == 22
                store.slow.set()
                assert (await raw.answer())[:2] == (192, 2)
                await raw.nothing_comes()
                session = world.of(raw).session
                assert session is not None
                assert session.key == new
                assert client.session is None
                assert set(behind.users) == {new}

    run_sockets(main)


class SlowDetach(FakeSharedStore):
    """Who leaves a session waits for *slow* where it is set."""

    slow: trio.Event | None = None

    async def detach(self, key: str, connection: str, *, forget: bool = False) -> int:
        """Leave."""
        if self.slow is not None:
            await self.slow.wait()
        return await super().detach(key, connection, forget=forget)


@pytest.mark.parametrize("steps", range(8))
def test_a_last_close_here_and_a_restore_there_agree(
    open_server: OpenServer, run_sockets: Run, steps: int
) -> None:
    async def main() -> None:
        behind = Behind()
        async with (
            open_server(login(), store=FakeSharedStore(behind)) as here,
            open_server(login(), store=FakeSharedStore(behind)) as there,
            here.connect() as client,
            there.raw() as other,
        ):
            key = await logged_in(client)
            connection = here.only()
            answers: list[Any] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.close_session)
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                await there.server._sessions.restore(there.of(other), key.encode(), answers.append)
            has_it = isinstance(answers[0], webwire.Payload)
            assert (there.of(other).session is not None) == has_it
            assert (key in behind.sessions._sessions) == has_it
            assert (key in behind.users) == has_it
            assert connection.session is None

    run_sockets(main)


def test_a_session_whose_maker_is_cancelled_is_kept_by_nobody(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        store = SlowStore()
        store.gates["create"] = trio.Event()
        async with open_server(store=store) as world, world.raw():
            connection = world.only()
            async with trio.open_nursery() as nursery:
                cancel = begun(nursery, connection.create_session)
                await settle()
                cancel()
                await settle()
                store.gates["create"].set()
            assert len(store) == 0
            assert connection.session is None
            assert world.server.active_sessions == 0

    run_sockets(main)


def test_a_maker_who_is_cancelled_removes_nobody_elses_session(
    open_server: OpenServer, run_sockets: Run
) -> None:
    def prepare(server: webwire.Server) -> None:
        server.generate_session_key(lambda: "the same")

    async def main() -> None:
        store = SlowStore()
        async with open_server(prepare, store=store) as world:
            async with world.raw():
                await world.only().create_session({"of": "the first"})
            await settle()
            store.gates["create"] = trio.Event()
            async with world.raw():

                async def create() -> None:
                    with pytest.raises(InvalidState):  # the same key
                        await world.only().create_session()

                async with trio.open_nursery() as nursery:
                    cancel = begun(nursery, create)
                    await settle()
                    cancel()
                    await settle()
                    store.gates["create"].set()
                assert store._sessions["the same"].info == b'{"of":"the first"}'

    run_sockets(main)


# --- a store that hangs ---------------------------------------------------------------------------


class Hanging(FakeSharedStore):
    """Methods in *hangs* never return."""

    hangs: frozenset[str] = frozenset()

    async def _do(self, method: str) -> None:
        if method in self.hangs:
            await trio.sleep_forever()
        await super()._do(method)


@pytest.mark.parametrize("method", ["attach", "detach", "close", "publish", "unsubscribe"])
def test_a_store_that_hangs_keeps_nobody_for_ever(
    open_server: OpenServer, run_sockets: Run, method: str
) -> None:
    told: list[webwire.Connection] = []

    def prepare(server: webwire.Server) -> None:
        login()(server)
        server.on_client_disconnected(lambda connection, reason: told.append(connection))

        @server.on_client_connected
        async def join(connection: webwire.Connection) -> None:
            await server.room("all").join(connection)

    async def main() -> None:
        store = Hanging(Behind())
        async with open_server(prepare, store=store) as world:
            async with (
                world.connect() as client,
                world.connect(autoconnect=False) as other,
                world.connect(autoconnect=False) as third,
            ):
                key = await logged_in(client)
                await other.restore_session(key)
                store.hangs = frozenset({method})
                with trio.fail_after(30), suppress(webwire.InternalError):
                    await third.restore_session(key)
                with trio.move_on_after(30) as waited, suppress(TimeoutError):
                    await world.server.close_session("unused", stored=method != "detach")
                assert not waited.cancelled_caught
            with trio.fail_after(30):
                for connection in world.server.connections:
                    await connection.wait_closed()
                await world.server.shutdown(grace=1)
            assert world.server.active_sessions == 0
            assert not world.server.room("all").members

    run_sockets(main)
    assert len(told) == 3


def test_a_close_of_many_leaves_none_behind_whom_the_store_keeps_waiting(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        store = Hanging(Behind())
        async with open_server(login(), store=store) as world, world.connect() as client:
            key = await logged_in(client)
            async with AsyncExitStack() as stack:
                for _ in range(5):
                    other = await stack.enter_async_context(world.connect())
                    await other.restore_session(key)
                store.hangs = frozenset({"detach"})
                results = await world.server.close_session(key)
                assert [error for _, error in results] == [None] * 6
                assert world.server.active_sessions == 0
                await settle()
                assert client.session is None

    run_sockets(main)
