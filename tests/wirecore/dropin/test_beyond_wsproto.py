"""Where our frames do better than wsproto's: what its own code gets wrong, and bounds."""

from __future__ import annotations

import tracemalloc

import pytest
from wsproto.connection import Connection as WsprotoConnection
from wsproto.extensions import Extension, PerMessageDeflate

from wirecore.dropin import wsproto as dropin
from wirecore.dropin.wsproto import Connection, ConnectionType
from wirecore.dropin.wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Request,
    TextMessage,
)
from wirecore.websocket.deflate import Deflater

pytestmark = pytest.mark.usefixtures("codec")


def deflate() -> list[Extension]:
    extension = PerMessageDeflate()
    extension.finalize("permessage-deflate")
    return [extension]


def client(max_message_size: int | None = None) -> Connection:
    return Connection(ConnectionType.CLIENT, deflate(), max_message_size=max_message_size)


def frame(first: int, payload: bytes) -> bytes:
    head = bytes([first, len(payload)]) if len(payload) < 126 else bytes([first, 126])
    return head + (len(payload).to_bytes(2, "big") if len(payload) > 125 else b"") + payload


def take(connection: WsprotoConnection, data: bytes) -> list[Event]:
    connection.receive_data(data)
    return list(connection.events())


def test_a_ping_may_come_between_compressed_fragments() -> None:
    packed = Deflater().deflate(b"compressed " * 20)
    stream = frame(0x41, packed[:9]) + frame(0x89, b"ping") + frame(0x80, packed[9:])
    got = take(client(), stream)
    assert Ping(b"ping") in got
    texts = [event.data for event in got if isinstance(event, TextMessage)]
    assert "".join(texts) == "compressed " * 20
    # wsproto takes the rest of the message for text that isn't compressed.
    theirs = take(WsprotoConnection(ConnectionType.CLIENT, deflate()), stream)
    assert theirs[:-1] == got[:-1]
    assert theirs[-1] != got[-1]


def test_a_final_block_ends_no_connection() -> None:
    """RFC 7692 section 7.2.3.4."""
    final = b"\x4b\x04\x00"  # "a", in a block that says it is the last
    got = take(client(), frame(0xC1, final + b"\x00") + frame(0xC1, final + b"\x00"))
    assert got == [TextMessage("a"), TextMessage("a")]


def test_a_message_that_decompresses_beyond_the_bound_is_refused() -> None:
    bomb = frame(0xC2, Deflater().deflate(bytes(20_000_000)))
    connection = client(max_message_size=50_000)
    tracemalloc.start()
    (event,) = take(connection, bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(event, CloseConnection)
    assert event.code is dropin.CloseReason.MESSAGE_TOO_BIG
    assert event.reason == "max_message_size is 50000 bytes, got 50001"
    assert peak < 1_000_000
    assert take(connection, frame(0x82, b"more")) == []
    # It can be told so, as for any other breach.
    assert connection.send(event.response())[:2] == bytes([0x88, 0x80 | 2 + len(event.reason)])


def test_a_message_over_the_bound_is_refused_when_it_is_announced() -> None:
    connection = client(max_message_size=4)
    assert take(connection, frame(0x82, b"four")) == [BytesMessage(b"four")]
    (event,) = take(connection, b"\x82\x05")
    assert isinstance(event, CloseConnection)
    assert event.code == 1009


def test_bounds_reach_both_ends_through_the_handshake() -> None:
    client = dropin.WSConnection(ConnectionType.CLIENT, max_message_size=3)
    server = dropin.WSConnection(ConnectionType.SERVER, max_message_size=5)
    server.receive_data(client.send(Request(host="localhost", target="/")))
    assert [type(event) for event in server.events()] == [Request]
    # A frame on the heels of the answer, in one read.
    client.receive_data(server.send(AcceptConnection()) + server.send(BytesMessage(b"123")))
    assert list(client.events())[1:] == [BytesMessage(b"123")]
    server.receive_data(client.send(BytesMessage(b"12345")))
    assert list(server.events()) == [BytesMessage(b"12345")]
    for sender, receiver in ((client, server), (server, client)):
        receiver.receive_data(sender.send(BytesMessage(b"123456")))
        (event,) = receiver.events()
        assert isinstance(event, CloseConnection)
        assert event.code == 1009


class Reversed(Extension):
    """An extension of somebody's own."""

    name = "reversed"

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return True

    def frame_inbound_payload_data(self, proto: object, data: bytes) -> bytes:
        return data[::-1]


def test_with_somebodys_own_extension_wsproto_does_the_work() -> None:
    connection = Connection(ConnectionType.CLIENT, [Reversed()])
    assert connection._proto.foreign
    assert take(connection, frame(0x82, b"abc")) == [BytesMessage(b"cba")]
    assert connection.send(BytesMessage(b"abc")).startswith(b"\x82\x83")
    assert not client()._proto.foreign


def test_every_frame_has_a_mask_of_its_own() -> None:
    connection = Connection(ConnectionType.CLIENT)
    assert len({connection.send(BytesMessage(b"")) for _ in range(8)}) == 8
