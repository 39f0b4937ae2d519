"""Callers whose WebSockets are to take memory, under hypercorn: a message takes some, no more."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from typing import Any

import pytest
import trio
from hypercorn.config import Config

from tests.transports.conftest import Run
from tests.transports.pool.world import until
from tests.transports.rest.gateway.test_hostile_callers import UPGRADE, dial
from tests.transports.rest.gateway.world import OpenGateway
from wirecore_trio import websocket

_OPEN = UPGRADE.replace(b"/nobody/", b"/api/")
_DEFLATED = _OPEN.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")

#: Close frames of a server.
_TOO_BIG, _PROTOCOL_ERROR = b"\x88\x02\x03\xf1", b"\x88\x02\x03\xea"


class App:
    """Takes what comes, and remembers its end."""

    def __init__(self) -> None:
        self.code = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            pass
        self.code = message["code"]


def frame(opcode: int, data: bytes, flags: int = 0) -> bytes:
    """A frame of a caller, which isn't the last one unless *flags* say so; its mask is 0."""
    if len(data) < 65_536:
        return struct.pack(">BBH4x", flags | opcode, 0xFE, len(data)) + data
    return struct.pack(">BBQ4x", flags | opcode, 0xFF, len(data)) + data


async def answer_to(stream: trio.SocketStream, piece: bytes, times: int) -> bytes:
    """What comes while *piece* is sent that often, or until nobody takes it any more."""
    got = bytearray()

    async def read() -> None:
        try:
            async for data in stream:
                got.extend(data)
        except trio.BrokenResourceError:
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        try:
            for _ in range(times):
                await stream.send_all(piece)
                if b"\x88" in got:
                    break
                await trio.sleep(0.01)
        except trio.BrokenResourceError:
            pass
    return bytes(got)


@pytest.mark.parametrize("head", [_OPEN, _DEFLATED], ids=["plain", "deflated"])
def test_a_message_without_end(
    head: bytes, open_gateway: OpenGateway, run_real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is over where it is too long, and nothing of it is kept."""
    monkeypatch.setattr(Config, "websocket_max_message_size", 2**18)

    async def story() -> None:
        app = App()
        async with open_gateway() as world, world.publish(app, "api"), await dial(world) as stream:
            await stream.send_all(head)
            assert b" 101 " in await stream.receive_some()
            await stream.send_all(frame(2, bytes(200)))
            got = await answer_to(stream, frame(0, bytes(50_000)), 1000)
            assert _TOO_BIG in got
            await until(lambda: app.code == 1009)

    run_real(story)


def test_a_bomb(open_gateway: OpenGateway, run_real: Run) -> None:
    """64 KiB that inflate to 64 MiB; a message may have 16."""
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(bytes(2**26)) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 2**16

    async def story() -> None:
        app = App()
        async with open_gateway() as world, world.publish(app, "api"), await dial(world) as stream:
            await stream.send_all(_DEFLATED)
            assert b"permessage-deflate" in await stream.receive_some()
            tracemalloc.start()
            try:
                got = await answer_to(stream, frame(1, bomb, 0xC0), 1)
                assert tracemalloc.get_traced_memory()[1] < 2**26
            finally:
                tracemalloc.stop()
            assert _TOO_BIG in got
            await until(lambda: app.code == 1009)

    run_real(story)


def test_who_sends_before_he_is_let_in_leaves_nothing_behind(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    """hypercorn answers 400, and tells nobody else."""
    asked, gone = trio.Event(), trio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await receive()
        asked.set()
        assert (await receive())["type"] == "websocket.disconnect"
        gone.set()

    async def story() -> None:
        async with open_gateway() as world, world.publish(app, "api"), await dial(world) as stream:
            await stream.send_all(_OPEN)
            await asked.wait()
            await stream.send_all(b"x")
            assert b" 400 " in await stream.receive_some()
            await gone.wait()
            await until(lambda: not world.gateway.relays)

    run_real(story)


def test_with_what_a_caller_closes(open_gateway: OpenGateway, run_real: Run) -> None:
    async def story() -> None:
        app = App()
        async with open_gateway() as world, world.publish(app, "api"):
            url = f"ws{world.url.removeprefix('http')}/api/"
            async with websocket.connect(url) as ws:
                await ws.aclose(4001, "enough")
            await until(lambda: app.code == 4001)

    run_real(story)


def test_who_breaks_the_protocol_is_told(open_gateway: OpenGateway, run_real: Run) -> None:
    async def story() -> None:
        app = App()
        async with open_gateway() as world, world.publish(app, "api"), await dial(world) as stream:
            await stream.send_all(_OPEN)
            assert b" 101 " in await stream.receive_some()
            assert _PROTOCOL_ERROR in await answer_to(stream, frame(3, bytes(200), 0x80), 1)
            await until(lambda: app.code == 1002)

    run_real(story)
