"""Sessions when something fails or comes in between: stores, losses, two things at once."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.logins import logged_in, login
from tests.transports.webwire.shared_store import Behind, FakeSharedStore
from tests.transports.webwire.world import OpenServer, World, lose_all, settle
from wirecore.errors import InvalidState
from wirecore_trio import webwire
from wirecore_trio.webwire import Payload
from wirecore_trio.webwire.stores import MemoryStore

INTERNAL_ERROR = 2
BROKEN = OSError("the disk is full")


class SlowStore(MemoryStore):
    """A store whose methods wait until they are let, and then fail if they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: dict[str, trio.Event] = {}
        self.broken: dict[str, Exception] = {}
        self.waiting: list[str] = []

    async def _pass(self, method: str) -> None:
        self.waiting.append(method)
        gate = self.gates.get(method)
        if gate is None:
            await trio.lowlevel.checkpoint()
        else:
            await gate.wait()
        self.waiting.remove(method)
        if method in self.broken:
            raise self.broken[method]

    async def create(self, session: webwire.Session) -> None:
        await self._pass("create")
        await super().create(session)

    async def look_up(self, key: str, now: datetime) -> webwire.Session | None:
        await self._pass("look_up")
        return await super().look_up(key, now)

    async def close(self, key: str) -> None:
        await self._pass("close")
        await super().close(key)


# --- a store that fails -------------------------------------------------------------------------


def test_where_it_cant_be_kept_the_session_lives_and_cant_be_restored(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        store = SlowStore()
        store.broken["create"] = BROKEN
        async with open_server(login(), store=store) as world, world.connect() as client:
            await client.request("login", "alice")
            assert client.session is not None
            assert (await client.request("who")).text == "alice"
            await lose_all(world)
            assert (await client.request("who")).text == "nobody"
            assert client.session is None

    run_sockets(main)
    assert "the store couldn't keep a session" in caplog.text


def test_where_it_cant_be_looked_up_the_client_learns_no_more_than_that(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        store = SlowStore()
        async with (
            open_server(login(), store=store) as world,
            world.raw() as one,
            world.raw() as two,
        ):
            key = await logged_in(one)
            store.broken["look_up"] = BROKEN
            await two.restore(5, key)
            assert (await two.answer())[:2] == (INTERNAL_ERROR, 5)
            assert len(world.server.session_connections(key)) == 1
            await one.restore(6, key)  # who has it keeps it
            assert (await one.answer())[:2] == (INTERNAL_ERROR, 6)
            assert len(world.server.session_connections(key)) == 1

    run_sockets(main)
    assert "the disk is full" in caplog.text


def test_where_it_cant_be_forgotten_the_client_is_told_of_its_end_nevertheless(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Any] = []

    async def main() -> None:
        store = SlowStore()
        store.broken["close"] = BROKEN
        async with (
            open_server(login(events), store=store) as world,
            world.connect() as client,
            world.raw() as raw,
        ):
            await client.request("login", "alice")
            await client.request("logout")
            assert client.session is None
            await logged_in(raw)
            await raw.close_session(5)
            assert await raw.answer() == (191, 5, "", b"")
            assert world.server.active_sessions == 0
            assert [each[0] for each in events if isinstance(each, tuple)] == [
                *("created", "closed") * 2
            ]

    run_sockets(main)
    assert caplog.text.count("the store couldn't forget a session") == 2


@pytest.mark.parametrize(
    "error", [OSError("gone"), RuntimeError("a bug"), trio.BrokenResourceError()]
)
@pytest.mark.parametrize("method", ["create", "look_up", "close", "attach", "detach"])
def test_a_shared_store_that_fails_leaves_nothing_behind(
    open_server: OpenServer, run_sockets: Run, method: str, error: Exception
) -> None:
    ended: list[Any] = []

    def prepare(server: webwire.Server) -> None:
        login()(server)
        server.on_client_disconnected(lambda connection, reason: ended.append(connection))

        @server.on_client_connected
        async def join(connection: webwire.Connection) -> None:
            await server.room("all").join(connection)

    async def main() -> None:
        store = FakeSharedStore(Behind())
        async with (
            open_server(prepare, store=store) as world,
            world.raw() as one,
            world.raw() as two,
        ):
            key = await logged_in(one)
            store.broken[method] = error
            await two.restore(1, key)
            await two.answer()
            await two.close_session(2)
            await two.answer()
            await two.request(3, "login", b"bob")
            await two.answer()
            await world.server.session_connections(key)[0].signal("fine")
            await one.answer()
            await one.lose()
            await two.lose()
            await settle()
            assert len(ended) == 2
            assert world.server.active_sessions == 0
            assert world.server.room("all").members == []
            assert world.server.connections == []

    run_sockets(main)


# --- lost or closed in between ------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
def test_who_is_lost_while_a_session_is_looked_up_leaves_nothing_behind(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture, shared: bool
) -> None:
    gate = trio.Event()
    ended: list[Any] = []

    def prepare(server: webwire.Server) -> None:
        login()(server)
        server.on_client_disconnected(lambda connection, reason: ended.append(connection.session))

        @server.on_session_lookup
        async def look_up(key: str) -> webwire.Session:
            await gate.wait()
            now = datetime.now().astimezone()
            return webwire.Session(key, now, now)

    async def main() -> None:
        behind = Behind()
        store = FakeSharedStore(behind) if shared else MemoryStore()
        async with (
            open_server(prepare, store=store) as world,
            world.raw() as raw,
        ):
            await raw.restore(1, "key")
            await settle()
            await raw.lose()
            await settle()
            gate.set()
            await settle()
            assert ended == [None]
            assert world.server.active_sessions == 0
            assert behind.users == {}

    run_sockets(main)
    assert "couldn't be looked up" not in caplog.text


@pytest.mark.parametrize("end", ["lost", "closed"])
def test_no_session_for_who_goes_while_it_is_made(
    open_server: OpenServer, run_sockets: Run, end: str
) -> None:
    ends: list[str] = []

    def prepare(server: webwire.Server) -> None:
        @server.request("login")
        async def login(request: webwire.Request[Payload]) -> None:
            with pytest.raises(webwire.Disconnected) as caught:
                await request.connection.create_session()
            ends.append(caught.value.execution)

        server.on_session_created(lambda connection, session: ends.append("created"))

    async def main() -> None:
        store = SlowStore()
        store.gates["create"] = trio.Event()
        async with open_server(prepare, store=store) as world, world.raw() as raw:
            await raw.request(1, "login")
            await settle()
            if end == "lost":
                await raw.lose()
            else:
                world.only().close()
            await settle()
            store.gates["create"].set()
            await settle()
            assert ends == ["not_sent"]
            assert len(store) == 0
            assert world.server.active_sessions == 0

    run_sockets(main)


@pytest.mark.parametrize("shared", [False, True])
def test_of_two_sessions_made_at_once_a_connection_gets_one(
    open_server: OpenServer, run_sockets: Run, shared: bool
) -> None:
    async def main() -> None:
        behind = Behind()
        store = FakeSharedStore(behind) if shared else SlowStore()
        async with open_server(login(), store=store) as world, world.connect() as client:
            connection = world.only()
            ends: list[str] = []

            async def create(user: str) -> None:
                try:
                    await connection.create_session({"user": user})
                except InvalidState as error:
                    ends.append(str(error))
                else:
                    ends.append("made")

            async with trio.open_nursery() as nursery:
                for user in "abcde":
                    nursery.start_soon(create, user)
            await settle()
            assert sorted(ends) == ["made", *["the connection has a session: close it first"] * 4]
            assert connection.session is not None
            assert client.session == connection.session
            assert world.server.active_sessions == 1
            kept = behind.sessions if shared else store
            assert len(kept) == 1  # type: ignore[arg-type]
            assert len(behind.users) == shared

    run_sockets(main)


def test_a_session_made_while_another_is_restored_gives_way(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        store = SlowStore()
        async with (
            open_server(login(), store=store) as world,
            world.raw() as one,
            world.raw() as two,
        ):
            key = await logged_in(one)
            [connection] = set(world.server.connections) - set(
                world.server.session_connections(key)
            )
            store.gates["look_up"] = trio.Event()
            await two.restore(1, key)
            await settle()
            made = await connection.create_session({"user": "bob"})
            assert (await two.answer())[0] == 21
            store.gates["look_up"].set()
            assert (await two.answer())[:2] == (192, 1)
            assert connection.session is not None
            assert connection.session.key == key
            assert world.server.session_connections(made.key) == []
            assert world.server.active_sessions == 1
            await two.lose()
            await one.lose()
            await settle()
            assert world.server.active_sessions == 0

    run_sockets(main)


# --- everything at once -------------------------------------------------------------------------


def kept_keys(store: Any) -> set[str]:
    """The sessions that a store keeps."""
    memory = store.behind.sessions if isinstance(store, FakeSharedStore) else store
    return set(memory._sessions)


def check_agreement(world: World, clients: list[webwire.Client], behind: Behind | None) -> None:
    """Registry, connections, clients and the count of a shared store say the same."""
    server = world.server
    users = {
        connection: connection.session.key
        for connection in server.connections
        if connection.session is not None
    }
    for key in set(users.values()):
        expected = {each for each, used in users.items() if used == key}
        assert set(server.session_connections(key)) == expected
    assert server.active_sessions == len(set(users.values()))
    at_clients = sorted(client.session.key for client in clients if client.session is not None)
    assert at_clients == sorted(users.values())
    if behind is not None:
        assert {key: len(ids) for key, ids in behind.users.items()} == {
            key: list(users.values()).count(key) for key in set(users.values())
        }


#: What may become of anything here, as others do something at the same time.
EXPECTED = (
    webwire.SessionNotFound,
    webwire.MaxSessionConnectionsReached,
    webwire.InternalError,
    webwire.Disconnected,
    InvalidState,
)


class Chaos:
    """Clients that log in and out, restore and close; a server that closes and loses them."""

    def __init__(self, world: World, clients: list[webwire.Client], chance: random.Random) -> None:
        self.world = world
        self.clients = clients
        self.keys = ["none"]
        self._chance = chance

    async def act(self, client: webwire.Client) -> None:
        """Do one thing or another."""
        actions = [self.log_in, self.log_in, self.restore, self.restore, self.close]
        actions += [self.log_out, self.close_key]
        action = self.lose if self._chance.random() < 0.05 else self._chance.choice(actions)
        try:
            await action(client)
        except EXPECTED:
            pass

    async def log_in(self, client: webwire.Client) -> None:
        self.keys.append((await client.request("login", "x")).text)

    async def log_out(self, client: webwire.Client) -> None:
        await client.request("logout")

    async def restore(self, client: webwire.Client) -> None:
        await client.restore_session(self._chance.choice(self.keys))

    async def close(self, client: webwire.Client) -> None:
        await client.close_session()

    async def close_key(self, client: webwire.Client) -> None:
        await self.world.server.close_session(self._chance.choice(self.keys))

    async def lose(self, client: webwire.Client) -> None:
        for connection in self.world.server.connections[:1]:
            connection._pump.end(None)
        await trio.lowlevel.checkpoint()

    async def round(self) -> None:
        """All do something, some two things at once; then all are connected again."""
        async with trio.open_nursery() as nursery:
            for client in self.clients:
                nursery.start_soon(self.act, client)
                if self._chance.random() < 0.5:
                    nursery.start_soon(self.act, client)
        for client in self.clients:
            await client.request("who")
        await settle()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shared", [False, True])
def test_whatever_happens_at_once_store_registry_and_clients_agree(
    open_server: OpenServer, run_sockets: Run, seed: int, shared: bool
) -> None:
    async def main() -> None:
        behind = Behind()
        store = FakeSharedStore(behind) if shared else SlowStore()
        options = {"concurrency": 3, "max_session_connections": 4}
        async with (
            open_server(login(), store=store, **options) as world,
            world.connect() as one,
            world.connect() as two,
            world.connect() as three,
            world.connect() as four,
        ):
            clients = [one, two, three, four]
            chaos = Chaos(world, clients, random.Random(seed))
            for _ in range(25):
                await chaos.round()
                check_agreement(world, clients, behind if shared else None)
        assert len(chaos.keys) > 10

    run_sockets(main)
