"""Cancelled at every await: what was asked for happened or didn't, and nothing is left over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.websocket.conftest import every_step
from tests.transports.webwire.logins import login
from tests.transports.webwire.shared_store import Behind, FakeSharedStore
from tests.transports.webwire.test_session_failures import check_agreement
from tests.transports.webwire.world import OpenServer, World, settle
from wirecore_trio import webwire
from wirecore_trio.webwire import Status

Operation = Callable[[], Awaitable[Any]]


def prepare(server: webwire.Server) -> None:
    """Sessions, and an echo."""
    login()(server)

    @server.request()
    async def echo(request: webwire.Request[Any]) -> Any:
        await trio.lowlevel.checkpoint()
        return request.payload

    @server.signal()
    async def ignore(signal: webwire.Signal[Any]) -> None: ...


class Stage:
    """A server of a shared store, a client, and its connection."""

    def __init__(self, world: World, client: webwire.Client, behind: Behind) -> None:
        self.world = world
        self.client = client
        self.behind = behind

    @property
    def connection(self) -> webwire.Connection:
        """The client's."""
        return self.world.only()

    async def check(self) -> None:
        """The client works, and all agree on its session."""
        assert (await self.client.request("x", "fine")).text == "fine"
        await settle()
        check_agreement(self.world, [self.client], self.behind)
        assert set(self.behind.sessions._sessions) >= set(self.behind.users)
        session = self.connection._server._sessions
        assert session._locks == {}


@asynccontextmanager
async def staged(open_server: OpenServer) -> AsyncIterator[Stage]:
    """The stage, once for all the runs of an operation."""
    behind = Behind()
    async with (
        open_server(prepare, store=FakeSharedStore(behind)) as world,
        world.connect() as client,
    ):
        yield Stage(world, client, behind)


async def forget_session(stage: Stage) -> None:
    """Begin without one."""
    if stage.connection.session is not None:
        await stage.connection.close_session()
    await settle()


async def have_session(stage: Stage) -> str:
    """Begin with one: its key."""
    await forget_session(stage)
    return (await stage.client.request("login", "alice")).text


async def stored_key(stage: Stage) -> str:
    """Begin without one, and with one in the store."""
    key = await have_session(stage)
    session = stage.behind.sessions._sessions[key]
    await forget_session(stage)
    stage.behind.sessions._sessions[key] = session
    return key


async def request(stage: Stage) -> Operation:
    return lambda: stage.client.request("x", "y")


async def timed_request(stage: Stage) -> Operation:
    return lambda: stage.client.request("x", "y", timeout=30)


async def signal(stage: Stage) -> Operation:
    return lambda: stage.client.signal("x", "y")


async def signal_of_the_server(stage: Stage) -> Operation:
    return lambda: stage.connection.signal("x", "y")


async def restore_session(stage: Stage) -> Operation:
    key = await stored_key(stage)
    return lambda: stage.client.restore_session(key)


async def close_session(stage: Stage) -> Operation:
    await have_session(stage)
    return stage.client.close_session


async def create_session_by_the_server(stage: Stage) -> Operation:
    await forget_session(stage)
    return lambda: stage.connection.create_session({"user": "bob"})


async def close_session_by_the_server(stage: Stage) -> Operation:
    await have_session(stage)
    return stage.connection.close_session


async def close_session_by_its_key(stage: Stage) -> Operation:
    key = await have_session(stage)
    return lambda: stage.world.server.close_session(key)


async def close_and_connect(stage: Stage) -> Operation:
    await have_session(stage)

    async def run() -> None:
        await stage.client.close()
        await stage.client.connect()

    return run


async def broadcast(stage: Stage) -> Operation:
    return lambda: stage.world.server.broadcast("x", "y")


#: Where the client's own view may lag behind a server that has done what was asked.
_ONE_SIDED = (restore_session, close_session)


@pytest.mark.parametrize(
    "operation",
    [
        request,
        timed_request,
        signal,
        signal_of_the_server,
        restore_session,
        close_session,
        create_session_by_the_server,
        close_session_by_the_server,
        close_session_by_its_key,
        close_and_connect,
        broadcast,
    ],
)
def test_a_cancelled_operation_leaves_a_working_connection(
    open_server: OpenServer,
    run_sockets: Run,
    operation: Callable[[Stage], Awaitable[Operation]],
) -> None:
    async def main() -> None:
        async with staged(open_server) as stage:

            @asynccontextmanager
            async def once() -> AsyncIterator[Operation]:
                yield await operation(stage)
                await settle()
                if operation in _ONE_SIDED:
                    await stage.client.close()  # the next connection makes them agree
                    await stage.client.connect()
                await stage.check()

            steps = await every_step(once)
            assert steps >= 1
            if operation is not close_and_connect and operation not in _ONE_SIDED:
                assert stage.client.connections == 1

    run_sockets(main)


@pytest.mark.parametrize("method", ["join", "leave", "send"])
@pytest.mark.parametrize("shared", [False, True])
def test_cancelled_at_a_room(
    open_server: OpenServer, run_sockets: Run, method: str, shared: bool
) -> None:
    async def main() -> None:
        store = FakeSharedStore(Behind()) if shared else None
        async with open_server(prepare, store=store) as world, world.connect() as client:
            room = world.server.room("r")
            connection = world.only()

            @asynccontextmanager
            async def once() -> AsyncIterator[Operation]:
                if method == "join":
                    await room.leave(connection)
                    yield lambda: room.join(connection)
                elif method == "leave":
                    await room.join(connection)
                    yield lambda: room.leave(connection)
                else:
                    await room.join(connection)
                    yield lambda: room.send("x", "y")
                await settle()
                is_in = room.members == [connection]
                assert ("r" in world.server._rooms) == is_in
                assert bool(world.server._joined_rooms) == is_in
                if store is not None:
                    assert ("room r" in store.topics) == is_in
                assert (await client.request("x", "fine")).text == "fine"

            assert await every_step(once) >= 1

    run_sockets(main)


def test_cancelled_while_it_connects(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_server(prepare) as world:

            @asynccontextmanager
            async def once() -> AsyncIterator[Operation]:
                async def enter() -> None:
                    async with world.connect() as client:
                        await client.request("x", "y")

                yield enter
                await settle()
                assert world.server.connections == []

            assert await every_step(once) > 5

            async with world.connect(autoconnect=False) as client:

                @asynccontextmanager
                async def again() -> AsyncIterator[Operation]:
                    await client.close()
                    yield client.connect
                    await client.connect()
                    assert client.status is Status.CONNECTED
                    assert (await client.request("x", "fine")).text == "fine"
                    assert len(world.server.connections) == 1

                assert await every_step(again) >= 1

    run_sockets(main)


def test_a_server_is_cancelled_at_any_time(open_server: OpenServer, run_sockets: Run) -> None:
    """``serve`` ends at once, its clients are told, its handlers cancelled, its port free."""
    ended: list[str] = []

    async def main() -> None:
        @asynccontextmanager
        async def once() -> AsyncIterator[Operation]:
            server = webwire.Server()

            @server.request()
            async def stay(request: webwire.Request[Any]) -> None:
                try:
                    await trio.sleep_forever()
                finally:
                    ended.append("handler")

            server.on_client_disconnected(lambda connection, reason: ended.append("hook"))

            async def use(url: str) -> None:
                async with webwire.connect(url, autoconnect=False) as client:
                    await client.request("x")

            async def serve() -> None:
                async with trio.open_nursery() as nursery:
                    listening = await nursery.start(server.serve, "127.0.0.1", 0)
                    nursery.start_soon(use, f"ws://127.0.0.1:{listening.port}/")
                    await trio.sleep(1)
                    nursery.cancel_scope.cancel()

            yield serve
            assert server.connections == []

        assert await every_step(once) > 2

    run_sockets(main)
    assert ended.count("handler") == ended.count("hook") > 0


@pytest.mark.parametrize("grace", [None, 1])
def test_a_cancelled_shutdown_can_be_finished(
    open_server: OpenServer, run_sockets: Run, grace: float | None
) -> None:
    async def main() -> None:
        @asynccontextmanager
        async def once() -> AsyncIterator[Operation]:
            async with open_server(prepare) as world, world.connect(autoconnect=False) as client:
                await client.request("x", "y")
                yield lambda: world.server.shutdown(grace)
                await world.server.shutdown()
                assert world.server.connections == []
                await settle()
                assert client.status is Status.DISCONNECTED

        assert await every_step(once) >= 2

    run_sockets(main)
