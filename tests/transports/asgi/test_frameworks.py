"""Starlette and FastAPI on top, and uvicorn's own server around it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

pytest.importorskip("fastapi")  # Starlette comes with it
import fastapi
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from wirecore.constants import Opcode

if TYPE_CHECKING:
    from tests.transports.asgi.conftest import Event, Receive, Send, Serve


def starlette_app() -> Starlette:
    """An application on Starlette."""

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="two")
        async for text in websocket.iter_text():
            await websocket.send_text(f"{websocket.path_params['name']}: {text}")

    async def deny(websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("not you", status_code=401))

    async def page(request: Any) -> PlainTextResponse:
        return PlainTextResponse("a page")

    return Starlette(
        routes=[
            WebSocketRoute("/echo/{name}", echo),
            WebSocketRoute("/deny", deny),
            Route("/page", page),
        ]
    )


def fastapi_app() -> fastapi.FastAPI:
    """The same on FastAPI."""
    app = fastapi.FastAPI()

    async def echo(websocket: fastapi.WebSocket, name: str) -> None:
        await websocket.accept(subprotocol="two")
        async for text in websocket.iter_text():
            await websocket.send_text(f"{name}: {text}")

    async def deny(websocket: fastapi.WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("not you", status_code=401))

    async def page() -> PlainTextResponse:
        return PlainTextResponse("a page")

    app.add_api_websocket_route("/echo/{name}", echo)
    app.add_api_websocket_route("/deny", deny)
    app.add_api_route("/page", page)
    return app


@pytest.mark.parametrize("make", [starlette_app, fastapi_app])
async def test_an_application_of_a_framework(serve: Serve, make: Any) -> None:
    async with serve(make()) as served:
        peer = await served.connect()
        answer = await peer.open("/echo/Ann", ("Sec-WebSocket-Protocol", "one, two"))
        assert answer.values(b"sec-websocket-protocol") == [b"two"]
        peer.text("hello")
        assert (await peer.frame()).payload == b"Ann: hello"
        peer.close()
        assert (await peer.frame()).close == (1000, "")
        await peer.end()

        refused = await (await served.connect()).request("/deny")
        assert (refused.status, refused.body) == (401, b"not you")
        unknown = await (await served.connect()).request("/unknown")
        assert unknown.status in (403, 404)

        plain = await served.connect()
        plain.writer.write(b"GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n")
        assert (await plain.answer()).body == b"a page"


async def test_a_server_started_by_name_hands_its_state_over_and_stops(
    protocol: str, http: str, serve: Serve
) -> None:
    """The import string of the command line, and a shutdown with a connection open."""
    from tests.transports.asgi.conftest import PROTOCOLS, Peer, protocol_class

    protocol_class(protocol)  # its warnings come with the import
    seen: list[Event] = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["answer"] = 42
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        seen.append(scope["state"])
        await receive()
        await send({"type": "websocket.accept"})
        seen.append(await receive())

    config = uvicorn.Config(
        app,
        ws=PROTOCOLS[protocol],
        http=http,
        port=0,
        log_config=None,
        lifespan="on",
    )
    started = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    server = Server(config)
    running = asyncio.create_task(server._serve())
    await started.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    peer = Peer(*await asyncio.open_connection("127.0.0.1", port))
    answer = await peer.open()
    assert answer.values(b"server") == [b"uvicorn"]
    server.should_exit = True
    frame = await peer.frame()
    assert (frame.opcode, frame.close) == (Opcode.CLOSE, (1012, ""))
    peer.close(1012)
    assert await peer.end() == b""
    await running
    state, last = seen
    assert state["answer"] == 42
    assert (last["type"], last["code"]) == ("websocket.disconnect", 1012)
