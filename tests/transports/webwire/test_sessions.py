"""Sessions: given by the server, restored by the client, closed by either, for several at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.transports.conftest import Run
from tests.transports.webwire.test_reconnecting import lose_all
from tests.transports.webwire.world import OpenServer, Raw, conf_message, scripted, settle
from wirecore._backend import Backend
from wirecore.errors import InvalidState
from wirecore_trio import websocket, webwire
from wirecore_trio.webwire import Payload
from wirecore_trio.webwire.stores import MemoryStore

NOTE_CREATED, NOTE_CLOSED = 21, 22
NOT_FOUND, TOO_MANY, DISABLED = 3, 4, 5

Events = list[Any]


def login(events: Events | None = None) -> Callable[[webwire.Server], None]:
    """Handlers that create and close sessions, and hooks that note what happens to them."""
    seen: Events = [] if events is None else events

    def prepare(server: webwire.Server) -> None:
        @server.request("login")
        async def login(request: webwire.Request[Payload]) -> str:
            session = await request.connection.create_session({"user": request.text})
            assert request.connection.session is session
            seen.append("in the handler")
            return session.key

        @server.request("logout")
        async def logout(request: webwire.Request[Payload]) -> None:
            await request.connection.close_session()
            assert request.connection.session is None

        @server.request("who")
        async def who(request: webwire.Request[Payload]) -> str:
            session = request.connection.session
            return "nobody" if session is None else session.info["user"]

        @server.on_session_created
        async def created(connection: webwire.Connection, session: webwire.Session) -> None:
            seen.append(("created", session.info["user"], connection.session is session))

        @server.on_session_closed
        async def closed(key: str) -> None:
            seen.append(("closed", key))

    return prepare


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
        async with open_server(login(), store=MemoryStore()) as world:
            async with world.connect() as client:
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
        async with open_server(login(), store=MemoryStore()) as world, world.raw() as raw:
            await raw.request(1, "login", b"alice")
            created = json.loads((await raw.answer())[3])
            await raw.answer()
            async with world.raw() as other:
                lookups = [created["l"]]
                for request_id in (7, 8):
                    await other.restore(request_id, created["k"])
                    kind, answered, _, data = await other.answer()
                    assert (kind, answered) == (192, request_id)
                    restored = json.loads(data)
                    assert {**restored, "l": created["l"]} == created
                    lookups.append(restored["l"])
                assert lookups[0] == lookups[1] < lookups[2]  # each the one before
                await other.nothing_comes()
                await raw.nothing_comes()
                assert len(world.server.session_connections(created["k"])) == 2
                assert world.server.active_sessions == 1

    run_sockets(main)


def test_restoring_on_a_client(open_server: OpenServer, run_sockets: Run) -> None:
    events: Events = []

    async def main() -> None:
        async with open_server(login(), store=MemoryStore()) as world:
            async with world.connect() as first, world.connect() as second:
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
        async with open_server(login(), store=MemoryStore()) as world:
            async with world.raw() as raw, world.connect() as client:
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
        async with open_server(prepare, max_session_connections=2) as world:
            async with world.connect() as one, world.raw() as two, world.connect() as three:
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


async def logged_in(raw: Raw, user: bytes = b"alice") -> str:
    """Create a session: its key."""
    await raw.request(1, "login", user)
    key: str = json.loads((await raw.answer())[3])["k"]
    await raw.answer()
    return key


def test_a_client_closes_its_session_without_a_notification(
    open_server: OpenServer, run_sockets: Run
) -> None:
    events: Events = []

    async def main() -> None:
        store = MemoryStore()
        async with open_server(login(events), store=store) as world:
            async with world.raw() as one, world.raw() as two:
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
        async with open_server(login(events), store=store) as world:
            async with world.raw() as one, world.raw() as two:
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
        async with open_server(login(events), store=store) as world:
            async with world.raw() as one, world.raw() as two, world.raw() as other:
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


# --- over connections -----------------------------------------------------------------------------


def test_a_client_restores_its_session_before_anything_else(
    open_server: OpenServer, run_sockets: Run
) -> None:
    events: Events = []

    async def main() -> None:
        async with open_server(login(), store=MemoryStore(), concurrency=-1) as world:
            async with world.connect() as client:
                client.on_session_created(lambda session: events.append(session.info["user"]))
                client.on_session_closed(lambda: events.append("closed"))
                await client.request("login", "alice")
                for _ in range(3):
                    await lose_all(world)
                    assert client.session is not None  # it is kept
                    assert (await client.request("who")).text == "alice"
                await client.close()
                assert client.session is not None
                await client.connect()
                assert (await client.request("who")).text == "alice"
                assert events == ["alice"] * 5

    run_sockets(main)


def test_a_session_that_is_gone_is_forgotten_and_the_client_connected_nevertheless(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    events: Events = []

    async def main() -> None:
        store = MemoryStore()
        async with open_server(login(), store=store) as world, world.connect() as client:
            client.on_session_closed(lambda: events.append("closed"))
            key = (await client.request("login", "alice")).text
            await lose_all(world)
            await store.close(key)
            assert (await client.request("who")).text == "nobody"
            assert client.session is None
            await settle()
            assert events == []

    run_sockets(main)
    assert "the session is lost" in caplog.text


def test_a_session_closed_without_a_connection_is_forgotten_here_only(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        store = MemoryStore()
        async with open_server(login(), store=store) as world, world.connect() as client:
            await client.request("login", "alice")
            await lose_all(world)
            await client.close_session()
            assert client.session is None
            assert (await client.request("who")).text == "nobody"
            assert len(store) == 1

    run_sockets(main)


def test_what_says_nothing_of_the_session_lets_it_be_restored_later(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """An internal error of the look-up, say: the next connection tries again."""
    fails = [True, True]

    def prepare(server: webwire.Server) -> None:
        login()(server)

        @server.on_session_lookup
        async def look_up(key: str) -> webwire.Session:
            if fails:
                fails.pop()
                raise OSError("out of reach")
            now = datetime.now(UTC)
            return webwire.Session(key, now, now, {"user": "alice"})

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            await client.request("login", "alice")
            await lose_all(world)
            assert (await client.request("who")).text == "alice"
            assert fails == []

    run_sockets(main)


def test_a_client_without_autoconnect_restores_when_it_connects(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with open_server(login(), store=MemoryStore()) as world:
            async with world.connect(autoconnect=False) as client:
                await client.request("login", "alice")
                await lose_all(world)
                await client.connect()
                assert (await client.request("who")).text == "alice"

    run_sockets(main)


SESSION = b'{"k":"%s","c":"2020-01-01T00:00:00Z","l":"2020-01-01T00:00:00Z"}'


def test_replies_and_notifications_of_sessions_count_in_the_order_in_which_they_come(
    backend: Backend, run_sockets: Run
) -> None:
    """However late the task has its turn that waits for the reply."""

    async def script(ws: websocket.WebSocket) -> None:
        await ws.send(conf_message())
        async for message in ws:
            assert isinstance(message, bytes)
            if message[0] == 0x20:  # restored, and closed at once
                await ws.send_many([b"\xc0" + message[1:9] + SESSION % b"a", b"\x16"])
            elif message[0] == 0x7F:
                await ws.send_many([b"\x15" + SESSION % b"b", b"\xbf" + message[1:9]])
            else:  # closed, and another one created at once
                await ws.send_many([b"\xbf" + message[1:9], b"\x15" + SESSION % b"c"])

    async def main() -> None:
        async with (
            scripted(backend, script) as url,
            webwire.connect(url, backend=backend) as client,
        ):
            assert (await client.restore_session("a")).key == "a"
            assert client.session is None
            await client.request("login")
            assert client.session is not None
            await client.close_session()
            assert client.session.key == "c"

    run_sockets(main)
