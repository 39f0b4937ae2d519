"""What is ours alone: where uvicorn's protocols do otherwise, or have no say."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from wirecore import errors
from wirecore.constants import Opcode
from wirecore_asgi.uvicorn import WebSocketProtocol

if TYPE_CHECKING:
    from tests.transports.asgi.conftest import Event, Peer, Receive, Send, Serve, Served


@pytest.fixture
def protocol() -> str:
    """Ours."""
    return "wirecore"


def transport_writes(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what the one connection's transport is given from now on."""
    connection = served.only_connection()
    sizes: list[int] = []
    real = connection.transport

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def write(self, data: bytes) -> None:
            sizes.append(len(data))
            real.write(data)

    monkeypatch.setattr(connection._outlet, "_transport", Counting())
    return sizes


async def echo(scope: Event, receive: Receive, send: Send) -> None:
    """Sends back what comes, until the end."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


def test_the_package_loads_neither_a_server_nor_a_loop() -> None:
    code = (
        "import sys, wirecore_asgi; "
        "print(sorted({'asyncio', 'trio', 'uvicorn', 'uvloop'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_protocol_loads_no_trio() -> None:
    code = "import sys, wirecore_asgi.uvicorn; print('trio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


async def test_answers_to_one_read_leave_in_few_writes(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(echo) as served:
        peer = await served.connect()
        await peer.open()
        sizes = transport_writes(served, monkeypatch)
        for number in range(100):
            peer.send(Opcode.BINARY, bytes([number]))
        for number in range(100):
            assert (await peer.frame()).payload == bytes([number])
        # asyncio's streams send the first message alone, and the rest together.
        assert sum(sizes) == 300
        assert len(sizes) < 10


async def test_a_burst_leaves_in_few_writes_and_leaves_others_their_turn(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = asyncio.Event()
    turns = 0

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        nonlocal turns
        await receive()
        await send({"type": "websocket.accept"})
        await begin.wait()
        ticking = asyncio.create_task(tick())
        for _ in range(1000):
            await send({"type": "websocket.send", "bytes": bytes(1000)})
        ticking.cancel()
        await receive()

    async def tick() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        sizes = transport_writes(served, monkeypatch)
        begin.set()
        for _ in range(1000):
            assert (await peer.frame()).payload == bytes(1000)
    assert sum(sizes) == 1004 * 1000
    assert len(sizes) < 20
    assert turns >= 3


async def test_what_the_client_says_before_it_is_accepted_is_kept(serve: Serve) -> None:
    begin = asyncio.Event()

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        begin.set()
        await go_on.wait()
        await echo(scope, receive, send)

    go_on = asyncio.Event()
    async with serve(app) as served:
        peer = await served.connect()
        asking = asyncio.create_task(peer.open())
        await begin.wait()
        peer.text("early")
        connection = served.only_connection()
        await served.until(lambda: connection._early)
        go_on.set()
        await asking
        assert (await peer.frame()).payload == b"early"


@pytest.mark.parametrize("size", [1, 65_536])
async def test_a_client_that_spoke_early_and_leaves_before_it_is_accepted(
    serve: Serve, size: int
) -> None:
    events: list[Event] = []
    waiting = asyncio.Event()

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        waiting.set()
        events.append(await receive())
        with pytest.raises(ClientDisconnected):
            await send({"type": "websocket.accept"})

    async with serve(app) as served:
        peer = await served.connect()
        asking = asyncio.create_task(peer.request())
        await waiting.wait()
        peer.writer.write(bytes(size))
        connection = served.only_connection()
        await served.until(lambda: len(connection._early) == size)
        await peer.leave()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await asking
        await served.idle()
    assert events == [{"type": "websocket.disconnect", "code": 1006}]


async def test_a_client_that_says_too_much_before_it_is_accepted_is_left(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "uvicorn.error")
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
        connection = served.only_connection()
        peer.writer.write(bytes(65_537))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await asking
        await served.idle()
        assert connection._early == b""
    assert events == [{"type": "websocket.disconnect", "code": 1006}]
    assert caplog.text.count("sent too much before it was accepted") == 1


async def test_a_subprotocol_nobody_asked_for_is_the_applications_error(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "mine"})

    async with serve(app) as served:
        peer = await served.connect()
        assert (await peer.request()).status == 500
    assert "the client didn't ask for subprotocol 'mine'" in caplog.text


@pytest.mark.parametrize("event", [{}, {"bytes": None, "text": None}])
async def test_a_message_without_content_is_an_error(serve: Serve, event: Event) -> None:
    caught = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with pytest.raises(TypeError, match="needs bytes or text") as info:
            await send({"type": "websocket.send", **event})
        caught.append(info.type)

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        assert await peer.end() == b""
    assert caught == [TypeError]


async def test_a_close_code_that_cant_be_sent_leaves_the_connection_open(serve: Serve) -> None:
    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with pytest.raises(errors.InvalidOption, match="close code 1006"):
            await send({"type": "websocket.close", "code": 1006})
        await send({"type": "websocket.close", "code": 1000})

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        assert (await peer.frame()).close == (1000, "")


async def test_a_response_with_fields_that_cant_be_sent_means_500(serve: Serve) -> None:
    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"x-split", b"a\r\nset-cookie: b")]
        await send({"type": "websocket.http.response.start", "status": 404, "headers": headers})

    async with serve(app) as served:
        peer = await served.connect()
        answer = await peer.request()
    assert answer.status == 500
    assert not answer.values(b"set-cookie")


async def test_accepting_when_the_server_stops(serve: Serve) -> None:
    go_on, errors = asyncio.Event(), []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await go_on.wait()
        try:
            await send({"type": "websocket.accept"})
        except ClientDisconnected as error:
            errors.append(error)

    async with serve(app) as served:
        peer = await served.connect()
        asking = asyncio.create_task(peer.request())
        await served.until(lambda: served.state.tasks)
        served.only_connection().shutdown()
        go_on.set()
        assert (await asking).status == 500
        await served.idle()
    assert len(errors) == 1


@pytest.mark.parametrize("option", [{"ws_max_size": 0}, {"ws_ping_interval": -1.0}])
async def test_an_option_that_makes_no_sense_is_told_and_ends_the_connection(
    serve: Serve, option: Event, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(echo, **option) as served:
        peer = await served.connect()
        assert (await peer.request()).status == 500
        assert await peer.end() == b""
    assert "InvalidOption" in caplog.text


async def test_a_head_of_more_than_64_kib_is_refused(serve: Serve) -> None:
    async with serve(echo) as served:
        peer = await served.connect()
        answer = await peer.request("/", *[("X-Long", "x" * 8000)] * 9)
    assert answer.status == 431


async def test_who_isnt_listened_to_isnt_blamed_for_pongs(serve: Serve) -> None:
    """Reading stops for an application that doesn't receive, and the pong's clock with it."""
    begin = asyncio.Event()
    received = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await begin.wait()
        while (event := await receive())["type"] == "websocket.receive":
            received.append(event["text"])

    async with serve(app, ws_ping_interval=0.01, ws_ping_timeout=0.05, ws_max_queue=2) as served:
        peer = await served.connect()
        await peer.open()
        connection = served.only_connection()
        count = 0
        while not connection._inbox.held:
            peer.text(str(count))
            count += 1
            await asyncio.sleep(0)
        for _ in range(12):  # more than twice the timeout
            assert (await peer.frame()).opcode == Opcode.PING
        begin.set()
        peer.send(Opcode.PONG)
        peer.close()
        while (frame := await peer.frame()).opcode == Opcode.PING:
            pass
        assert frame.close == (1000, "")
        await served.idle()
    assert received == [str(number) for number in range(count)]


async def test_a_read_that_inflates_to_much_is_decoded_as_the_application_takes_it(
    serve: Serve,
) -> None:
    sizes = []
    begin = asyncio.Event()

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await begin.wait()
        while (event := await receive())["type"] == "websocket.receive":
            sizes.append(len(event["bytes"]))
        sizes.append(event["code"])

    packer = zlib.compressobj(wbits=-12)
    packed = [
        (packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
        for _ in range(30)
    ]
    async with serve(app) as served:
        peer = await served.connect()
        await peer.open(
            "/", ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
        )
        connection = served.only_connection()
        for each in packed:
            peer.send(Opcode.BINARY, each, rsv1=True)
        peer.close(1001)
        await served.until(lambda: connection._inbox.held)
        assert connection._inbox.size() < 15_000_000
        begin.set()
        assert (await peer.frame()).close[0] == 1001
        await served.idle()
    assert sizes == [1_000_000] * 30 + [1001]


async def test_a_client_that_takes_nothing_cant_hold_the_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirecore_asgi._outlet._LAST_FLUSH", 0.05)
    stuck = asyncio.Event()

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytes(32 * 1024 * 1024)})
        stuck.set()

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await stuck.wait()
        await served.idle()
        await served.until(lambda: not served.state.connections)


async def test_a_client_that_doesnt_answer_a_close_frame_is_left(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirecore_asgi.uvicorn._CLOSE_TIMEOUT", 0.05)

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000})

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        assert (await peer.frame()).close == (4000, "")
        assert await peer.end() == b""


async def test_no_bounds_where_none_are_wanted(serve: Serve) -> None:
    options = {"ws_max_size": None, "ws_max_queue": None, "ws_ping_interval": None}
    async with serve(echo, **options) as served:
        peer = await served.connect()
        await peer.open()
        connection: WebSocketProtocol = served.only_connection()
        assert connection._deadline._timer is None
        await exchange(peer, bytes(17 * 1024 * 1024))


async def test_several_may_receive_and_one_may_give_up(serve: Serve) -> None:
    got = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        tasks = [asyncio.ensure_future(receive()) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await send({"type": "websocket.send", "text": "go"})
        for task in tasks[1:]:
            got.append((await task)["text"])

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        assert (await peer.frame()).payload == b"go"
        peer.text("one")
        peer.text("two")
        assert await peer.end() == b""
    assert sorted(got) == ["one", "two"]


async def exchange(peer: Peer, payload: bytes) -> None:
    """One message there and back."""
    peer.send(Opcode.BINARY, payload)
    assert (await peer.frame()).payload == payload
