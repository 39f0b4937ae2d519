"""A client: how it connects, comes back after a loss, serves again, and is left."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from tests.transports.pool.world import until
from tests.transports.rest.world import OpenServer, Parked, echo
from wirecore import errors
from wirecore._backend import Backend
from wirecore_trio import rest


def test_it_comes_back_and_serves_again(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server(echo) as world, world.connect(echo, metadata="m") as client:
            ids = set()
            for count in range(1, 4):
                [theirs] = await world.joined()
                ids.add(theirs.id)
                assert theirs.metadata == "m"
                assert (await theirs.request("GET", "/there")).body == b"GET /there "
                assert (await client.request("GET", "/here")).body == b"GET /here "
                assert client.connections == count
                theirs._channel.abort()
                await until(lambda: client.connections == count + 1)  # noqa: B023
            assert len(ids) == 3

    run_sockets(story)


def test_requests_wait_for_a_connection(backend: Backend, run_sockets: Run) -> None:
    async def story() -> None:
        server = rest.Server(echo, backend=backend)
        bound_sockets = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = bound_sockets[0].socket.getsockname()[1]
        for each in bound_sockets:
            await each.aclose()
        url = f"ws://127.0.0.1:{port}/"
        async with (
            rest.connect(url, wait=False, backend=backend) as client,
            trio.open_nursery() as nursery,
        ):
            with pytest.raises(errors.CallTimeout, match="couldn't be sent within 1 s"):
                await client.request("GET", "/", timeout=1)
            assert client.connection is None
            await nursery.start(server.serve, "127.0.0.1", port)
            assert (await client.request("GET", "/")).body == b"GET / "
            nursery.cancel_scope.cancel()

    run_sockets(story)


def test_requests_outlive_the_loss_of_a_connection_that_they_didnt_use(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """Neither who comes in the moment of the loss, nor who waits for a turn, is told of it."""
    parked = Parked()

    async def story() -> None:
        statuses: list[int] = []

        async def ask(path: str) -> None:
            statuses.append((await client.request("GET", path)).status)

        async def release(path: str) -> None:
            await parked.wait_for(path)
            parked.waiting[path].set()

        async with open_server(parked) as world, world.connect(max_streams=1) as client:
            async with trio.open_nursery() as nursery:

                async def lose() -> None:
                    with pytest.raises(errors.CallLost):
                        await client.request("GET", "/lost")

                nursery.start_soon(lose)
                await parked.wait_for("/lost")
                nursery.start_soon(ask, "/waits")
                await trio.testing.wait_all_tasks_blocked()
                connection = client.connection
                assert connection is not None
                connection._channel.abort()
                assert client.connection is connection  # nobody had a turn yet
                nursery.start_soon(ask, "/comes")
                for path in "/waits", "/comes":  # whichever is first
                    nursery.start_soon(release, path)
            assert statuses == [200, 200]

    run_sockets(story)


def test_requests_wait_while_the_connection_is_being_closed(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """It takes no more, although its end isn't there yet: the next one does."""

    async def story() -> None:
        async with open_server(echo) as world, world.connect() as client:
            connection = client.connection
            connection._channel.close()
            assert not connection.closed
            assert (await client.request("GET", "/next")).body == b"GET /next "
            assert client.connections == 2
            with pytest.raises(errors.NotConnected):
                await connection.request("GET", "/")

    run_sockets(story)


def test_it_gives_up_in_time(run_sockets: Run) -> None:
    async def story() -> None:
        options = rest.ClientOptions(give_up_after=100)
        begun = trio.current_time()
        with pytest.raises(OSError, match=r".*"):
            async with rest.connect("ws://127.0.0.1:1/", None, options):
                raise AssertionError("nobody is there")
        assert 20 <= trio.current_time() - begun <= 100
        async with rest.connect("ws://127.0.0.1:1/", None, options, wait=False) as client:
            with pytest.raises(OSError, match=r".*"):
                await client.request("GET", "/", timeout=1000)
            with pytest.raises(OSError, match=r".*"):
                await client.wait_connected()

    run_sockets(story)


def test_leaving_answers_what_it_serves(open_server: OpenServer, run_sockets: Run) -> None:
    parked = Parked()

    async def story() -> None:
        bodies: list[bytes] = []

        async def ask() -> None:
            bodies.append((await theirs.request("GET", "/slow")).body)

        async with open_server() as world, trio.open_nursery() as nursery:
            async with world.connect(parked) as client:
                [theirs] = await world.joined()
                nursery.start_soon(ask)
                await parked.wait_for("/slow")
                nursery.start_soon(self_release, theirs, parked)
            await until(lambda: bodies == [b"/slow"])
            assert parked.cancelled == []
            with pytest.raises(errors.NotConnected):
                await client.request("GET", "/")

    async def self_release(theirs: rest.Connection, parked: Parked) -> None:
        await until(lambda: theirs.leaving)
        parked.waiting["/slow"].set()

    run_sockets(story)


def test_an_error_of_the_body_arrives_as_itself(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server() as world:
            with pytest.raises(KeyError, match="mine"):
                async with world.connect(echo):
                    raise KeyError("mine")
            await until(lambda: not world.server.connections)

    run_sockets(story)


def test_an_application_may_come_later(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server() as world, world.connect() as client:
            client.serve(echo)
            with pytest.raises(errors.InvalidState):
                client.serve(echo)
            [theirs] = await world.joined()
            assert (await theirs.request("GET", "/")).body == b"GET / "
            theirs._channel.abort()
            await until(lambda: client.connections == 2)
            [theirs] = await world.joined()
            assert (await theirs.request("GET", "/")).body == b"GET / "

    run_sockets(story)


def test_its_application_starts_up_and_shuts_down(
    open_server: OpenServer, run_sockets: Run
) -> None:
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        for stage in "startup", "shutdown":
            await receive()
            told.append(stage)
            await send({"type": f"lifespan.{stage}.complete"})

    async def story() -> None:
        async with open_server() as world, world.connect(app):
            assert told == ["startup"]
        assert told == ["startup", "shutdown"]
        options = rest.ClientOptions(give_up_after=1)
        with pytest.raises(OSError, match=r".*"):
            async with rest.connect("ws://127.0.0.1:1/", app, options):
                raise AssertionError("nobody is there")
        assert told == ["startup", "shutdown"] * 2

    run_sockets(story)


def test_it_is_entered_once(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server() as world:
            connecting = world.connect()
            async with connecting as client:
                assert client.connections == 1
            with pytest.raises(errors.InvalidState, match="already"):
                async with connecting:
                    raise AssertionError("twice")
            with pytest.raises(TypeError, match="async with"):
                await world.connect()
            with pytest.raises(AttributeError, match="async with"):
                world.connect().request("GET", "/")

    run_sockets(story)


def test_arguments_of_wrong_types() -> None:
    url = "ws://127.0.0.1/"
    with pytest.raises(errors.InvalidOption):
        rest.connect("http://127.0.0.1/")
    with pytest.raises(errors.UnsendableMessage):
        rest.connect(url, metadata=float("nan"))
    wrong: dict[str, Any]
    for wrong in {"app": 5}, {"options": rest.Options()}, {"host": 5}:
        with pytest.raises(TypeError, match=next(iter(wrong))):
            rest.connect(url, **wrong)
    with pytest.raises(TypeError, match="subprotocols"):
        rest.connect(url, subprotocols=["a"])  # type: ignore[call-arg]


def test_the_host_of_requests(open_server: OpenServer, run_sockets: Run) -> None:
    hosts: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        hosts.extend(value for name, value in scope["headers"] if name == b"host")
        await echo(scope, receive, send)

    async def story() -> None:
        async with open_server(app) as world:
            async with world.connect() as client:
                await client.request("GET", "/")
                await client.request("GET", "/", headers={"Host": "own.example"})
            async with world.connect(host="api.example") as client:
                await client.request("GET", "/")
            assert hosts == [b"127.0.0.1:%d" % world.port, b"own.example", b"api.example"]

    run_sockets(story)
