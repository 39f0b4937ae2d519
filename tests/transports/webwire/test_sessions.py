"""Sessions: given by the server, restored by the client, closed by either, for several at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.transports.conftest import Run
from tests.transports.webwire.logins import Events, logged_in, login
from tests.transports.webwire.world import OpenServer, settle
from wirecore.errors import InvalidState
from wirecore.protocols.webwire.stored import parse_time
from wirecore_trio import webwire
from wirecore_trio.webwire.stores import MemoryStore

NOTE_CREATED, NOTE_CLOSED = 21, 22
NOT_FOUND, TOO_MANY, DISABLED = 3, 4, 5


def test_a_session_is_told_before_the_reply_and_the_hook_comes_between(
    open_server: OpenServer, run_sockets: Run
) -> None:
    events: Events = []

    async def main() -> None:
        store = MemoryStore()
        async with open_server(login(events), store=store) as world, world.raw() as raw:
            await raw.request(1, "login", b"alice")
            kind, _, _, data = await raw.answer()
            assert kind == NOTE_CREATED
            told = json.loads(data)
            assert list(told) == ["k", "c", "l", "i"]
            assert told["i"] == {"user": "alice"}
            assert len(told["k"]) == 64
            kind, request_id, _, key = await raw.answer()
            assert (kind, request_id, key.decode()) == (192, 1, told["k"])
            assert events == [("created", "alice", True), "in the handler"]
            [connection] = world.server.session_connections(told["k"])
            assert connection is world.only()
            assert world.server.active_sessions == 1
            kept = await store.look_up(told["k"], datetime.now(UTC))
            assert kept == connection.session

    run_sockets(main)


def test_a_client_learns_of_its_session_and_of_its_end(
    open_server: OpenServer, run_sockets: Run
) -> None:
    events: Events = []

    async def main() -> None:
        async with (
            open_server(login(), store=MemoryStore()) as world,
            world.connect() as client,
        ):
            client.on_session_created(lambda session: events.append(session.info))
            client.on_session_closed(lambda: events.append("closed"))
            key = (await client.request("login", "alice")).text
            assert client.session is not None
            assert client.session.key == key
            assert client.session == world.only().session
            await settle()
            assert events == [{"user": "alice"}]
            await client.request("logout")
            assert client.session is None
            await settle()
            assert events == [{"user": "alice"}, "closed"]
            await client.request("logout")  # nothing to close is fine

    run_sockets(main)


def test_a_session_without_info_has_none(open_server: OpenServer, run_sockets: Run) -> None:
    def prepare(server: webwire.Server) -> None:
        @server.on_client_connected
        async def greet(connection: webwire.Connection) -> None:
            await connection.create_session()

    async def main() -> None:
        async with open_server(prepare, store=MemoryStore()) as world, world.raw() as raw:
            kind, _, _, data = await raw.answer()
            assert kind == NOTE_CREATED
            assert list(json.loads(data)) == ["k", "c", "l"]
            async with world.connect() as client:
                await settle()
                assert client.session is not None
                assert client.session.info == {}

    run_sockets(main)


# --- restoring ----------------------------------------------------------------------------------


def test_a_session_is_restored_by_its_key_in_utf8_without_a_notification(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with (
            open_server(login(), store=MemoryStore()) as world,
            world.raw() as raw,
        ):
            await raw.request(1, "login", b"alice")
            created = json.loads((await raw.answer())[3])
            await raw.answer()
            async with world.raw() as other:
                lookups = [parse_time(created["l"])]
                for request_id in (7, 8):
                    await other.restore(request_id, created["k"])
                    kind, answered, _, data = await other.answer()
                    assert (kind, answered) == (192, request_id)
                    restored = json.loads(data)
                    assert {**restored, "l": created["l"]} == created
                    lookups.append(parse_time(restored["l"]))
                assert lookups[0] == lookups[1] < lookups[2]  # each the one before
                await other.nothing_comes()
                await raw.nothing_comes()
                assert len(world.server.session_connections(created["k"])) == 2
                assert world.server.active_sessions == 1

    run_sockets(main)


def test_restoring_on_a_client(open_server: OpenServer, run_sockets: Run) -> None:
    events: Events = []

    async def main() -> None:
        async with (
            open_server(login(), store=MemoryStore()) as world,
            world.connect() as first,
            world.connect() as second,
        ):
            key = (await first.request("login", "alice")).text
            second.on_session_created(lambda session: events.append(session.info))
            restored = await second.restore_session(key)
            assert restored.info == {"user": "alice"}
            assert second.session is restored
            await settle()
            assert events == [{"user": "alice"}]
            assert (await second.request("who")).text == "alice"
            with pytest.raises(InvalidState, match="close it first"):
                await second.restore_session(key)
            await second.close_session()
            assert second.session is None
            assert (await second.request("who")).text == "nobody"
            assert (await first.request("who")).text == "alice"
            await second.close_session()
            for unknown in ("nonsense", "../x", "\0", "k" * 5000, "zwölf"):
                with pytest.raises(webwire.SessionNotFound):
                    await second.restore_session(unknown)
            assert events == [{"user": "alice"}]
            assert second.session is None

    run_sockets(main)


def test_a_connection_that_has_a_session_gives_it_up_for_another(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """The original leaves the old one registered."""

    async def main() -> None:
        async with (
            open_server(login(), store=MemoryStore()) as world,
            world.raw() as raw,
            world.connect() as client,
        ):
            await raw.request(1, "login", b"alice")
            old = json.loads((await raw.answer())[3])["k"]
            await raw.answer()
            new = (await client.request("login", "bob")).text
            await raw.restore(2, new)
            assert (await raw.answer())[:2] == (192, 2)
            assert world.server.session_connections(old) == []
            assert len(world.server.session_connections(new)) == 2
            assert world.server.active_sessions == 1
            await raw.restore(3, old)  # it wasn't destroyed
            assert (await raw.answer())[:2] == (192, 3)

    run_sockets(main)


def test_no_more_connections_than_the_limit(open_server: OpenServer, run_sockets: Run) -> None:
    looked_up: list[str] = []

    def prepare(server: webwire.Server) -> None:
        login()(server)

        @server.on_session_lookup
        async def look_up(key: str) -> webwire.Session | None:
            looked_up.append(key)
            now = datetime.now(UTC)
            return webwire.Session(key, now, now, {"user": "any"})

    async def main() -> None:
        async with (
            open_server(prepare, max_session_connections=2) as world,
            world.connect() as one,
            world.raw() as two,
            world.connect() as three,
        ):
            key = (await one.request("login", "alice")).text
            await two.restore(1, key)
            assert (await two.answer())[0] == 192
            with pytest.raises(webwire.MaxSessionConnectionsReached):
                await three.restore_session(key)
            assert looked_up == [key]  # the limit comes before the look-up
            await two.restore(2, key)  # who has it already takes no place
            assert (await two.answer())[0] == 192
            await two.lose()
            await settle()
            await three.restore_session(key)
            assert len(world.server.session_connections(key)) == 2

    run_sockets(main)


def test_disabled_sessions(open_server: OpenServer, run_sockets: Run) -> None:
    events: Events = []

    def prepare(server: webwire.Server) -> None:
        login(events)(server)

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            with pytest.raises(webwire.SessionsDisabled):
                await client.restore_session("key")
            with pytest.raises(webwire.InternalError):
                await client.request("login", "alice")
            connection = world.only()
            for use in (
                connection.create_session,
                connection.close_session,
                lambda: world.server.close_session("key"),
            ):
                with pytest.raises(InvalidState, match="sessions are disabled"):
                    await use()
            async with world.raw() as raw:
                await raw.close_session(4)
                assert (await raw.answer())[:2] == (DISABLED, 4)
                await raw.restore(5, "key")
                assert (await raw.answer())[:2] == (DISABLED, 5)
        assert events == []

    run_sockets(main)


# --- closing ------------------------------------------------------------------------------------


def test_a_client_closes_its_session_without_a_notification(
    open_server: OpenServer, run_sockets: Run
) -> None:
    events: Events = []

    async def main() -> None:
        store = MemoryStore()
        async with (
            open_server(login(events), store=store) as world,
            world.raw() as one,
            world.raw() as two,
        ):
            await one.close_session(9)
            assert await one.answer() == (191, 9, "", b"")  # there is none
            key = await logged_in(one)
            await two.restore(1, key)
            await two.answer()
            events.clear()
            await one.close_session(2)
            assert await one.answer() == (191, 2, "", b"")
            await one.nothing_comes()
            await two.nothing_comes()
            assert len(world.server.session_connections(key)) == 1
            assert (events, len(store)) == ([], 1)
            await two.close_session(3)  # it was the last
            assert await two.answer() == (191, 3, "", b"")
            assert (events, len(store)) == ([("closed", key)], 0)
            assert world.server.active_sessions == 0
            await two.restore(4, key)
            assert (await two.answer())[:2] == (NOT_FOUND, 4)

    run_sockets(main)


def test_a_connection_closes_its_session_and_tells_its_client_alone(
    open_server: OpenServer, run_sockets: Run
) -> None:
    events: Events = []

    async def main() -> None:
        store = MemoryStore()
        async with (
            open_server(login(events), store=store) as world,
            world.raw() as one,
            world.raw() as two,
        ):
            key = await logged_in(one)
            await two.restore(1, key)
            await two.answer()
            events.clear()
            first, second = world.server.session_connections(key)
            await first.close_session()
            assert await one.answer() == (NOTE_CLOSED, 0, "", b"")
            await two.nothing_comes()
            assert (events, len(store)) == ([], 1)
            await second.close_session()
            assert await two.answer() == (NOTE_CLOSED, 0, "", b"")
            assert (events, len(store)) == ([("closed", key)], 0)
            await second.close_session()
            await two.nothing_comes()

    run_sockets(main)


def test_a_server_closes_a_session_everywhere(open_server: OpenServer, run_sockets: Run) -> None:
    events: Events = []

    async def main() -> None:
        store = MemoryStore()
        async with (
            open_server(login(events), store=store) as world,
            world.raw() as one,
            world.raw() as two,
            world.raw() as other,
        ):
            key = await logged_in(one)
            await two.restore(1, key)
            await two.answer()
            await logged_in(other, b"bob")
            events.clear()
            users = world.server.session_connections(key)
            assert await world.server.close_session(key) == [(each, None) for each in users]
            for raw in (one, two):
                assert await raw.answer() == (NOTE_CLOSED, 0, "", b"")
            assert [each.session for each in users] == [None, None]
            assert events == [("closed", key)]
            assert len(store) == 1
            assert world.server.active_sessions == 1
            assert await world.server.close_session(key) == []
            assert await world.server.close_session("never there") == []
            assert events == [("closed", key)]
            await other.nothing_comes()

    run_sockets(main)


def test_a_session_that_nobody_is_connected_with_stays(
    open_server: OpenServer, run_sockets: Run
) -> None:
    events: Events = []

    async def main() -> None:
        async with open_server(login(events), store=MemoryStore()) as world:
            async with world.raw() as raw:
                key = await logged_in(raw)
                await raw.lose()
            await settle()
            assert world.server.active_sessions == 0
            assert world.server.session_connections(key) == []
            assert await world.server.close_session(key) == []
            async with world.connect() as client:
                assert (await client.restore_session(key)).info == {"user": "alice"}
            assert ("closed", key) not in events

    run_sockets(main)
