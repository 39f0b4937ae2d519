"""Ours and Go's on net/http and gorilla, in all four roles: who has dialled, and who serves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.interop.restpeer import GoEnd, go_client, go_server, pattern
from tests.transports.pool.world import until
from tests.transports.rest.world import answer, read
from wirecore import errors
from wirecore._backend import Backend
from wirecore_trio import rest

if TYPE_CHECKING:
    from tests.interop.conftest import StartPeer, Story

Run = Callable[["Story"], None]

#: Bytes of a whole request that Go's serving end is sure to read, by which end of the WebSocket
#: it is.
SAFE = {"server": 1016, "client": 4092}


@pytest.fixture(params=["server", "client"])
def ours(request: pytest.FixtureRequest) -> str:
    """Which end of the WebSocket is ours."""
    return str(request.param)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """What ours serves."""
    assert scope["type"] == "http"
    path = scope["path"]
    if path == "/echo":
        await answer(send, await read(receive))
    elif path.startswith("/body/"):
        await answer(send, pattern(int(path[6:])))
    elif path.startswith("/status/"):
        await answer(send, b"", int(path[8:]))
    elif path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(5):
            piece = b"Chunk #%d\n" % number
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await trio.sleep(0.01)
        await send({"type": "http.response.body", "body": b""})
    elif path == "/fails":
        raise ValueError("a fault of the application")
    else:
        await trio.sleep_forever()


@asynccontextmanager
async def we_serve(
    backend: Backend, start: StartPeer, ours: str, *flags: object, **options: Any
) -> AsyncIterator[GoEnd]:
    """A Go peer that calls us; we are that end."""
    if ours == "server":
        server = rest.Server(app, rest.Options(**options), backend=backend)
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(server.serve, "127.0.0.1", 0)
            url = f"ws://127.0.0.1:{bound.port}/"
            async with go_client(start, "call", url, *flags) as peer:
                await peer.peer.wait_for("connected")
                yield peer
            nursery.cancel_scope.cancel()
    else:
        async with go_server(start, "call", *flags) as peer:
            client = rest.ClientOptions(**options)
            async with rest.connect(peer.url(), app, client, backend=backend):
                await peer.peer.wait_for("connected")
                yield peer


@asynccontextmanager
async def we_call(
    backend: Backend, start: StartPeer, ours: str, *flags: object
) -> AsyncIterator[tuple[rest.Connection, GoEnd]]:
    """A Go peer that serves us; we are that end."""
    if ours == "server":
        server = rest.Server(backend=backend)
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(server.serve, "127.0.0.1", 0)
            url = f"ws://127.0.0.1:{bound.port}/"
            async with go_client(start, "serve", url, "--metadata", '{"n":[1]}', *flags) as peer:
                await until(lambda: bool(server.connections))
                [connection] = server.connections
                assert connection.metadata == {"n": [1]}
                yield connection, peer
            nursery.cancel_scope.cancel()
    else:
        async with (
            go_server(start, "serve", *flags) as peer,
            rest.connect(peer.url(), metadata="ours", backend=backend) as client,
        ):
            arrival = await peer.peer.wait_for("connected")
            connection = client.connection  # type: ignore[assignment]  # it is there
            assert (arrival["id"], arrival["metadata"]) == (connection.id, "ours")
            yield connection, peer


def test_it_calls_us(rest_peer: StartPeer, run: Run, backend: Backend, ours: str) -> None:
    async def story() -> None:
        async with we_serve(backend, rest_peer, ours) as peer:
            for size in 0, 1, 2048, 2049, 100_000:
                assert (await peer.call("GET", f"/body/{size}")).has_body(pattern(size))
                assert (await peer.call("POST", "/echo", body=size)).has_body(pattern(size))
            chunked = await peer.call("POST", "/echo", body=b"abc", chunked=True)
            assert chunked.has_body(b"abc")
            assert chunked.field("X-Correlation-Id") is not None
            every = bytes(range(256))
            assert (await peer.call("PUT", "/echo", body=every)).has_body(every)
            streamed = await peer.call("GET", "/stream")
            assert streamed.has_body(b"".join(b"Chunk #%d\n" % number for number in range(5)))
            assert streamed.messages > 1
            for status in 204, 304, 404, 599:
                assert (await peer.call("GET", f"/status/{status}")).status == status
            assert (await peer.call("HEAD", "/body/10")).has_body(b"")
            failed = await peer.call("GET", "/fails")
            assert (failed.status, failed.start[:15]) == (500, b"internal error ")
            assert [each for each in peer.peer.seen if each["event"] == "violation"] == []

    run(story)


def test_it_is_answered_in_time(
    rest_peer: StartPeer, run: Run, backend: Backend, ours: str
) -> None:
    async def story() -> None:
        flags = ("--head-timeout", "2s")
        async with we_serve(backend, rest_peer, ours, *flags, head_timeout=0.3) as peer:
            assert (await peer.call("GET", "/never")).status == 504
            assert (await peer.call("GET", "/body/5")).has_body(pattern(5))

    run(story)


def test_we_call_it(rest_peer: StartPeer, run: Run, backend: Backend, ours: str) -> None:
    async def story() -> None:
        async with we_call(backend, rest_peer, ours) as (connection, peer):

            async def body(path: str, method: str = "GET", content: bytes = b"") -> bytes:
                return (await connection.request(method, path, content=content)).body

            assert await body("/simple") == b"Hello, wirecore!"
            for size in 1, 2048, 2049, 100_000:
                assert await body(f"/body/{size}") == pattern(size)
            assert await body("/writes") == pattern(1500) * 3
            assert await body("/declared?flush=1") == await body("/declared")
            assert await body("/echo", "POST", b"hello") == b"hello"
            response = await connection.request("GET", "/trailers")
            assert {name for name, _ in response.trailers} == {b"X-Sum", b"X-Count"}
            for status in 204, 304, 404, 599:
                assert (await connection.request("GET", f"/status/{status}")).status == status
            head = await connection.request("HEAD", "/simple")
            assert (head.header("Content-Length"), head.body) == ("16", b"")
            async with connection.stream("GET", "/stream?n=4") as stream:
                assert await stream.receive() is not None
            assert await body("/simple") == b"Hello, wirecore!"  # behind what nobody wanted
            with trio.move_on_after(0.05):
                await body("/slow?ms=200")
            assert await body("/simple") == b"Hello, wirecore!"
            assert [each for each in peer.peer.seen if each["event"] == "violation"] == []

    run(story)


def test_requests_go_as_far_as_it_reads(
    rest_peer: StartPeer, run: Run, backend: Backend, ours: str
) -> None:
    async def story() -> None:
        most = SAFE["client" if ours == "server" else "server"]
        async with we_call(backend, rest_peer, ours) as (connection, _):
            sizes = iter(range(most - 250, most))

            async def grow() -> None:
                for size in sizes:
                    content = pattern(size)
                    response = await connection.request("POST", "/echo", content=content)
                    assert response.body == content

            with pytest.raises(errors.LocalLimitExceeded) as refused:
                await grow()
            assert refused.value.bound == most
            assert next(sizes) > most - 249

    run(story)


def test_many_tasks_call_it_one_after_another(
    rest_peer: StartPeer, run: Run, backend: Backend, ours: str
) -> None:
    async def story() -> None:
        bodies: set[bytes] = set()
        async with we_call(backend, rest_peer, ours) as (connection, peer):

            async def ask(number: int) -> None:
                content = b"%d" % number
                bodies.add((await connection.request("POST", "/echo", content=content)).body)

            async with trio.open_nursery() as nursery:
                for number in range(30):
                    nursery.start_soon(ask, number)
            assert bodies == {b"%d" % number for number in range(30)}
            assert [each for each in peer.peer.seen if each["event"] == "violation"] == []

    run(story)


def test_it_is_killed_in_the_middle(
    rest_peer: StartPeer, run: Run, backend: Backend, ours: str
) -> None:
    async def story() -> None:
        async with we_call(backend, rest_peer, ours) as (connection, peer):
            async with connection.stream("GET", "/stream?n=100&ms=50") as stream:
                assert await stream.receive() is not None
                await peer.command("cut")
                with pytest.raises(errors.CallLost) as lost:
                    [piece async for piece in stream]
            assert lost.value.execution == "maybe_executed"
            assert connection.closed

    run(story)


def test_it_pings_and_is_pinged(
    rest_peer: StartPeer, run: Run, backend: Backend, ours: str
) -> None:
    async def story() -> None:
        options = {"ping_interval": 0.05, "ping_data": b"ours"}
        flags = ("--watch", "--keepalive", "50ms", "--ping-data", "theirs")
        async with we_serve(backend, rest_peer, ours, *flags, **options) as peer:
            assert (await peer.peer.wait_for("ping"))["data"] == "ours"
            assert (await peer.peer.wait_for("pong"))["data"] == "theirs"
            assert (await peer.call("GET", "/body/3")).has_body(b"abc")

    run(story)
