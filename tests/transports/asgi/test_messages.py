"""Messages both ways: kinds, sizes, fragments, compression, and what breaks the rules."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import pytest

from wirecore.constants import Opcode

if TYPE_CHECKING:
    from tests.transports.asgi.conftest import Event, Peer, Receive, Send, Serve


async def echo(scope: Event, receive: Receive, send: Send) -> None:
    """Sends back what comes, until the end."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


class Recorder:
    """Accepts, and notes what comes."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while not self.events or self.events[-1]["type"] == "websocket.receive":
            self.events.append(await receive())


async def says_goodbye(peer: Peer) -> None:
    """The closing handshake, begun by the client."""
    peer.close()
    assert (await peer.frame()).close == (1000, "")
    assert await peer.end() == b""


async def test_text_and_bytes_arrive_as_what_they_are(serve: Serve) -> None:
    app = Recorder()
    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        peer.text("grüße")
        peer.send(Opcode.BINARY, b"\x00\xff")
        peer.text("")
        peer.send(Opcode.BINARY)
        await says_goodbye(peer)
        await served.idle()
    kinds: list[tuple[str, Any]] = []
    for event in app.events[:-1]:
        assert event["type"] == "websocket.receive"
        ((kind, value),) = [(k, v) for k, v in event.items() if k != "type" and v is not None]
        kinds.append((kind, value))
    assert kinds == [("text", "grüße"), ("bytes", b"\x00\xff"), ("text", ""), ("bytes", b"")]


@pytest.mark.parametrize(
    ("event", "opcode", "payload"),
    [
        ({"text": "grüße"}, Opcode.TEXT, "grüße".encode()),
        ({"bytes": b"\x00\xff"}, Opcode.BINARY, b"\x00\xff"),
        ({"bytes": b"both", "text": None}, Opcode.BINARY, b"both"),
        ({"bytes": None, "text": "both"}, Opcode.TEXT, b"both"),
        ({"bytes": b""}, Opcode.BINARY, b""),
    ],
)
async def test_what_is_sent_is_what_was_given(
    serve: Serve, event: Event, opcode: int, payload: bytes
) -> None:
    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", **event})
        await receive()

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        frame = await peer.frame()
    assert (frame.opcode, frame.payload, frame.fin) == (opcode, payload, True)


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 1_000_000])
async def test_messages_of_all_sizes(serve: Serve, size: int) -> None:
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with serve(echo) as served:
        peer = await served.connect()
        await peer.open()
        peer.send(Opcode.BINARY, payload)
        assert (await peer.frame()).payload == payload
        await says_goodbye(peer)


async def test_many_messages_at_once_come_back_in_order(serve: Serve) -> None:
    async with serve(echo) as served:
        peer = await served.connect()
        await peer.open()
        for number in range(500):
            peer.text(str(number))
        assert [(await peer.frame()).payload for _ in range(500)] == [
            str(number).encode() for number in range(500)
        ]
        await says_goodbye(peer)


async def test_fragments_make_one_message_and_pings_go_between(serve: Serve) -> None:
    async with serve(echo) as served:
        peer = await served.connect()
        await peer.open()
        peer.send(Opcode.TEXT, b"gr\xc3", fin=False)
        peer.send(Opcode.PING, b"are you there")
        pong = await peer.frame()
        assert (pong.opcode, pong.payload) == (Opcode.PONG, b"are you there")
        peer.send(Opcode.CONTINUATION, b"\xbc", fin=False)
        peer.send(Opcode.CONTINUATION, "ße".encode())
        assert (await peer.frame()).payload == "grüße".encode()
        await says_goodbye(peer)


@pytest.mark.parametrize("fragments", [1, 4])
async def test_a_message_may_be_as_large_as_ws_max_size_and_no_larger(
    serve: Serve, protocol: str, fragments: int
) -> None:
    app = Recorder()
    async with serve(app, ws_max_size=1000) as served:
        peer = await served.connect()
        await peer.open()
        for size in (1000, 1001):
            step = -(-size // fragments)
            for start in range(0, size, step):
                opcode = Opcode.CONTINUATION if start else Opcode.BINARY
                piece = bytes(size)[start : start + step]
                peer.send(opcode, piece, fin=start + step >= size)
            if size == 1000:
                # What came in one read with a failure is lost in websockets-sansio.
                peer.send(Opcode.PING, b"so far")
                assert (await peer.frame()).opcode == Opcode.PONG
        code, _ = (await peer.frame()).close
        await peer.end()
        await served.idle()
    assert code == 1009
    first, last = app.events
    assert first["bytes"] == bytes(1000)
    # The oldest protocol has 1006 for all that the client didn't say itself.
    expected = 1006 if protocol == "websockets" else 1009
    assert (last["type"], last["code"]) == ("websocket.disconnect", expected)


@pytest.mark.parametrize(
    ("opcode", "payload", "masked", "code"),
    [
        (Opcode.TEXT, b"\xff", True, 1007),
        (Opcode.TEXT, b"not masked", False, 1002),
        (Opcode.CONTINUATION, b"of nothing", True, 1002),
        (Opcode.CLOSE, b"\x03", True, 1002),
        (Opcode.CLOSE, (1005).to_bytes(2, "big"), True, 1002),
    ],
)
async def test_a_client_that_breaks_a_rule_is_told_and_so_is_the_application(
    serve: Serve, protocol: str, opcode: int, payload: bytes, masked: bool, code: int
) -> None:
    app = Recorder()
    async with serve(app, ws_per_message_deflate=False) as served:
        peer = await served.connect()
        await peer.open()
        peer.send(opcode, payload, masked=masked)
        if protocol != "wsproto":  # which tells nobody
            assert (await peer.frame()).close[0] == code
        await peer.end()
        await served.idle()
    (event,) = app.events
    assert event["type"] == "websocket.disconnect"
    assert event["code"] == (1006 if protocol == "websockets" else code)
    if protocol == "wirecore":
        assert event["reason"]


@pytest.mark.parametrize("offered", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
async def test_compression_is_used_where_both_ends_want_it(
    serve: Serve, offered: bool, wanted: bool
) -> None:
    text = "again and " * 1000
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate")] if offered else []
    async with serve(echo, ws_per_message_deflate=wanted) as served:
        peer = await served.connect()
        answer = await peer.open("/", *offer)
        extensions = b",".join(answer.values(b"sec-websocket-extensions"))
        assert (b"permessage-deflate" in extensions) == (wanted and offered)
        if wanted and offered:
            packer = zlib.compressobj(wbits=-9)
            packed = packer.compress(text.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)
            peer.send(Opcode.TEXT, packed[:-4], rsv1=True)
            frame = await peer.frame()
            assert frame.rsv1
            assert len(frame.payload) < len(text) / 10
            unpacker = zlib.decompressobj(wbits=-15)
            assert unpacker.decompress(frame.payload + b"\0\0\xff\xff") == text.encode()
        else:
            peer.text(text)
            frame = await peer.frame()
            assert not frame.rsv1
            assert frame.payload == text.encode()
        await says_goodbye(peer)


async def test_ws_max_size_counts_what_is_decompressed(serve: Serve) -> None:
    app = Recorder()
    packer = zlib.compressobj(wbits=-9)
    packed = packer.compress(bytes(100_000)) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert len(packed) < 1000
    async with serve(app, ws_max_size=1000) as served:
        peer = await served.connect()
        await peer.open("/", ("Sec-WebSocket-Extensions", "permessage-deflate"))
        peer.send(Opcode.BINARY, packed[:-4], rsv1=True)
        assert (await peer.frame()).close[0] == 1009
        await peer.end()
        await served.idle()
    assert [event["type"] for event in app.events] == ["websocket.disconnect"]


async def test_pings_of_the_client_are_answered_while_nobody_receives(serve: Serve) -> None:
    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        assert (await receive())["text"] == "done"

    async with serve(app) as served:
        peer = await served.connect()
        await peer.open()
        for number in range(3):
            peer.send(Opcode.PING, bytes([number]))
            frame = await peer.frame()
            assert (frame.opcode, frame.payload) == (Opcode.PONG, bytes([number]))
        peer.send(Opcode.PONG, b"nobody asked")
        peer.text("done")
        assert await peer.end() == b""
