"""The same application, over HTTP on hypercorn's server for trio: it sees and answers the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h11
import pytest
import trio

from tests.transports.rest.memory_incoming import MemoryCaller, MemoryIncoming, serve
from wirecore_trio.rest._asgi import AsgiHandler

pytest.importorskip("fastapi")
pytest.importorskip("hypercorn")
import fastapi
import hypercorn.trio
from hypercorn.config import Config
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

if TYPE_CHECKING:
    from tests.transports.conftest import Run

#: What the server adds, or whose value is the wire's.
_OF_THE_SERVER = {b"connection", b"date", b"server", b"transfer-encoding"}
#: What there is to compare of a scope: the rest is the connection's.
_OF_THE_REQUEST = (
    "type",
    "http_version",
    "method",
    "scheme",
    "path",
    "raw_path",
    "query_string",
    "headers",
)

#: Method, target, body.
CASES = [
    ("GET", "/items/7?q=a%20b&q=c", b""),
    ("HEAD", "/items/7", b""),
    ("GET", "/items/caf%C3%A9", b""),
    ("POST", "/items", b'{"name": "x", "price": 2.5}'),
    ("POST", "/items", b"no JSON"),
    ("DELETE", "/items/7", b""),
    ("OPTIONS", "/items/7", b""),
    ("GET", "/stream", b""),
    ("HEAD", "/stream", b""),
    ("GET", "/unchanged", b""),
    ("GET", "/cookies", b""),
    ("GET", "/moved", b""),
    ("GET", "/%2e%2e/a%2Fb//c;d=e?", b""),
    ("GET", "/bug", b""),
]


def application(scopes: list[dict[str, Any]]) -> Any:
    """An application on FastAPI, and around it one that notes the scopes that it sees."""
    api = fastapi.FastAPI()

    async def get_item(name: str, request: Request) -> dict[str, Any]:
        return {"name": name, "q": request.query_params.getlist("q")}

    def add_item(item: dict[str, Any]) -> dict[str, Any]:
        return item

    async def delete_item(name: str) -> Response:
        return Response(status_code=204)

    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"one", b"", b"two"]), headers={"X-Kept": "as it is"})

    async def unchanged() -> Response:
        return Response(status_code=304, headers={"ETag": '"x"'})

    async def cookies() -> Response:
        response = JSONResponse([])
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    async def bug() -> None:
        raise ValueError("a bug")

    api.add_api_route("/items/{name}", get_item, methods=["GET", "HEAD"])
    api.add_api_route("/items", add_item, methods=["POST"], status_code=201)
    api.add_api_route("/items/{name}", delete_item, methods=["DELETE"], status_code=204)
    api.add_api_route("/stream", stream, methods=["GET", "HEAD"])
    api.add_api_route("/unchanged", unchanged)
    api.add_api_route("/cookies", cookies)
    api.add_api_route("/bug", bug)
    api.add_api_route("/moved", lambda: fastapi.responses.RedirectResponse("/items/7"))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scopes.append({key: scope[key] for key in _OF_THE_REQUEST})
        await api(scope, receive, send)

    return app


def request_fields(host: str, body: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of a request, to either."""
    fields = [(b"Host", host.encode()), (b"X-Twice", b"1"), (b"x-twice", b"2")]
    if body:
        fields.append((b"Content-Type", b"application/json"))
        fields.append((b"Content-Length", b"%d" % len(body)))
    return fields


async def over_http(port: int, method: str, target: str, body: bytes) -> tuple[int, Any, bytes]:
    """Status, header fields and body that hypercorn answers with."""
    client = h11.Connection(h11.CLIENT)
    fields = request_fields(f"127.0.0.1:{port}", body)
    head = client.send(h11.Request(method=method, target=target, headers=fields))
    data = client.send(h11.Data(body)) if body else b""
    end = client.send(h11.EndOfMessage())
    assert head is not None
    assert data is not None
    assert end is not None
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(head + data + end)
        response: Any = None
        got = b""
        while True:
            event = client.next_event()
            if event is h11.NEED_DATA:
                client.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                got += event.data
            else:
                assert isinstance(event, h11.EndOfMessage)
                return response.status_code, list(response.headers), got


def shown(status: int, fields: Any, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """What there is to compare of a response."""
    lowered = sorted((name.lower(), value) for name, value in fields)
    return status, [field for field in lowered if field[0] not in _OF_THE_SERVER], body


def test_both_servers_show_and_answer_the_same(run_real: Run) -> None:
    async def story() -> None:
        scopes: list[dict[str, Any]] = []
        app = application(scopes)
        config = Config()
        config.bind = ["127.0.0.1:0"]
        config.errorlog = None
        done = trio.Event()

        async with trio.open_nursery() as nursery:

            async def run_server(task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
                await hypercorn.trio.serve(
                    app, config, shutdown_trigger=done.wait, task_status=task_status
                )

            (bound, *_) = await nursery.start(run_server)
            port = int(bound.rpartition(":")[2])
            theirs = [shown(*await over_http(port, *case)) for case in CASES]
            done.set()

        seen_there = scopes.copy()
        scopes.clear()
        handler = AsgiHandler(app)
        for case, expected, scope in zip(CASES, theirs, seen_there, strict=True):
            method, target, body = case
            fields = request_fields(f"127.0.0.1:{port}", body)
            caller = MemoryCaller("127.0.0.1:1")
            incoming = MemoryIncoming(method, target, fields, body=body, caller=caller)
            await serve(handler, incoming)
            answer = shown(incoming.status, incoming.happened[0][2], incoming.body)
            assert (case, answer) == (case, expected)
            assert (case, scopes.pop()) == (case, scope)

    run_real(story)
