"""httpx2 and httpx over a connection: as over HTTP, with their own errors."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.rest.world import OpenServer, Parked, answer, echo, read
from wirecore_trio import rest


@pytest.fixture(params=["httpx2", "httpx"])
def library(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def client_of(library: Any, connection: Any, **more: Any) -> Any:
    transport = importlib.import_module(f"wirecore_trio.rest.{library.__name__}").Transport
    return library.AsyncClient(transport=transport(connection), base_url="http://api/v1", **more)


def test_requests_of_all_kinds(library: Any, open_server: OpenServer, run_sockets: Run) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        seen.append((scope["method"], scope["raw_path"], scope["scheme"], dict(scope["headers"])))
        await answer(send, await read(receive), 201)

    async def story() -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield bytes(5000)

        async with (
            open_server(app) as world,
            world.connect() as client,
            client_of(library, client) as http,
        ):
            response = await http.get("/todos", params={"a": "b c"})
            assert (response.status_code, response.reason_phrase) == (201, "Created")
            assert response.http_version == "HTTP/1.1"
            assert (await http.post("/", json={"a": 1})).json() == {"a": 1}
            assert len((await http.put("/", content=bytes(300_000))).content) == 300_000
            assert len((await http.put("/", content=pieces())).content) == 500_000
            async with http.stream("PUT", "/", content=bytes(100_000)) as response:
                assert sum([len(piece) async for piece in response.aiter_bytes()]) == 100_000
            async with http.stream("PUT", "/", content=bytes(100_000)) as response:
                pass  # and what hasn't come isn't wanted
            [theirs] = await world.joined()
            assert len(theirs._serving) <= 1
        method, path, scheme, headers = seen[0]
        assert (method, scheme) == ("GET", "http")
        assert path == b"/v1/todos"
        assert headers[b"host"] == b"api"
        assert b"connection" not in headers
        assert b"x-correlation-id" in headers

    run_sockets(story)


def test_a_server_calls_through_it_too(
    library: Any, open_server: OpenServer, run_sockets: Run
) -> None:
    async def story() -> None:
        async with open_server() as world, world.connect(echo):
            [theirs] = await world.joined()
            async with client_of(library, theirs) as http:
                assert (await http.delete("/x")).content == b"DELETE /v1/x "

    run_sockets(story)


def test_its_errors_are_the_librarys(
    library: Any, open_server: OpenServer, run_sockets: Run
) -> None:
    parked = Parked()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/v1/breaks":
            await parked(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise ValueError("it broke")

    async def story() -> None:
        async with open_server(app) as world, world.connect(max_streams=1) as client:
            timeout = library.Timeout(2)
            async with client_of(library, client, timeout=timeout) as http:
                with pytest.raises(library.ReadTimeout):
                    await http.get("/slow")
                with pytest.raises(library.RemoteProtocolError, match="internal error"):
                    await http.get("/breaks")
                with pytest.raises(library.LocalProtocolError):
                    await http.get("/", headers={"X": b"a\r\nb"})
                async with trio.open_nursery() as nursery:

                    async def occupy() -> None:
                        with pytest.raises(library.ReadError):
                            await http.get("/occupies", timeout=None)

                    nursery.start_soon(occupy)
                    await parked.wait_for("/v1/occupies")
                    with pytest.raises(library.PoolTimeout):
                        await http.get("/second")
                    client._closing = True
                    world.server.connections[0]._channel.abort()
                    await client.connection.wait_closed() if client.connection else None
                with pytest.raises(library.ConnectError):
                    await http.get("/")

    run_sockets(story)


def test_there_is_no_connection_in_time(library: Any, run_sockets: Run) -> None:
    async def story() -> None:
        async with (
            rest.connect("ws://127.0.0.1:1/", wait=False) as client,
            client_of(library, client) as http,
        ):
            with pytest.raises(library.ConnectTimeout):
                await http.get("/", timeout=3)

    run_sockets(story)


def test_it_is_made_of_a_connection(library: Any) -> None:
    with pytest.raises(TypeError, match="connection"):
        client_of(library, "ws://127.0.0.1/")
