"""A server: who is connected, what it tells of them, whom it refuses, and how it stops."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.pool.world import until
from tests.transports.rest.world import OpenServer, Parked, echo
from wirecore import errors
from wirecore.websocket import Request, Response
from wirecore_trio import rest


def test_connections_are_found_by_id_and_by_metadata(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def story() -> None:
        async with (
            open_server() as world,
            world.connect(metadata={"name": "a", "n": [1, 2.0]}) as one,
            world.connect(metadata="b"),
            world.connect(metadata="b"),
            world.connect(metadata=True),
        ):
            server = world.server
            await world.joined(4)
            found = server.connection(one.connection.id)
            assert found is not None
            assert found.metadata == {"name": "a", "n": [1, 2.0]}
            assert server.connection("nobody") is None
            assert len(server.find({"n": [1.0, 2], "name": "a"})) == 1
            assert len(server.find("b")) == 2
            assert [each.metadata for each in server.find(True)] == [True]
            assert server.find(1) == []
            assert server.find(None) == []
            assert all(each.remote_address.startswith("127.0.0.1:") for each in server.connections)

    run_sockets(story)


def test_events(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server() as world:
            listener = world.server.events()
            seen: list[tuple[rest.Kind, bool]] = []

            async def listen() -> None:
                async for event in listener:
                    seen.append((event.kind, event.clean))
                    assert event.connection_id == event.connection.id

            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen)
                async with world.connect():
                    await world.joined()
                async with world.connect() as client:
                    [theirs] = await world.joined()
                    client._closing = True
                    await theirs.aclose()
                async with world.connect() as client:
                    await world.joined()
                    client._closing = True
                    client.connection._channel._pump.end(None)
                    await until(lambda: not world.server.connections)
                await until(lambda: len(seen) == 6)
                listener.close()
            assert seen == [
                (rest.Kind.RECEIVED, False),
                (rest.Kind.FAILED, True),
                (rest.Kind.RECEIVED, False),
                (rest.Kind.CLOSED, False),
                (rest.Kind.RECEIVED, False),
                (rest.Kind.FAILED, False),
            ]
            assert rest.Kind.FAILED.value == "ConnectionFailure"

    run_sockets(story)


def test_all_who_read_a_listener_learn_of_its_end(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def story() -> None:
        async with open_server() as world:
            listener = world.server.events()
            seen: list[rest.Kind] = []

            async def listen() -> None:
                async for event in listener:
                    seen.append(event.kind)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen)
                nursery.start_soon(listen)
                async with world.connect():
                    await world.joined()
                await until(lambda: len(seen) == 2)
                listener.close()
            assert seen == [rest.Kind.RECEIVED, rest.Kind.FAILED]

    run_sockets(story)


def test_who_stops_reading_a_listener_leaves_nothing(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def story() -> None:
        async with open_server() as world:
            left = weakref.ref(world.server.events())
            async with world.connect():
                await world.joined()
            gc.collect()
            assert left() is None

    run_sockets(story)


def test_on_connection_calls_who_came(open_server: OpenServer, run_sockets: Run) -> None:
    bodies: list[bytes] = []

    async def on_connection(connection: rest.Connection) -> None:
        bodies.append((await connection.request("GET", "/hello")).body)
        raise ValueError("it isn't wanted")

    async def story() -> None:
        async with open_server(on_connection=on_connection) as world:
            async with world.connect(echo) as client:
                await until(lambda: client.connections == 2)
            assert bodies[0] == b"GET /hello "

    run_sockets(story)


def test_who_is_refused(open_server: OpenServer, run_sockets: Run) -> None:
    async def on_request(request: Request) -> Response | None:
        return Response(401) if request.header("authorization") is None else None

    async def story() -> None:
        async with open_server(on_request=on_request) as world:
            with pytest.raises(errors.UpgradeRejected, match="401"):
                async with world.connect():
                    raise AssertionError("it was let in")
            headers = {"Authorization": "Bearer x"}
            async with rest.connect(world.url, headers=headers) as client:
                [theirs] = await world.joined()
                assert theirs.http_request is not None
                assert theirs.http_request.header("authorization") == b"Bearer x"
                assert client.connection is not None

    run_sockets(story)


_LONG_NUMBER = b'{"Type":"ClientHandshakeMetaData","Meta":%b}' % (b"1" * 5000)


@pytest.mark.parametrize(
    "first", [b"hello", b"", b'{"Type":"Nonsense"}', b"\xff\xfe", _LONG_NUMBER]
)
def test_a_handshake_that_is_none(open_server: OpenServer, run_sockets: Run, first: bytes) -> None:
    async def story() -> None:
        async with open_server() as world, world.original() as peer:
            await peer.text(first)
            closing = await peer.next()
            assert closing.code == 1002
            assert await peer.next() is None
            assert world.server.connections == []
            async with world.connect():
                await world.joined()

    run_sockets(story)


def test_who_says_nothing_is_closed_in_time(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server(handshake_timeout=3) as world, world.original() as peer:
            begun = trio.current_time()
            assert (await peer.next()).code == 1008
            assert 2.9 <= trio.current_time() - begun <= 3.5

    run_sockets(story)


def test_draining_answers_what_runs(open_server: OpenServer, run_sockets: Run) -> None:
    parked = Parked()

    async def story() -> None:
        bodies: list[bytes] = []

        async def ask() -> None:
            bodies.append((await client.request("GET", "/slow")).body)

        async with open_server(parked) as world, world.connect() as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                await parked.wait_for("/slow")
                nursery.start_soon(world.server.drain)
                await until(lambda: client.connection.leaving)
                with pytest.raises(errors.NotConnected, match="about to end"):
                    await client.connection.request("GET", "/late")
                client._closing = True
                parked.waiting["/slow"].set()
            assert bodies == [b"/slow"]
            await world.server.wait_closed()
            with pytest.raises(errors.InvalidState, match="was shut down"):
                await world.server.serve("127.0.0.1", 0)

    run_sockets(story)


def test_a_publisher_that_leaves_loses_no_request(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """What was on its way when it said that it leaves is answered, or was certainly not sent."""

    async def story() -> None:
        answered = 0

        async def ask(connection: rest.Connection) -> None:
            nonlocal answered
            while True:
                try:
                    response = await connection.request("POST", "/", content=b"x")
                except errors.NotConnected:
                    return  # another one may have it
                assert response.status == 200
                answered += 1

        async with open_server() as world:
            for _ in range(20):
                async with trio.open_nursery() as nursery, world.connect(echo):
                    [connection] = await world.joined()
                    for _ in range(8):
                        nursery.start_soon(ask, connection)
                    before = answered
                    while answered <= before + 20:  # no time passes while they are busy
                        await trio.lowlevel.checkpoint()
            assert answered > 400

    run_sockets(story)


def test_a_server_that_drains_gets_the_answers_that_it_waits_for(
    open_server: OpenServer, run_sockets: Run
) -> None:
    parked = Parked()

    async def story() -> None:
        bodies: list[bytes] = []

        async def ask(connection: rest.Connection) -> None:
            bodies.append((await connection.request("GET", "/slow")).body)

        async with open_server() as world, world.connect(parked) as client:
            [connection] = await world.joined()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, connection)
                await parked.wait_for("/slow")
                nursery.start_soon(world.server.drain)
                await until(lambda: client.connection.leaving)
                client._closing = True
                parked.waiting["/slow"].set()
            assert bodies == [b"/slow"]

    run_sockets(story)


def test_the_grace_of_a_drain(open_server: OpenServer, run_sockets: Run) -> None:
    parked = Parked()

    async def story() -> None:
        async with open_server(parked) as world, world.connect() as client:
            client._closing = True

            async def ask() -> None:
                with pytest.raises(errors.CallLost):
                    await client.connection.request("GET", "/endless")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                await parked.wait_for("/endless")
                begun = trio.current_time()
                await world.server.drain(7)
                assert 7 <= trio.current_time() - begun <= 7.5
            assert parked.cancelled == ["/endless"]

    run_sockets(story)


def test_an_application_starts_before_its_server_listens(
    open_server: OpenServer, run_sockets: Run
) -> None:
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for stage in "startup", "shutdown":
                assert (await receive())["type"] == f"lifespan.{stage}"
                told.append(stage)
                scope["state"]["greeting"] = "hello"
                await send({"type": f"lifespan.{stage}.complete"})
            return
        assert scope["state"] == {"greeting": "hello"}
        assert scope["root_path"] == "/api"
        assert scope["client"] is not None
        assert set(scope["extensions"]["wirecore.rest"]) == {"id", "metadata"}
        await echo(scope, receive, send)

    async def story() -> None:
        async with open_server(app, root_path="/api") as world, world.connect() as client:
            assert told == ["startup"]
            assert (await client.request("GET", "/a")).body == b"GET /a "
        assert told == ["startup", "shutdown"]

        async def broken(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        with pytest.raises(rest.LifespanFailed, match="no database"):
            await rest.Server(broken).serve("127.0.0.1", 0)

    run_sockets(story)


def test_arguments_of_wrong_types() -> None:
    for name in "app", "options", "on_connection", "on_request":
        wrong: dict[str, Any] = {name: 5}
        with pytest.raises(TypeError, match=name):
            rest.Server(**wrong)
    options: dict[str, Any]
    for options in (
        {"max_streams": 0},
        {"ping_interval": 0},
        {"oversize": "never"},
        {"max_window": 5},
        {"max_head": 5},
        {"window_budget": -1},
        {"ping_data": bytes(126)},
    ):
        with pytest.raises(errors.InvalidOption):
            rest.Options(**options)
    with pytest.raises(TypeError):
        rest.Options(ping_data="text")  # type: ignore[arg-type]
