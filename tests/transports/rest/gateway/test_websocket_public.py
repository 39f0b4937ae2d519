"""WebSockets through a gateway under hypercorn: real clients, real frameworks, real losses."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
import trio
from websockets.trio.client import connect as other_connect

from tests.transports.pool.world import until
from tests.transports.rest.test_websocket import Echo, accept
from tests.transports.rest.world import under_way
from wirecore_trio import websocket
from wirecore_trio.websocket import ConnectionClosed, UpgradeRejected

pytest.importorskip("fastapi")  # Starlette comes with it
import fastapi
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.rest.gateway.world import OpenGateway, World

BIG = 8 * 1024 * 1024


def url_of(world: World, path: str) -> str:
    """Where WebSockets are asked for."""
    return f"ws{world.url.removeprefix('http')}{path}"


def starlette_app(notes: list[Any]) -> Any:
    """A chat on Starlette."""

    async def chat(ws: WebSocket) -> None:
        await ws.accept(subprotocol="chat", headers=[(b"x-room", b"1")])
        try:
            while True:
                await ws.send_json({"you said": await ws.receive_json()})
        except WebSocketDisconnect as error:
            notes.append(error.code)

    async def refuse(ws: WebSocket) -> None:
        await ws.close()

    async def deny(ws: WebSocket) -> None:
        response = PlainTextResponse("who are you?", 401, {"WWW-Authenticate": "Bearer"})
        await ws.send_denial_response(response)

    async def fail(ws: WebSocket) -> None:
        raise ValueError("a bug")

    async def ends(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text("bye")
        await ws.close(4000, "enough")

    async def breaks(ws: WebSocket) -> None:
        await ws.accept()
        raise ValueError("a bug")

    paths = {each.__name__: each for each in (chat, refuse, deny, fail, ends, breaks)}
    return Starlette(routes=[WebSocketRoute(f"/{name}", each) for name, each in paths.items()])


def fastapi_app(notes: list[Any]) -> Any:
    """The same on FastAPI."""
    app = fastapi.FastAPI()

    async def room(ws: fastapi.WebSocket) -> str:
        return ws.query_params.get("room", "")

    async def chat(ws: fastapi.WebSocket, room: str = fastapi.Depends(room)) -> None:
        assert room == "1"
        await ws.accept(subprotocol="chat", headers=[(b"x-room", room.encode())])
        try:
            async for said in ws.iter_json():
                await ws.send_json({"you said": said})
        finally:
            notes.append("left")

    async def refuse() -> None:
        raise fastapi.WebSocketException(code=1008)

    async def deny() -> None:
        raise fastapi.HTTPException(401, "who are you?", {"WWW-Authenticate": "Bearer"})

    async def fail() -> None:
        raise ValueError("a bug")

    async def ends(ws: fastapi.WebSocket) -> None:
        await ws.accept()
        await ws.send_text("bye")
        raise fastapi.WebSocketException(code=4000, reason="enough")

    async def breaks(ws: fastapi.WebSocket) -> None:
        await ws.accept()
        raise ValueError("a bug")

    for each in chat, refuse, deny, fail, ends, breaks:
        app.add_api_websocket_route(f"/{each.__name__}", each)
    return app


@pytest.mark.parametrize("build", [starlette_app, fastapi_app])
def test_frameworks(open_gateway: OpenGateway, run_real: Run, build: Any) -> None:
    notes: list[Any] = []

    async def refused(world: World, path: str) -> UpgradeRejected:
        with pytest.raises(UpgradeRejected) as caught:
            async with websocket.connect(url_of(world, path)):
                raise AssertionError("it is open")
        return caught.value

    async def story() -> None:
        async with open_gateway() as world, world.publish(build(notes), "api"):
            async with websocket.connect(
                url_of(world, "/api/chat?room=1"), subprotocols=["other", "chat"]
            ) as ws:
                assert ws.subprotocol == "chat"
                assert (b"x-room", b"1") in ws.accepted.headers
                await ws.send('{"a": 1}')
                assert await ws.receive() == '{"you said":{"a":1}}'
            async with websocket.connect(url_of(world, "/api/ends")) as ws:
                assert await ws.receive() == "bye"
                with pytest.raises(ConnectionClosed, match="enough") as caught:
                    await ws.receive()
                assert (caught.value.code, caught.value.clean) == (4000, True)
            async with websocket.connect(url_of(world, "/api/breaks")) as ws:
                with pytest.raises(ConnectionClosed, match="internal error") as caught:
                    await ws.receive()
                assert caught.value.code == 1011
            denied = await refused(world, "/api/deny")
            assert (denied.status, (b"www-authenticate", b"Bearer") in denied.headers) == (
                401,
                True,
            )
            assert b"who are you?" in denied.body
            for path, status in {
                "/api/refuse": 403,
                "/api/nowhere": 403,
                "/api/fail": 500,
                "/else/x": 503,
                "/": 404,
            }.items():
                assert (await refused(world, path)).status == status
            await until(lambda: bool(notes))

    run_real(story)


@pytest.mark.parametrize("connect", [websocket.connect, other_connect])
def test_a_thousand_messages_each_way_at_once(
    open_gateway: OpenGateway, run_real: Run, connect: Any
) -> None:
    wanted = [f"message {number}é" if number % 2 else b"%d" % number for number in range(1000)]
    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def say() -> None:
            for message in wanted:
                kind = "text" if isinstance(message, str) else "bytes"
                await send({"type": "websocket.send", kind: message})

        await accept(receive, send)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say)
            while (message := await receive())["type"] == "websocket.receive":
                got.append(message["text"] if message["bytes"] is None else message["bytes"])

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.publish(app, "api"),
            connect(url_of(world, "/api/")) as ws,
            trio.open_nursery() as nursery,
        ):

            async def say() -> None:
                for message in wanted:
                    await ws.send(message)

            nursery.start_soon(say)
            receive = ws.receive if connect is websocket.connect else ws.recv
            assert [await receive() for _ in wanted] == wanted
            await until(lambda: got == wanted)

    run_real(story)


async def still(counted: list[int]) -> int:
    """How many there are when no more come."""
    before = -1
    while before < len(counted):
        before = len(counted)
        await trio.sleep(1)
    return before


def test_big_messages_wait_for_a_caller_that_reads_slowly(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accept(receive, send)
        for number in range(8):
            await send({"type": "websocket.send", "bytes": bytes([number]) * BIG})
            sent.append(number)

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.publish(app, "api"),
            websocket.connect(url_of(world, "/api/")) as ws,
        ):
            assert await still(sent) <= 2
            for number in range(8):
                assert await ws.receive() == bytes([number]) * BIG

    run_real(story)


def test_big_messages_wait_for_an_application_that_reads_slowly(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    got: list[int] = []
    sent: list[int] = []

    async def story() -> None:
        may_read = trio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await accept(receive, send)
            await may_read.wait()
            while (message := await receive())["type"] == "websocket.receive":
                assert message["bytes"] == bytes([len(got)]) * BIG
                got.append(len(got))

        async with (
            open_gateway() as world,
            world.publish(app, "api"),
            websocket.connect(url_of(world, "/api/")) as ws,
            trio.open_nursery() as nursery,
        ):

            async def say() -> None:
                for number in range(10):
                    await ws.send(bytes([number]) * BIG)
                    sent.append(number)

            nursery.start_soon(say)
            # One at the relay, one waits for it, one waits for that, and what is between them.
            assert await still(sent) <= 5
            may_read.set()
            await until(lambda: len(got) == 10)

    run_real(story)


def test_a_publisher_that_is_lost_in_the_midst_of_a_message(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accept(receive, send)
        await send({"type": "websocket.send", "text": "first"})
        await receive()
        while True:
            await send({"type": "websocket.send", "bytes": bytes(BIG)})

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.publish(app, "api"),
            websocket.connect(url_of(world, "/api/")) as ws,
        ):
            assert await ws.receive() == "first"
            await ws.send("go on")
            [connection] = world.server.connections
            [stream] = under_way(connection)
            await until(lambda: stream.unread > 0)
            connection._channel.abort()
            error = None
            while error is None:
                try:
                    assert await ws.receive() == bytes(BIG)
                except ConnectionClosed as closed:
                    error = closed
            assert (error.code, error.reason) == (1012, "the publisher was lost")

    run_real(story)


def test_a_caller_that_is_lost_in_the_midst_of_a_message(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accept(receive, send)
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                await send({"type": "websocket.send", "bytes": bytes(BIG)})
            told.append(message["code"])
        except OSError:
            told.append(1006)

    async def story() -> None:
        async with open_gateway() as world, world.publish(app, "api"):
            async with websocket.connect(url_of(world, "/api/")) as ws:
                await ws.send("go on")
                await trio.sleep(0.1)
                ws.abort()
            await until(lambda: told == [1006])
            [connection] = world.server.connections
            await until(lambda: not under_way(connection))

    run_real(story)


def test_a_publisher_that_leaves(open_gateway: OpenGateway, run_real: Run) -> None:
    echo = Echo()

    async def story() -> None:
        async with open_gateway() as world, trio.open_nursery() as nursery:
            leave, there = trio.Event(), trio.Event()

            async def publish() -> None:
                async with world.publish(echo, "api"):
                    there.set()
                    await leave.wait()

            nursery.start_soon(publish)
            await there.wait()
            async with websocket.connect(url_of(world, "/api/")) as ws:
                await ws.send("hello")
                assert await ws.receive() == "hello"
                leave.set()
                with pytest.raises(ConnectionClosed, match="going away") as caught:
                    await ws.receive()
                assert caught.value.code == 1012
            assert echo.ended == [(1012, "the server is going away")]

    run_real(story)


def test_the_access_log_has_a_line_for_it(
    open_gateway: OpenGateway, run_real: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wirecore.rest.access")

    def lines() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.name == "wirecore.rest.access"]

    async def story() -> None:
        async with open_gateway() as world, world.publish(Echo(), "api"):
            async with websocket.connect(url_of(world, "/api/a?secret=1")) as ws:
                await ws.send("é" * 10)
                await ws.receive()
                assert lines() == []  # not before it has ended
            await until(lambda: bool(lines()))
            [text] = lines()
            assert text.startswith('127.0.0.1 "GET /api/a" 101 20 bytes ')

    run_real(story)
