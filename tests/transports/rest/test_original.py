"""Connections to peers that aren't ours: one end calls, one request at a time."""

from __future__ import annotations

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.pool.world import until
from tests.transports.rest.world import OpenServer, Parked, echo, original_server
from wirecore import errors
from wirecore._backend import Backend
from wirecore.constants import Opcode
from wirecore.events import Pong
from wirecore.protocols.rest.handshake import connection_id_message
from wirecore_trio import rest

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\nX-Correlation-Id: 1\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_our_server_serves_it(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server(echo) as world, world.original() as peer:
            second = await peer.shake("an original")
            [theirs] = await world.joined()
            assert theirs.id.encode() in second
            assert (theirs.metadata, theirs.multiplexed) == ("an original", False)
            await peer.text(GET % b"/a")
            answer = await peer.answer()
            assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: ")
            assert answer.endswith(b"X-Correlation-Id: 1\r\n\r\nGET /a ")
            with pytest.raises(errors.InvalidState, match="one direction"):
                await theirs.request("GET", "/")
            await peer.text(b"rubbish")
            assert (await peer.answer()).startswith(b"HTTP/1.1 400 ")
            await peer.text(GET % b"/b")
            assert (await peer.answer()).endswith(b"GET /b ")

    run_sockets(story)


def test_its_requests_wait_for_an_application(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server() as world, world.original() as peer:
            await peer.shake()
            await peer.text(GET % b"/early")
            [theirs] = await world.joined()
            await trio.sleep(3)
            theirs.serve(echo)
            assert (await peer.answer()).endswith(b"GET /early ")

    run_sockets(story)


def test_its_end_is_seen_before_anybody_serves(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server(ping_interval=None) as world, world.original() as peer:
            await peer.shake()
            [theirs] = await world.joined()
            await peer.send(peer.frame(Opcode.PING, b"there?"))
            assert await peer.next() == Pong(b"there?")
            await peer.close(None)
            await theirs.wait_closed()
            assert world.server.connections == []

    run_sockets(story)


def test_what_follows_its_request_waits_in_the_socket(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """One message is held until an application serves, and not as many as it likes."""

    async def story() -> None:
        async with open_server() as world, world.original() as peer:
            await peer.shake()
            [theirs] = await world.joined()
            for path in b"/1", b"/2", b"/3":
                await peer.text(GET % path)
                await trio.testing.wait_all_tasks_blocked(0.02)
            assert len(theirs._channel.session._held) == 1
            theirs.serve(echo)
            for path in b"/1", b"/2", b"/3":
                assert (await peer.answer()).endswith(b"GET %b " % path)

    run_sockets(story)


def test_its_second_request_waits_for_the_first(open_server: OpenServer, run_sockets: Run) -> None:
    parked = Parked()

    async def story() -> None:
        async with open_server(parked) as world, world.original() as peer:
            await peer.shake()
            await peer.text(GET % b"/1")
            await peer.text(GET % b"/2")
            await parked.wait_for("/1")
            assert "/2" not in parked.waiting
            parked.waiting["/1"].set()
            assert (await peer.answer()).endswith(b"/1")
            await parked.wait_for("/2")
            parked.waiting["/2"].set()
            assert (await peer.answer()).endswith(b"/2")

    run_sockets(story)


def test_it_is_answered_before_it_gives_up(open_server: OpenServer, run_sockets: Run) -> None:
    parked = Parked()

    async def story() -> None:
        # Without pings, whose time would have the other deadlines looked at, too.
        async with open_server(parked, ping_interval=None) as world, world.original() as peer:
            await peer.shake()
            begun = trio.current_time()
            await peer.text(GET % b"/slow")
            assert (await peer.answer()).startswith(b"HTTP/1.1 504 ")
            assert 8.9 <= trio.current_time() - begun < 10
            await until(lambda: parked.gone == ["/slow"])
            await peer.text(GET % b"/next")
            await parked.wait_for("/next")
            parked.waiting["/next"].set()
            assert (await peer.answer()).endswith(b"/next")

    run_sockets(story)


def test_its_end_tells_the_application(open_server: OpenServer, run_sockets: Run) -> None:
    parked = Parked()

    async def story() -> None:
        async with open_server(parked) as world, world.original() as peer:
            await peer.shake()
            await peer.text(GET % b"/")
            await parked.wait_for("/")
            await peer.close(None)
            await peer.stream.aclose()
            await until(lambda: parked.gone == ["/"])

    run_sockets(story)


def test_our_server_calls_it_one_at_a_time(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server() as world, world.original() as peer:
            await peer.shake()
            [theirs] = await world.joined()
            bodies: list[bytes] = []

            async def ask(path: str) -> None:
                bodies.append((await theirs.request("GET", path)).body)

            async with trio.open_nursery() as nursery:
                for path in "/1", "/2", "/3":
                    nursery.start_soon(ask, path)
                asked = set()
                for _ in range(3):
                    request = await peer.answer()
                    assert b"User-Agent: Go-http-client/1.1\r\n" in request
                    asked.add(request.split()[1])
                    await peer.text(ANSWER[:30])
                    await trio.testing.wait_all_tasks_blocked(0.02)
                    await peer.text(ANSWER[30:])
            assert asked == {b"/1", b"/2", b"/3"}
            assert bodies == [b"ok"] * 3
            with pytest.raises(errors.InvalidState, match="one direction"):
                theirs.serve(echo)
            with pytest.raises(errors.LocalLimitExceeded, match=r"the original's client .*4092"):
                await theirs.request("POST", "/", content=bytes(4092))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, "/4")
                await peer.answer()
                await peer.text(ANSWER)

    run_sockets(story)


def test_what_nobody_waits_for_goes_before_the_next(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def story() -> None:
        async with open_server() as world, world.original() as peer:
            await peer.shake()
            [theirs] = await world.joined()
            with pytest.raises(errors.CallTimeout):
                await theirs.request("GET", "/late", timeout=2)
            await peer.answer()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(theirs.request, "GET", "/next")
                await trio.sleep(2)
                await peer.text(ANSWER)  # to the first, and dropped
                assert (await peer.answer()).startswith(b"GET /next ")
                await peer.text(ANSWER)
            with pytest.raises(errors.CallTimeout):
                await theirs.request("GET", "/never", timeout=2)
            assert (await peer.answer()).startswith(b"GET /never ")
            assert (await peer.next()).code == 1001  # as no other request could go

    run_sockets(story)


def test_our_client_calls_its_server(backend: Backend, run_sockets: Run) -> None:
    async def story() -> None:
        async with original_server(backend) as (url, accept), trio.open_nursery() as nursery:
            bodies: list[bytes] = []

            async def ask() -> None:
                async with rest.connect(url, metadata=5, backend=backend) as client:
                    assert client.connection is not None
                    assert client.connection.id == "any id"
                    bodies.append((await client.request("GET", "/a")).body)
                    with pytest.raises(errors.LocalLimitExceeded, match=r"server .*1016"):
                        await client.request("POST", "/", content=bytes(1016))

            nursery.start_soon(ask)
            ws = await accept()
            assert ws.subprotocol is None
            assert await ws.receive() == '{"Type":"ClientHandshakeMetaData","Meta":5}\n'
            await ws.send(connection_id_message("any id").decode())
            assert await ws.receive() == '{"Type":"ClientHandshakeAckFrame"}\n'
            assert (await ws.receive()).startswith("GET /a HTTP/1.1\r\nHost: 127.0.0.1:")
            await ws.send(ANSWER.decode())
            await ws.wait_closed()
            await until(lambda: bodies == [b"ok"])

    run_sockets(story)


def test_our_client_serves_its_server(backend: Backend, run_sockets: Run) -> None:
    async def story() -> None:
        async with original_server(backend) as (url, accept), trio.open_nursery() as nursery:
            left = trio.Event()

            async def serve() -> None:
                async with rest.connect(url, echo, backend=backend):
                    await left.wait()

            nursery.start_soon(serve)
            ws = await accept()
            await ws.receive()
            await ws.send(connection_id_message("x").decode())
            await ws.receive()
            await ws.send((GET % b"/a").decode())
            assert (await ws.receive()).endswith("GET /a ")
            left.set()
            with pytest.raises(errors.ConnectionClosed) as closed:
                await ws.receive()
            assert closed.value.code == 1001

    run_sockets(story)


def test_a_server_that_answers_rubbish(backend: Backend, run_sockets: Run) -> None:
    async def story() -> None:
        async with original_server(backend) as (url, accept), trio.open_nursery() as nursery:
            failures: list[Exception] = []

            async def ask() -> None:
                async with rest.connect(url, backend=backend) as client:
                    try:
                        await client.request("GET", "/")
                    except errors.CallLost as error:
                        failures.append(error)
                    client._closing = True

            nursery.start_soon(ask)
            ws = await accept()
            await ws.receive()
            await ws.send(connection_id_message("x").decode())
            await ws.receive()
            await ws.receive()
            await ws.send("no HTTP at all")
            await until(lambda: bool(failures))
            assert "no HTTP" in str(failures[0])
            with pytest.raises(errors.ConnectionClosed) as closed:
                await ws.receive()
            assert closed.value.code == 1001

    run_sockets(story)
