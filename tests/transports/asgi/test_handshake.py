"""The upgrade: what the application is told, how it accepts, denies, or fails to do either."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from uvicorn.protocols.utils import ClientDisconnected

if TYPE_CHECKING:
    from tests.transports.asgi.conftest import Event, Receive, Send, Serve


async def accepting(scope: Event, receive: Receive, send: Send) -> None:
    """Accepts, and waits for the end."""
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept"})
    assert (await receive())["type"] == "websocket.disconnect"


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_the_scope_says_all_that_the_request_said(serve: Serve, protocol: str) -> None:
    scopes = []
    # The oldest protocol answers 500 to any header that isn't ASCII.
    custom = "plain" if protocol == "websockets" else "\xe9"

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        scope["state"]["mine"] = 2
        await accepting(scope, receive, send)

    state = {"shared": 1}
    async with serve(app, app_state=state, root_path="/mount") as served:
        peer = await served.connect()
        await peer.open(
            "/caf%C3%A9/a%20b?x=1&y=%20",
            ("X-Custom", custom),
            ("Sec-WebSocket-Protocol", "one, two"),
            ("Sec-WebSocket-Protocol", "three"),
        )
    (scope,) = scopes
    headers = scope.pop("headers")
    # Which versions of ASGI these are is the server's matter, and same for all of its protocols.
    assert scope.pop("asgi") == {"version": "3.0", "spec_version": "2.4"}
    assert list(scope.pop("subprotocols")) == ["one", "two", "three"]
    assert scope == {
        "type": "websocket",
        "http_version": "1.1",
        "scheme": "ws",
        "server": ("127.0.0.1", served.port),
        "client": ("127.0.0.1", peer.writer.get_extra_info("sockname")[1]),
        "root_path": "/mount",
        "path": "/mount/café/a b",
        "raw_path": b"/mount/caf%C3%A9/a%20b",
        "query_string": b"x=1&y=%20",
        "state": {"shared": 1, "mine": 2},
        "extensions": {"websocket.http.response": {}},
    }
    assert state == {"shared": 1}
    assert (b"host", b"example.com") in headers
    assert (b"x-custom", custom.encode("latin-1")) in headers
    assert (b"sec-websocket-version", b"13") in headers


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_an_accepted_upgrade_names_server_and_headers(serve: Serve) -> None:
    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        headers = [
            (b"X-One", b"1"),
            (b"Server", b"mine"),
            (b"set-cookie", b"a"),
            (b"set-cookie", b"b"),
        ]
        await send({"type": "websocket.accept", "headers": headers})
        await receive()

    async with serve(app) as served:
        peer = await served.connect()
        answer = await peer.open()
    assert answer.values(b"server") == [b"uvicorn", b"mine"]
    assert b"today" in answer.values(b"date")
    assert answer.values(b"x-one") == [b"1"]
    assert answer.values(b"set-cookie") == [b"a", b"b"]
    assert answer.values(b"sec-websocket-protocol") == []
    assert answer.values(b"upgrade") == [b"websocket"] or answer.values(b"upgrade") == [
        b"WebSocket"
    ]


@pytest.mark.parametrize("chosen", ["one", "two", None])
async def test_the_application_chooses_the_subprotocol(serve: Serve, chosen: str | None) -> None:
    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": chosen})
        await receive()

    async with serve(app) as served:
        peer = await served.connect()
        answer = await peer.open("/", ("Sec-WebSocket-Protocol", "one, two"))
    expected = [] if chosen is None else [chosen.encode()]
    assert answer.values(b"sec-websocket-protocol") == expected


async def test_over_tls_the_scheme_is_wss(
    serve: Serve, tls_files: tuple[Path, Path], tls_client: ssl.SSLContext
) -> None:
    schemes = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        schemes.append(scope["scheme"])
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})
        await receive()

    certificate, key = tls_files
    async with serve(app, ssl_certfile=certificate, ssl_keyfile=key) as served:
        peer = await served.connect(tls_client)
        await peer.open()
        text = "over TLS" * 50_000
        peer.text(text)
        assert (await peer.frame()).payload == text.encode()
        peer.close()
        assert (await peer.frame()).close == (1000, "")
        assert await peer.end() == b""
    assert schemes == ["wss"]


async def test_closed_before_it_is_accepted_means_403(serve: Serve) -> None:
    events = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4000})
        events.append(await receive())
        with pytest.raises((RuntimeError, ClientDisconnected)):
            await send({"type": "websocket.accept"})

    async with serve(app) as served:
        peer = await served.connect()
        answer = await peer.request()
        assert await peer.end() == b""
    assert answer.status == 403
    assert events == [{"type": "websocket.disconnect", "code": 1006}]


@pytest.mark.parametrize("status", [401, 404, 302])
async def test_denied_with_a_response(serve: Serve, status: int) -> None:
    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"content-type", b"text/html"), (b"content-length", b"7"), (b"x-why", b"no")]
        await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"go ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"away"})
        assert await receive() == {"type": "websocket.disconnect", "code": 1006}

    async with serve(app) as served:
        peer = await served.connect()
        answer = await peer.request()
        assert await peer.end() == b""
    assert (answer.status, answer.body) == (status, b"go away")
    assert answer.values(b"content-type") == [b"text/html"]
    assert answer.values(b"x-why") == [b"no"]
    assert answer.values(b"content-length") == [b"7"]


async def test_a_response_of_no_such_status_is_an_error_of_the_application(
    serve: Serve, protocol: str
) -> None:
    errors = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await send({"type": "websocket.http.response.start", "status": 700, "headers": []})
        except (RuntimeError, ValueError) as error:
            errors.append(type(error))

    async with serve(app) as served:
        peer = await served.connect()
        answer = await peer.request()
    # The oldest protocol looks the number up.
    assert errors == [ValueError if protocol == "websockets" else RuntimeError]
    assert answer.status == 500


async def test_a_response_goes_on_with_its_body(serve: Serve, protocol: str) -> None:
    errors = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        start = {"type": "websocket.http.response.start", "status": 404, "headers": []}
        await send(start)
        try:
            await send(start)
        except RuntimeError as error:
            errors.append(str(error))
        await send({"type": "websocket.http.response.body", "body": b"gone"})

    async with serve(app) as served:
        peer = await served.connect()
        answer = await peer.request()
    assert answer.status == 404
    assert errors == [
        "Expected ASGI message 'websocket.http.response.body' but got "
        "'websocket.http.response.start'."
    ]


@pytest.mark.parametrize("how", ["raises", "returns", "sends", "nonsense"])
async def test_an_application_that_fails_before_it_accepts_means_500(
    serve: Serve, protocol: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    errors = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        if how == "raises":
            raise ValueError("an application's secret")
        if how != "returns":
            kind = "websocket.send" if how == "sends" else "websocket.nonsense"
            try:
                await send({"type": kind, "text": "too early"})
            except RuntimeError as error:
                errors.append(str(error))
                raise

    async with serve(app) as served:
        peer = await served.connect()
        answer = await peer.request()
        rest = await peer.end()
    # Of an application that returns, the oldest protocol sends a 101 behind the 500.
    assert rest == b"" or (protocol, how) == ("websockets", "returns")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert "ASGI" in caplog.text
    if errors:
        (text,) = errors
        assert text.startswith("Expected ASGI message 'websocket.accept', 'websocket.close'")


@pytest.mark.parametrize(
    ("version", "key", "status"), [("8", b"0123456789abcdef", 426), ("13", None, 400)]
)
async def test_an_improper_upgrade_never_reaches_the_application(
    serve: Serve, protocol: str, version: str, key: bytes | None, status: int
) -> None:
    async def app(scope: Event, receive: Receive, send: Send) -> None:
        raise AssertionError("called")

    async with serve(app) as served:
        peer = await served.connect()
        answer = await peer.request(version=version, key=key)
        assert await peer.end() == b""
        assert not served.state.tasks
    assert answer.status in (status, 400)
    if protocol == "wirecore" and status == 426:
        # RFC 6455 section 4.4, which the others leave out in part.
        assert answer.status == 426
        assert answer.values(b"sec-websocket-version") == [b"13"]


async def test_a_client_that_leaves_before_it_is_accepted(serve: Serve) -> None:
    events: list[Event] = []
    waiting = asyncio.Event()

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        waiting.set()
        events.append(await receive())

    async with serve(app) as served:
        peer = await served.connect()
        asking = asyncio.create_task(peer.request())
        await waiting.wait()
        await peer.leave()
        with pytest.raises(asyncio.IncompleteReadError):
            await asking
        await served.idle()
    assert events == [{"type": "websocket.disconnect", "code": 1006}]


async def test_accepting_a_client_that_has_left(serve: Serve, protocol: str) -> None:
    errors = []
    waiting = asyncio.Event()

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        waiting.set()
        assert (await receive())["code"] == 1006
        try:
            await send({"type": "websocket.accept"})
        except OSError as error:
            errors.append(type(error))

    async with serve(app) as served:
        peer = await served.connect()
        asking = asyncio.create_task(peer.request())
        await waiting.wait()
        await peer.leave()
        with pytest.raises(asyncio.IncompleteReadError):
            await asking
        await served.idle()
    # The oldest protocol says nothing.
    assert errors == ([] if protocol == "websockets" else [ClientDisconnected])


async def test_a_server_that_stops_answers_500_to_who_waits(serve: Serve) -> None:
    waiting = asyncio.Event()

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        waiting.set()
        await receive()

    async with serve(app) as served:
        peer = await served.connect()
        asking = asyncio.create_task(peer.request())
        await waiting.wait()
        served.only_connection().shutdown()
        assert (await asking).status == 500
