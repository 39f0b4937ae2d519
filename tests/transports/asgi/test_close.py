"""The end: who closes, what the other one and the application learn, and what follows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from wirecore.constants import Opcode

if TYPE_CHECKING:
    from tests.transports.asgi.conftest import Event, Receive, Send, Serve


class Recorder:
    """Accepts, and notes the next *count* events."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self.events: list[Event] = []

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(self.count):
            self.events.append(await receive())


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "going"), (3000, "grüße"), (4999, "x" * 123)]
)
async def test_the_client_closes(serve: Serve, code: int, reason: str) -> None:
    app = Recorder(2)
    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        peer.close(code, reason)
        assert (await peer.frame()).close[0] == code
        assert await peer.end() == b""
        await served.idle()
    first, behind = app.events
    assert first == {"type": "websocket.disconnect", "code": code, "reason": reason}
    # Whoever receives once more doesn't wait for ever.
    assert (behind["type"], behind["code"]) == ("websocket.disconnect", 1005)


async def test_the_client_closes_without_a_code(serve: Serve) -> None:
    app = Recorder()
    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        peer.close(None)
        assert (await peer.frame()).opcode == Opcode.CLOSE
        assert await peer.end() == b""
        await served.idle()
    assert app.events == [{"type": "websocket.disconnect", "code": 1005, "reason": ""}]


@pytest.mark.parametrize("hard", [True, False])
async def test_the_connection_is_lost(serve: Serve, protocol: str, hard: bool) -> None:
    app = Recorder()
    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        if hard:
            peer.writer.transport.abort()
        else:
            peer.writer.close()
        await served.idle()
        assert not served.state.connections
    # ASGI: 1005 where the client named no code. The oldest protocol says 1006, as RFC 6455 does.
    assert app.events[0]["type"] == "websocket.disconnect"
    assert app.events[0]["code"] == (1006 if protocol == "websockets" else 1005)


async def test_messages_before_the_close_are_received_before_it(serve: Serve) -> None:
    app = Recorder(2)
    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        peer.text("last words")
        peer.close(1001)
        await peer.end()
        await served.idle()
    assert [event.get("text", event.get("code")) for event in app.events] == ["last words", 1001]


@pytest.mark.parametrize(
    ("event", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"code": 1001}, 1001, ""),
        ({"code": 4000, "reason": "grüße"}, 4000, "grüße"),
        ({"code": 1000, "reason": None}, 1000, ""),
    ],
)
async def test_the_application_closes(
    serve: Serve, protocol: str, event: Event, code: int, reason: str
) -> None:
    events = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", **event})
        events.append(await receive())

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        assert (await peer.frame()).close == (code, reason)
        # The server leaves the client time to answer, and ends the stream then.
        peer.close(code)
        assert await peer.end() == b""
        await served.idle()
    (event,) = events
    if protocol == "websockets":
        assert event == {"type": "websocket.disconnect", "code": 1005}
    else:
        assert event == {"type": "websocket.disconnect", "code": code, "reason": reason}


async def test_what_is_unread_doesnt_keep_the_application_from_closing(
    serve: Serve, protocol: str
) -> None:
    if protocol == "websockets":
        pytest.skip("it doesn't read on, and misses the client's close frame")
    begin = asyncio.Event()

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await begin.wait()
        await send({"type": "websocket.close"})

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        for number in range(50):
            peer.text(str(number))
        begin.set()
        assert (await peer.frame()).close == (1000, "")
        peer.text("too late")
        peer.close()
        assert await peer.end() == b""


@pytest.mark.parametrize("how", ["raises", "returns", "returns a value"])
async def test_an_application_that_ends_without_closing_just_ends_the_stream(
    serve: Serve, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Event, receive: Receive, send: Send) -> Any:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "last words"})
        if how == "raises":
            raise ValueError("an application's secret")
        return 1 if how == "returns a value" else None

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        assert (await peer.frame()).payload == b"last words"
        rest = await peer.end()
        await served.idle()
    assert rest == b"", "none of them sends a close frame of its own"
    assert ("ASGI" in caplog.text) == (how != "returns")


async def test_sending_to_a_client_that_closed(serve: Serve, protocol: str) -> None:
    errors = []
    # To the oldest protocol it is as if the application had closed.
    expected = RuntimeError if protocol == "websockets" else ClientDisconnected

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        assert (await receive())["type"] == "websocket.disconnect"
        for _ in range(2):
            try:
                await send({"type": "websocket.send", "text": "hello?"})
            except (OSError, RuntimeError) as error:
                errors.append(type(error))

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        peer.close()
        await peer.end()
        await served.idle()
    assert errors == [expected] * 2


async def test_sending_over_a_lost_connection(
    serve: Serve, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    if protocol == "websockets":
        pytest.skip("to it, it is as if the application had closed")
    errors = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        assert (await receive())["type"] == "websocket.disconnect"
        try:
            await send({"type": "websocket.send", "text": "hello?"})
        except OSError as error:
            errors.append(type(error))
            raise

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        peer.writer.transport.abort()
        await served.idle()
    assert errors == [ClientDisconnected]
    assert "Traceback" not in caplog.text, "an application may end that way"


@pytest.mark.parametrize("kind", ["websocket.send", "websocket.close", "websocket.accept"])
async def test_sending_after_its_own_close_is_an_error(serve: Serve, kind: str) -> None:
    errors = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        try:
            await send({"type": kind, "text": "one more"})
        except (OSError, RuntimeError) as error:
            errors.append(error)

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        await peer.frame()
        peer.close()
        await peer.end()
        await served.idle()
    (error,) = errors
    if type(error) is not ClientDisconnected:  # where the close frame's answer came meanwhile
        assert type(error) is RuntimeError
        assert str(error).startswith(f"Unexpected ASGI message '{kind}', after sending")


@pytest.mark.parametrize("kind", ["websocket.accept", "websocket.http.response.start"])
async def test_what_isnt_due_is_an_error(serve: Serve, kind: str) -> None:
    errors = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await send({"type": kind, "status": 200, "headers": []})
        except RuntimeError as error:
            errors.append(str(error))
            raise

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        assert await peer.end() == b""
        await served.idle()
    assert errors == [
        f"Expected ASGI message 'websocket.send' or 'websocket.close', but got '{kind}'."
    ]


async def test_a_server_that_stops_says_1012(serve: Serve) -> None:
    app = Recorder()
    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        served.only_connection().shutdown()
        assert (await peer.frame()).close == (1012, "")
        peer.close(1012)
        assert await peer.end() == b""
        await served.idle()
    assert app.events[0] == {"type": "websocket.disconnect", "code": 1012}


async def test_a_server_that_stops_doesnt_wait_for_an_answer_to_a_close_frame(
    serve: Serve,
) -> None:
    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4001})

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        assert (await peer.frame()).close == (4001, "")
        served.only_connection().shutdown()
        assert await peer.end() == b""
