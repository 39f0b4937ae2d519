"""A store that servers share is out of reach: clients and server stay of one mind."""

from __future__ import annotations

import gc
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.shared_store import Behind, FakeSharedStore
from tests.transports.webwire.world import OpenServer, settle
from wirecore.errors import LocalLimitExceeded
from wirecore.protocols.webwire import ServerSession
from wirecore_trio import webwire
from wirecore_trio.webwire.stores import StoreUnavailable


def add_handlers(server: webwire.Server) -> None:
    """What the clients of these stories request."""

    @server.request("login")
    async def login(request: webwire.Request[Any]) -> None:
        await request.connection.create_session({})

    @server.request("logout")
    async def logout(request: webwire.Request[Any]) -> None:
        await request.connection.close_session()

    @server.request("end")
    async def end(request: webwire.Request[Any]) -> None:
        session = request.connection.session
        assert session is not None
        for _, error in await server.close_session(session.key):
            if error is not None:
                raise error


WAYS_TO_CLOSE: dict[str, Callable[[webwire.Client], Awaitable[object]]] = {
    "by the client": lambda client: client.close_session(),
    "by its handler": lambda client: client.request("logout"),
    "by key": lambda client: client.request("end"),
}


@pytest.mark.parametrize("way", WAYS_TO_CLOSE)
def test_a_close_that_fails_changes_nothing_and_succeeds_when_the_store_is_back(
    open_server: OpenServer, run_sockets: Run, way: str
) -> None:
    close = WAYS_TO_CLOSE[way]

    async def story() -> None:
        behind = Behind()
        store = FakeSharedStore(behind)
        async with open_server(add_handlers, store=store) as world, world.connect() as client:
            await client.request("login")
            session = client.session
            assert session is not None
            broken = "close" if way == "by key" else "detach"
            store.broken[broken] = StoreUnavailable("out of reach")
            with pytest.raises(webwire.InternalError):
                await close(client)
            connection = world.only()
            assert client.session == connection.session == session
            assert world.server.session_connections(session.key) == [connection]
            behind.users.clear()  # a lease has ended meanwhile
            store.broken.clear()
            store.resumed()
            await settle()
            assert behind.users == {session.key: {connection.id}}
            await close(client)
            assert client.session is connection.session is None
            assert world.server.active_sessions == 0
            assert not await store.contains(session.key)
            assert behind.users == {}

    run_sockets(story)


def test_a_client_that_cant_be_told_keeps_no_session_alive(
    open_server: OpenServer, run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = LocalLimitExceeded("max_queued_bytes", 2, 1)

    async def story() -> None:
        store = FakeSharedStore(Behind())
        async with (
            open_server(add_handlers, store=store) as world,
            world.connect() as client,
            world.connect() as other,
        ):
            await client.request("login")
            session = client.session
            assert session is not None
            await other.restore_session(session.key)
            deaf, reading = world.server.session_connections(session.key)
            tell = ServerSession.session_closed

            def session_closed(state: ServerSession) -> None:
                if state is deaf._session_state:
                    raise full
                tell(state)

            monkeypatch.setattr(ServerSession, "session_closed", session_closed)
            results = await world.server.close_session(session.key)
            assert results == [(deaf, full), (reading, None)]
            assert deaf.session is reading.session is None
            assert not await store.contains(session.key)
            await settle()
            assert other.session is None

    run_sockets(story)


def test_rooms_are_forgotten_with_their_last_member_whatever_the_store_says(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "wirecore")  # what is kept of the log holds rooms, too
    ended = trio.Event()

    def prepare(server: webwire.Server) -> None:
        @server.request("join")
        async def join(request: webwire.Request[Any]) -> None:
            await server.room(request.payload.text).join(request.connection)

        @server.on_client_disconnected
        def left(connection: webwire.Connection, reason: Exception | None) -> None:
            ended.set()

    async def story() -> None:
        store = FakeSharedStore(Behind())
        async with open_server(prepare, store=store) as world:
            async with world.connect() as client:
                await client.request("join", "a")
                await world.server.room("nobody is here").send("lost", "words")
                store.broken["subscribe"] = StoreUnavailable("out of reach")
                with pytest.raises(webwire.InternalError):
                    await client.request("join", "b")
                store.broken["unsubscribe"] = StoreUnavailable("out of reach")
            await ended.wait()
            await settle()
            store.broken.clear()  # its errors hold what they have passed
            gc.collect()
            assert list(world.server._rooms) == []
            assert world.server._joined_rooms == {}

    run_sockets(story)
