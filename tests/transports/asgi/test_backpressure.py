"""Both ends are held back by one who doesn't take what was sent, and pings tell who is there."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from wirecore.constants import Opcode

if TYPE_CHECKING:
    from tests.transports.asgi.conftest import Event, Receive, Send, Serve

_BIG = bytes(256 * 1024)


class Flood:
    """Accepts, and sends big messages until it has to wait; *more* sets off the rest."""

    def __init__(self) -> None:
        self.sent = 0
        self.stuck = asyncio.Event()
        self.outcome: BaseException | None = None

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        loop = asyncio.get_running_loop()
        # The one who notices that a send doesn't come back.
        while self.sent < 400:
            timer = loop.call_later(0.2, self.stuck.set)
            try:
                await send({"type": "websocket.send", "bytes": _BIG})
            except OSError as error:
                self.outcome = error
                return
            finally:
                timer.cancel()
            self.sent += 1


async def test_who_sends_waits_for_a_client_that_doesnt_read(serve: Serve) -> None:
    app = Flood()
    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await app.stuck.wait()
        assert app.sent < 400
        peer.reader._transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(400):
            assert (await peer.frame()).payload == _BIG
        await served.idle()
    assert (app.sent, app.outcome) == (400, None)


async def test_a_sender_that_waits_learns_of_the_loss(serve: Serve, protocol: str) -> None:
    app = Flood()
    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await app.stuck.wait()
        peer.writer.transport.abort()
        await served.idle()
    assert type(app.outcome) is ClientDisconnected


async def test_a_client_that_sends_waits_for_an_application_that_doesnt_receive(
    serve: Serve,
) -> None:
    begin = asyncio.Event()
    sizes = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await begin.wait()
        while (event := await receive())["type"] == "websocket.receive":
            sizes.append(len(event["bytes"]))

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        sock: socket.socket = peer.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        count = 200
        for _ in range(count):
            peer.send(Opcode.BINARY, _BIG)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await peer.writer.drain()
        begin.set()
        await peer.writer.drain()
        peer.close()
        assert (await peer.frame()).close == (1000, "")
        await peer.end()
        await served.idle()
    assert sizes == [len(_BIG)] * count


async def silent(scope: Event, receive: Receive, send: Send) -> None:
    """Accepts, and waits for the end."""
    await receive()
    await send({"type": "websocket.accept"})
    assert (await receive())["type"] == "websocket.disconnect"


async def test_who_answers_pings_is_pinged_again(serve: Serve) -> None:
    async with serve(silent, ws_ping_interval=0.01, ws_ping_timeout=20.0) as served:
        peer = await served.connect()
        await peer.open()
        for _ in range(3):
            ping = await peer.frame()
            assert ping.opcode == Opcode.PING
            peer.send(Opcode.PONG, ping.payload)
        peer.close()
        while (frame := await peer.frame()).opcode == Opcode.PING:
            pass
        assert frame.close == (1000, "")


async def test_who_answers_no_ping_is_left_with_1011(serve: Serve) -> None:
    async with serve(silent, ws_ping_interval=0.01, ws_ping_timeout=0.05) as served:
        peer = await served.connect()
        await peer.open()
        while (frame := await peer.frame()).opcode == Opcode.PING:
            pass
        assert frame.close == (1011, "keepalive ping timeout")
        assert await peer.end() == b""
