"""What is done with a session while its connection goes, or asks for another: all agree."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.logins import login
from tests.transports.webwire.shared_store import Behind, FakeSharedStore
from tests.transports.webwire.test_session_ends import SlowDetach, begun, logged_in
from tests.transports.webwire.world import OpenServer, settle
from wirecore_trio import webwire
from wirecore_trio.webwire.stores import MemoryStore


def test_who_has_gone_while_its_session_is_looked_up_isnt_counted(
    open_server: OpenServer, run_sockets: Run
) -> None:
    found, go = trio.Event(), trio.Event()
    behind = Behind()

    def prepare(server: webwire.Server) -> None:
        login()(server)

        @server.on_session_lookup
        async def look_up(key: str) -> webwire.Session | None:
            found.set()
            with trio.CancelScope(shield=True):
                await go.wait()
            return await behind.sessions.look_up(key, datetime.now(UTC))

    async def main() -> None:
        async with open_server(prepare, store=FakeSharedStore(behind)) as world:
            async with world.connect() as client:
                key = await logged_in(client)
            async with world.raw() as raw:
                connection = world.only()
                await raw.restore(1, key)
                await found.wait()
                world.nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await trio.sleep(20)  # the end was told, as the look-up took too long
                    go.set()
                    await world.server.wait_closed()
                    assert connection.session is None
                    assert world.server.active_sessions == 0
                    assert behind.users == {}

    run_sockets(main)


def test_a_look_up_that_finds_another_key_or_too_much_is_the_programs_fault(
    open_server: OpenServer, run_sockets: Run
) -> None:
    now = datetime.now(UTC)
    odd = {
        "another": webwire.Session("not this one", now, now, {}),
        "large": webwire.Session("large", now, now, {"much": "x" * 9000}),
        "no json": webwire.Session("no json", now, now, {"what": object()}),
    }

    def prepare(server: webwire.Server) -> None:
        server.on_session_lookup(odd.get)

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            for key in odd:
                with pytest.raises(webwire.InternalError):
                    await client.restore_session(key)
                assert world.only().session is None
                assert world.server.active_sessions == 0

    run_sockets(main)


def test_a_guests_session_made_when_the_users_ends_is_the_last_that_the_client_hears_of(
    open_server: OpenServer, run_sockets: Run
) -> None:
    def prepare(server: webwire.Server) -> None:
        login()(server)

        @server.on_session_closed
        async def closed(key: str) -> None:
            for connection in server.connections:
                if connection.session is None:
                    await connection.create_session({"user": "guest"})

    async def main() -> None:
        async with open_server(prepare, store=MemoryStore()) as world, world.connect() as client:
            await logged_in(client)
            await client.close_session()
            await settle()
            assert client.session is not None
            assert client.session == world.only().session

    run_sockets(main)


@pytest.mark.parametrize("way", ["cancelled", "timed out"])
def test_a_client_that_waits_no_longer_for_its_session_is_of_its_servers_mind(
    open_server: OpenServer, run_sockets: Run, way: str
) -> None:
    store = MemoryStore()

    def prepare(server: webwire.Server) -> None:
        login()(server)

        @server.on_session_lookup
        async def look_up(key: str) -> webwire.Session | None:
            await trio.sleep(2)
            return await store.look_up(key, datetime.now(UTC))

    async def main() -> None:
        options = webwire.ClientOptions(request_timeout=60 if way == "cancelled" else 1)
        async with open_server(prepare, store=store) as world:
            async with world.connect() as first:
                key = await logged_in(first)
            async with world.connect(options) as client:
                with trio.move_on_after(1), suppress(webwire.DeadlineExceeded):
                    await client.restore_session(key)
                await trio.sleep(10)
                has_it = client.session is not None
                assert has_it == (way == "cancelled")
                assert (world.only().session is not None) == has_it
                await client.close_session()
                assert world.only().session is None
                await client.request("login", "bob")

    run_sockets(main)


def test_who_closes_its_session_while_it_restores_another_has_the_other_one(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        behind = Behind()
        store = SlowDetach(behind)
        async with (
            open_server(login(), store=store, concurrency=2) as world,
            world.connect() as client,
            trio.open_nursery() as nursery,
        ):
            async with world.connect() as other:
                key = await logged_in(other)
            await settle()
            await logged_in(client)
            connection = world.only()
            store.slow = trio.Event()
            nursery.start_soon(connection.close_session)
            await settle()
            answers: list[Any] = []
            restore = world.server._sessions.restore
            nursery.start_soon(restore, connection, key.encode(), answers.append)
            await settle()
            store.slow.set()
            await settle()
            assert isinstance(answers[0], webwire.Payload)
            assert connection.session is not None
            assert connection.session.key == key
            assert world.server.session_connections(key) == [connection]
        await settle()
        assert world.server.active_sessions == 0
        assert behind.users == {}

    run_sockets(main)


class FindsSlowly(FakeSharedStore):
    """Who looks a session up waits for *found* where it is set."""

    found: trio.Event | None = None

    async def look_up(self, key: str, now: datetime) -> webwire.Session | None:
        if self.found is not None:
            await self.found.wait()
        return await super().look_up(key, now)


def test_who_is_cancelled_when_its_session_is_found_isnt_counted(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        behind = Behind()
        store = FindsSlowly(behind)
        async with open_server(login(), store=store) as world:
            async with world.connect() as client:
                key = await logged_in(client)
            await settle()
            sessions = world.server._sessions
            async with world.raw(), trio.open_nursery() as nursery:
                connection = world.only()
                store.found = trio.Event()
                cancel = begun(nursery, sessions.restore, connection, key.encode(), lambda _: None)
                await settle()
                assert sessions.registry.keys == [key]  # it is counted, and looks for the session
                async with sessions._only(key):
                    store.found.set()
                    await settle()  # that is found, and it waits for its turn
                    cancel()
                    await settle()
            assert sessions.registry.keys == []
            assert behind.users == {}

    run_sockets(main)
