"""Requests between our own ends: in both directions, many at once, and what becomes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.pool.world import until
from tests.transports.rest.world import OpenServer, Parked, answer, echo, read
from wirecore import errors
from wirecore_trio import rest


def test_either_end_calls_and_serves(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server(echo) as world, world.connect(echo, metadata={"n": 1}) as client:
            response = await client.request("POST", "/a%20b?c=d", content=b"hello")
            assert (response.status, response.body) == (200, b"POST /a%20b hello")
            assert response.header("Content-Type") == "text/plain"
            assert response.header("Nothing") is None
            [theirs] = await world.joined()
            assert theirs.metadata == {"n": 1}
            assert theirs.multiplexed
            assert client.connection.id == theirs.id
            assert (await theirs.request("GET", "/back")).body == b"GET /back "

    run_sockets(story)


def test_answers_come_in_any_order(open_server: OpenServer, run_sockets: Run) -> None:
    parked = Parked()

    async def story() -> None:
        answered: list[bytes] = []

        async def ask(path: str) -> None:
            answered.append((await client.request("GET", path)).body)

        async with open_server(parked) as world, world.connect() as client:
            async with trio.open_nursery() as nursery:
                for path in "/1", "/2", "/3":
                    nursery.start_soon(ask, path)
                await parked.wait_for("/1", "/2", "/3")
                for path in "/2", "/3", "/1":
                    parked.waiting[path].set()
                    await until(lambda: answered[-1:] == [path.encode()])  # noqa: B023
            assert answered == [b"/2", b"/3", b"/1"]

    run_sockets(story)


def test_a_thousand_at_once(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        bodies: set[bytes] = set()

        async def ask(number: int) -> None:
            bodies.add((await client.request("PUT", f"/{number}", content=b"x" * 100)).body)

        async with (
            open_server(echo, max_streams=100) as world,
            world.connect(max_streams=100) as client,
            trio.open_nursery() as nursery,
        ):
            for number in range(1000):
                nursery.start_soon(ask, number)
        assert bodies == {b"PUT /%d %b" % (number, b"x" * 100) for number in range(1000)}

    run_sockets(story)


def test_bodies_stream_both_ways_at_once(open_server: OpenServer, run_sockets: Run) -> None:
    """Each piece is answered before the next one leaves."""
    turn = trio.Event

    async def shout(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (message := await receive())["more_body"]:
            piece = message["body"].upper()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": message["body"].upper()})

    async def story() -> None:
        heard = [turn() for _ in range(4)]

        async def pieces() -> AsyncIterator[bytes]:
            for number, event in enumerate(heard):
                yield b"piece %d" % number
                await event.wait()

        async with (
            open_server(shout) as world,
            world.connect() as client,
            client.stream("POST", "/", content=pieces()) as response,
        ):
            for number, event in enumerate(heard):
                assert await response.receive() == b"PIECE %d" % number
                event.set()
            assert await response.receive() is None
            assert await response.receive() is None

    run_sockets(story)


def test_a_slow_reader_holds_nobody_else_up(open_server: OpenServer, run_sockets: Run) -> None:
    sent = 0

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        if scope["path"] == "/quick":
            await answer(send, b"quick")
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": bytes(10_000), "more_body": True})
            sent += 10_000

    async def story() -> None:
        nonlocal sent
        async with open_server(endless) as world, world.connect() as client:
            async with client.stream("GET", "/slow") as response:
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert sent <= 64 * 1024  # its window, of which nothing was read
                assert (await client.request("GET", "/quick")).body == b"quick"
                before, got = sent, 0
                while got < 1_000_000:
                    piece = await response.receive()
                    assert piece is not None
                    got += len(piece)
                assert sent > before + 900_000
            await until(lambda: not world.server.connections[0]._serving)

    run_sockets(story)


def test_leaving_a_response_tells_its_server(open_server: OpenServer, run_sockets: Run) -> None:
    parked = Parked()

    async def story() -> None:
        async with open_server(parked) as world, world.connect() as client:
            with trio.move_on_after(1):
                await client.request("GET", "/cancelled")
            with pytest.raises(errors.CallTimeout, match="no answer to GET /late within 2 s"):
                await client.request("GET", "/late?secret", timeout=2)
            await until(lambda: parked.gone == ["/cancelled", "/late"])
            parked.waiting["/cancelled"].set()  # its answer is nobody's
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.request, "GET", "/next")
                await parked.wait_for("/next")
                parked.waiting["/next"].set()

    run_sockets(story)


def test_an_early_answer_ends_the_upload(open_server: OpenServer, run_sockets: Run) -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await answer(send, b"too much", 413)

    async def story() -> None:
        closed = False

        async def endless() -> AsyncIterator[bytes]:
            nonlocal closed
            try:
                while True:
                    yield bytes(50_000)
            finally:
                closed = True

        async with open_server(refuse) as world, world.connect() as client:
            async with client.stream("POST", "/", content=endless()) as response:
                assert response.status == 413
                assert await response.read() == b"too much"
            assert closed
            assert (await client.request("GET", "/")).status == 413

    run_sockets(story)


def test_an_early_answer_to_a_long_body_leaves_nothing(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """Nobody makes room for the rest of it: its task mustn't wait for that."""

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await answer(send, b"too much", 413)

    async def story() -> None:
        body = bytes(1_000_000)
        async with open_server(refuse) as world, world.connect() as client:
            async with client.stream("POST", "/", content=body) as response:
                assert await response.read() == b"too much"
                await until(lambda: not response._call.uploads)
            assert (await client.request("POST", "/", content=body)).status == 413
            before = trio.lowlevel.current_statistics().tasks_living
            for _ in range(10):
                assert (await client.request("POST", "/", content=body)).status == 413
            assert trio.lowlevel.current_statistics().tasks_living <= before

    run_sockets(story)


def test_an_upload_that_fails_is_its_callers(open_server: OpenServer, run_sockets: Run) -> None:
    broken: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        while (message := await receive())["type"] != "http.disconnect":
            pass
        broken.append(message["type"])

    async def story() -> None:
        async def failing() -> AsyncIterator[bytes]:
            yield b"the beginning"
            raise ValueError("the disk is gone")

        async with open_server(app) as world, world.connect() as client:
            with pytest.raises(ValueError, match="the disk is gone"):
                async with client.stream("POST", "/", content=failing()):
                    raise AssertionError("there is no response")
            await until(lambda: broken == ["http.disconnect"])

    run_sockets(story)


def test_trailers_and_early_hints(open_server: OpenServer, run_sockets: Run) -> None:
    async def handler(incoming: rest.Incoming) -> None:
        assert await incoming.receive() == b"body"
        assert await incoming.receive() is None
        assert incoming.trailers == ((b"X-Sum", b"4"),)
        await incoming.respond(103, [(b"Link", b"</style.css>")])
        await incoming.respond(200, [], b"one", end=False)
        await incoming.send(b"", end=True, trailers=[(b"X-Sum", b"3")])

    async def story() -> None:
        async def on_connection(connection: rest.Connection) -> None:
            connection._serve_with(handler)

        async with open_server(on_connection=on_connection) as world, world.connect() as client:
            response = await client.request("POST", "/", content=b"body", trailers={"X-Sum": "4"})
            assert (response.body, response.trailers) == (b"one", ((b"X-Sum", b"3"),))
            async with client.stream(
                "POST", "/", content=b"body", trailers={"X-Sum": "4"}
            ) as stream:
                assert stream.interim == [(103, ((b"Link", b"</style.css>"),))]
                assert await stream.read() == b"one"
                assert stream.trailers == ((b"X-Sum", b"3"),)

    run_sockets(story)


def test_a_request_waits_for_an_application(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server(app_timeout=30) as world, world.connect() as client:
            [theirs] = await world.joined()
            bodies: list[bytes] = []

            async def ask() -> None:
                bodies.append((await client.request("GET", "/")).body)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                await trio.sleep(20)
                assert bodies == []
                theirs.serve(echo)
            assert bodies == [b"GET / "]
            with pytest.raises(errors.InvalidState, match="already"):
                theirs.serve(echo)

    run_sockets(story)


def test_a_turn_that_isnt_used_is_the_next_ones(open_server: OpenServer, run_sockets: Run) -> None:
    """Who waited for it, and then can't send, holds nobody up."""
    parked = Parked()

    async def story() -> None:
        statuses: list[int] = []

        async def ask(path: str, **more: Any) -> None:
            statuses.append((await client.request("GET", path, **more)).status)

        async def ask_in_vain() -> None:
            with pytest.raises(errors.LocalLimitExceeded):
                await client.request("GET", "/", headers={"X": "y" * 70_000})

        async with open_server(parked) as world, world.connect(max_streams=1) as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, "/1")
                await parked.wait_for("/1")
                nursery.start_soon(ask_in_vain)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(ask, "/2")
                await trio.testing.wait_all_tasks_blocked()
                parked.waiting["/1"].set()
                await parked.wait_for("/2")
                parked.waiting["/2"].set()
            assert statuses == [200, 200]

    run_sockets(story)


def test_a_request_whose_caller_goes_while_it_waits(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def story() -> None:
        async with open_server(app_timeout=None) as world, world.connect() as client:
            [theirs] = await world.joined()
            with trio.move_on_after(1):
                await client.request("GET", "/gone")
            await until(lambda: not theirs._backlog._requests)
            theirs.serve(echo)
            assert (await client.request("GET", "/")).body == b"GET / "

    run_sockets(story)


def test_nobody_serves(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server(app_timeout=5) as world, world.connect() as client:
            begun = trio.current_time()
            with pytest.raises(rest.Aborted, match="no application serves here"):
                await client.request("GET", "/")
            assert trio.current_time() - begun <= 5.5

    run_sockets(story)


def test_a_lost_connection_says_what_is_known(open_server: OpenServer, run_sockets: Run) -> None:
    parked = Parked()

    async def story() -> None:
        async with open_server(parked) as world, world.connect() as client:
            connection = client.connection
            errors_: list[errors.CallLost] = []

            async def ask() -> None:
                with pytest.raises(errors.CallLost) as caught:
                    await connection.request("GET", "/")
                errors_.append(caught.value)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                await parked.wait_for("/")
                world.server.connections[0]._channel.abort()
            assert [error.execution for error in errors_] == ["maybe_executed"]
            await until(lambda: parked.gone == ["/"])
            with pytest.raises(errors.NotConnected):
                await connection.request("GET", "/")
            with pytest.raises(errors.NotConnected):
                await connection.ping()

    run_sockets(story)


def test_who_tries_again_and_again_stops_nobody(open_server: OpenServer, run_sockets: Run) -> None:
    """A request that can't be made is a checkpoint, also while the connection is ending."""

    async def story() -> None:
        async with open_server(echo) as world, world.connect() as client:
            connection = client.connection
            connection._channel.close()
            tries = 0
            while not connection.closed:
                tries += 1
                assert tries < 1000
                with pytest.raises(errors.NotConnected):
                    await connection.request("GET", "/")

    run_sockets(story)


def test_responses_have_bounds(open_server: OpenServer, run_sockets: Run) -> None:
    async def large(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, bytes(100_000))

    async def story() -> None:
        async with open_server(large) as world, world.connect(max_body_size=99_999) as client:
            with pytest.raises(errors.RemoteLimitExceeded, match="max_body_size"):
                await client.request("GET", "/")
            async with client.stream("GET", "/") as response:
                with pytest.raises(errors.RemoteLimitExceeded, match="max_body_size"):
                    await response.read()
                with pytest.raises(errors.InvalidState):
                    await response.read()
            async with client.stream("GET", "/") as response:
                assert sum([len(piece) async for piece in response]) == 100_000

    run_sockets(story)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"method": "GE T"}, "method"),
        ({"method": "GÉT"}, "ASCII"),
        ({"target": "/ä"}, "ASCII"),
        ({"target": "/a b"}, "target"),
        ({"target": "http://elsewhere/"}, "no path"),
        ({"headers": {"X": "a\r\nInjected: b"}}, "header field 'X'"),
        ({"headers": {"X Y": "a"}}, "header field"),
        ({"headers": {"X": "y" * 70_000}}, "max_head"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_what_cant_be_sent(
    open_server: OpenServer, run_sockets: Run, arguments: dict[str, Any], says: str
) -> None:
    async def story() -> None:
        async with open_server(echo) as world, world.connect() as client:
            with pytest.raises(errors.LocalError, match=says):
                await client.request(**{"method": "GET", "target": "/", **arguments})
            for wrong in {"content": "text"}, {"method": b"GET"}, {"timeout": "1"}:
                with pytest.raises(TypeError):
                    await client.request(**{"method": "GET", "target": "/", **wrong})
            assert (await client.request("GET", "/")).status == 200

    run_sockets(story)


def test_pings_and_their_hooks(open_server: OpenServer, run_sockets: Run) -> None:
    seen: list[bytes] = []

    async def story() -> None:
        def on_ping(connection: rest.Connection, data: bytes) -> None:
            seen.append(data)
            connection.pong(data)

        async with (
            open_server(on_ping=on_ping, ping_interval=None) as world,
            world.connect(ping_interval=7, ping_data=b"beat") as client,
        ):
            assert await client.connection.ping(b"mine") < 1
            assert await client.connection.ping() < 1
            await trio.sleep(8)
            assert seen[0] == b"mine"
            assert seen[-1] == b"beat"

    run_sockets(story)


def test_a_peer_that_answers_no_ping_is_given_up(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with (
            open_server(on_ping=lambda connection, data: None, ping_interval=None) as world,
            world.connect(ping_interval=1, max_pings=2) as client,
        ):
            connection = client.connection
            await connection.wait_closed()
            assert "answered no ping" in str(connection.error)
            await until(lambda: client.connections == 2)

    run_sockets(story)


def test_several_tasks_cant_read_one_body(open_server: OpenServer, run_sockets: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await trio.sleep_forever()

    async def story() -> None:
        async with (
            open_server(app) as world,
            world.connect() as client,
            client.stream("GET", "/") as response,
            trio.open_nursery() as nursery,
        ):
            assert await response.receive() == b"x"
            nursery.start_soon(response.receive)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await response.receive()
            nursery.cancel_scope.cancel()

    run_sockets(story)
