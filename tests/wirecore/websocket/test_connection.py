"""Messages and fragments of one connection, against frames written by hand."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from wirecore._backend import Backend, default
from wirecore.errors import InvalidOption, InvalidState, LocalLimitExceeded
from wirecore.events import Buffer, Item, RawText
from wirecore.session import Limits, Session
from wirecore.websocket import Connection, DeflateParameters, State

Frames: TypeAlias = Callable[[Connection], list[tuple[int, bytes]]]

FIN, RSV1 = 0x80, 0x40
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def masked(first: int, payload: bytes = b"") -> bytes:
    """A short frame of a client's; the key 0 masks nothing."""
    return bytes((first, 0x80 | len(payload))) + bytes(4) + payload


def plain(first: int, payload: bytes = b"") -> bytes:
    """A short frame of a server's."""
    return bytes((first, len(payload))) + payload


def test_it_is_a_session(backend: Backend) -> None:
    session: Session[Any] = Connection(client=True, backend=backend)
    assert isinstance(session.outbox, backend.outbox.Outbox)
    assert session.next_deadline() == math.inf
    assert Connection(client=True)._backend is default


@pytest.mark.parametrize(
    "make",
    [
        lambda: Connection(client=True, fragment_size=-1),
        lambda: Connection(client=True, close_timeout=0),
    ],
)
def test_options_that_make_no_sense(make: Callable[[], Connection]) -> None:
    with pytest.raises(InvalidOption):
        make()


def test_plain_messages_are_the_decoders_list_untouched(backend: Backend) -> None:
    connection = Connection(client=False, backend=backend)
    data = masked(FIN | TEXT, b"a") + masked(FIN | BINARY, b"b")
    lists: list[list[Item]] = []
    decoder = connection._decoder

    class Spy:
        controls = False

        def receive(self, piece: Buffer) -> list[Item]:
            lists.append(decoder.receive(piece))
            return lists[-1]

    connection._decode_with(Spy())  # as much of a decoder as is used here
    assert connection.receive(data, 0.0) is lists[0]
    assert lists[0] == ["a", b"b"]


def test_it_tells_how_much_of_a_message_has_come_and_no_more(backend: Backend) -> None:
    """What the last bytes were but part of one message: else they may have been much work."""
    server = Connection(client=False, backend=backend)
    frame = masked(FIN | BINARY, bytes(100))
    assert server.growing == 0
    server.receive(frame[:66], 0.0)
    assert server.growing == 60
    server.receive(frame[66:], 0.0)
    assert server.growing == 0, "it is whole"
    server.receive(frame[:56], 0.0)
    assert server.growing == 50
    server.receive(frame[56:] + frame[:16], 0.0)
    assert server.growing == 10, "less than that call got, as it was more than a part"
    fragment = masked(BINARY, bytes(50))
    server = Connection(client=False, backend=backend)
    server.receive(fragment, 0.0)
    assert server.growing == 50
    server.receive(masked(CONTINUATION, bytes(50)) + masked(FIN | PING, b"?"), 0.0)
    assert server.growing == 0, "a ping was answered in between"
    server.receive(masked(CONTINUATION, bytes(50)), 0.0)
    assert server.growing == 150
    deflated = Connection(client=False, deflate=DeflateParameters(), backend=backend)
    deflated.receive(fragment, 0.0)
    assert deflated.growing == 0, "decompressing is work"


def test_messages_in(backend: Backend) -> None:
    server = Connection(client=False, backend=backend)
    assert server.receive(masked(FIN | TEXT, b"\xc3\xa4"), 0.0) == ["ä"]
    assert server.receive(bytearray(masked(TEXT, b"\xc3")), 0.0) == []
    assert server.receive(masked(FIN, b"\xa4"), 0.0) == ["ä"]
    client = Connection(client=True, raw_text=True, backend=backend)
    (text,) = client.receive(memoryview(plain(FIN | TEXT, b"\xff")), 0.0)
    assert text == RawText(b"\xff")
    assert type(text) is RawText
    assert client.receive(b"", 0.0) == []


def test_messages_out(backend: Backend, frames: Frames) -> None:
    for client in (True, False):
        connection = Connection(client=client, backend=backend)
        end = connection.send("ä")
        assert end == connection.outbox.queued == (8 if client else 4)
        connection.send(b"b")
        connection.send(bytearray(b"c"))
        connection.send(memoryview(b"d"))
        assert connection.send(RawText(b"\xff")) == connection.outbox.queued
        assert frames(connection) == [
            (FIN | TEXT, b"\xc3\xa4"),
            (FIN | BINARY, b"b"),
            (FIN | BINARY, b"c"),
            (FIN | BINARY, b"d"),
            (FIN | TEXT, b"\xff"),
        ]


@pytest.mark.parametrize("deflate", [None, DeflateParameters()])
def test_what_is_no_message(backend: Backend, deflate: DeflateParameters | None) -> None:
    connection = Connection(client=True, deflate=deflate, backend=backend)
    for wrong in (5, None, 1.5, ["a"]):
        with pytest.raises(TypeError):
            connection.send(wrong)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(UnicodeEncodeError):
        connection.send("\ud800")
    assert connection.outbox.queued == 0


@pytest.mark.parametrize("deflate", [None, DeflateParameters(threshold=0)])
@pytest.mark.parametrize("fragment_size", [0, 1 << 16])
def test_buffers_of_more_than_bytes_are_no_messages_whichever_way_they_go(
    backend: Backend, deflate: DeflateParameters | None, fragment_size: int
) -> None:
    """Short or long, compressed or not, whole or in fragments."""
    connection = Connection(
        client=True, deflate=deflate, fragment_size=fragment_size, backend=backend
    )
    buffers: list[Any] = [array("H", [1]), array("H", bytes(1 << 18)), memoryview(b"abcd")[::2]]
    for wrong in buffers:
        with pytest.raises(ValueError, match="C-contiguous buffer of single bytes"):
            connection.send(wrong)
        with pytest.raises(ValueError, match="C-contiguous buffer of single bytes"):
            connection.send_all([wrong])
        with pytest.raises(ValueError, match="C-contiguous buffer of single bytes"):
            connection.send_fragment(wrong, last=True)
    assert not connection.outbox.queued
    connection.send(memoryview(array("b", [1])))
    connection.send(memoryview(b"abcd").cast("B", (2, 2)))


def test_many_messages_at_once(backend: Backend, frames: Frames) -> None:
    connection = Connection(client=True, backend=backend)
    assert connection.send_all([]) == 0
    assert connection.send_all(["a", b"b"]) == connection.outbox.queued > 0
    assert frames(connection) == [(FIN | TEXT, b"a"), (FIN | BINARY, b"b")]
    cut = Connection(client=True, fragment_size=2, backend=backend)
    assert cut.send_all(["abc", b"d"]) == cut.outbox.queued
    assert frames(cut) == [(TEXT, b"ab"), (FIN, b"c"), (FIN | BINARY, b"d")]


@pytest.mark.parametrize("deflate", [None, DeflateParameters(threshold=1 << 30)])
def test_long_messages_are_cut_and_control_frames_overtake_them(
    backend: Backend, deflate: DeflateParameters | None, frames: Frames
) -> None:
    connection = Connection(client=False, fragment_size=4096, deflate=deflate, backend=backend)
    data = bytes(range(256)) * 800  # 200 KiB: four parts of 64 KiB
    assert connection.send(data) == connection.outbox.queued
    connection.outbox.sent(len(connection.outbox.take(1)))
    token = connection.ping()
    found = frames(connection)
    assert found[0] == (FIN | PING, token)
    assert len(found) == 1 + 34  # what is left of 50 fragments after the first 16
    assert found[-1] == (FIN, data[-4096:])
    for message in ("x" * 100_000, memoryview(data), RawText(data[:4097])):
        connection.send(message)
        found = frames(connection)
        whole = message.encode() if isinstance(message, str) else bytes(message)
        assert b"".join(payload for _, payload in found) == whole
        kind = BINARY if isinstance(message, memoryview) else TEXT
        assert [first for first, _ in found] == [kind, *[0] * (len(found) - 2), FIN]


def test_fragments_larger_than_a_part(backend: Backend, frames: Frames) -> None:
    connection = Connection(client=False, fragment_size=100_000, backend=backend)
    connection.send(bytes(250_000))
    assert [len(payload) for _, payload in frames(connection)] == [100_000, 100_000, 50_000]


def test_too_much_waits_already(backend: Backend) -> None:
    connection = Connection(client=False, limits=Limits(max_queued_bytes=10), backend=backend)
    connection.send(bytes(100))  # a message of any size goes while little waits
    attempts: list[Callable[[], object]] = [
        lambda: connection.send(b"x"),
        lambda: connection.send_all([b"x"]),
        lambda: connection.send_shared(b"x", {}),
        lambda: connection.send_shared(b"x", {0: [b"its frame"]}),
        lambda: connection.send_fragment(b"x", last=False),
    ]
    for attempt in attempts:
        with pytest.raises(LocalLimitExceeded, match="max_queued_bytes is 10, got 102"):
            attempt()
    connection.ping()
    connection.close()


def test_fragments_by_hand(backend: Backend, frames: Frames) -> None:
    connection = Connection(client=True, backend=backend)
    connection.send_fragment("a", last=False)
    blocked: list[Callable[[], int]] = [
        lambda: connection.send("b"),
        lambda: connection.send_all([b"b"]),
    ]
    for attempt in blocked:
        with pytest.raises(InvalidState, match="another message is half sent"):
            attempt()
    with pytest.raises(InvalidOption, match="first fragment"):
        connection.send_fragment(b"b", text=False, last=True)
    connection.ping(b"between")
    connection.send_fragment(b"\xc3", last=False)
    connection.send_fragment(RawText(b"\xa4"), text=True, last=False)
    assert connection.send_fragment("", last=True) == connection.outbox.queued
    connection.send("whole")
    assert frames(connection) == [
        (FIN | PING, b"between"),
        (TEXT, b"a"),
        (CONTINUATION, b"\xc3"),
        (CONTINUATION, b"\xa4"),
        (FIN, b""),
        (FIN | TEXT, b"whole"),
    ]


def test_the_first_fragment_decides(backend: Backend, frames: Frames) -> None:
    connection = Connection(client=True, backend=backend)
    connection.send_fragment(b"a", text=True, last=False)
    connection.send_fragment("b", last=True)
    connection.send_fragment("a", text=False, last=False)
    for wrong in ("b", RawText(b"b")):
        with pytest.raises(InvalidOption):
            connection.send_fragment(wrong, last=True)
    with pytest.raises(InvalidOption):
        connection.send_fragment(b"b", last=True, compress=True)
    connection.send_fragment(b"b", last=True)
    connection.send_fragment(b"alone", last=True)
    assert [first for first, _ in frames(connection)] == [
        *(TEXT, FIN),
        *(BINARY, FIN),
        FIN | BINARY,
    ]


def test_compression_when_it_pays(backend: Backend, frames: Frames) -> None:
    connection = Connection(client=False, deflate=DeflateParameters(threshold=5), backend=backend)
    connection.send("Hell")
    connection.send("Hello")
    connection.send(b"Hello")
    connection.send("", compress=True)
    connection.send("Hello", compress=False)
    connection.send_all(["a", "Hello"])
    assert frames(connection) == [
        (FIN | TEXT, b"Hell"),
        (FIN | RSV1 | TEXT, bytes.fromhex("f248cdc9c90700")),
        (FIN | RSV1 | BINARY, bytes.fromhex("f200110000")),
        (FIN | RSV1 | TEXT, b"\x00"),
        (FIN | TEXT, b"Hello"),
        (FIN | TEXT, b"a"),
        (FIN | RSV1 | TEXT, bytes.fromhex("02130000")),
    ]


def test_compressed_messages_are_cut_after_compression(backend: Backend, frames: Frames) -> None:
    connection = Connection(
        client=False, deflate=DeflateParameters(threshold=0), fragment_size=3, backend=backend
    )
    connection.send("Hello")
    assert frames(connection) == [
        (RSV1 | TEXT, bytes.fromhex("f248cd")),
        (CONTINUATION, bytes.fromhex("c9c907")),
        (FIN, b"\x00"),
    ]


def test_compression_asked_for_where_there_is_none(backend: Backend, frames: Frames) -> None:
    connection = Connection(
        client=False, deflate=DeflateParameters(server_max_window_bits=8), backend=backend
    )
    connection.send("Hello", compress=True)
    connection.send_fragment("Hello", last=True)
    assert frames(connection) == [(FIN | TEXT, b"Hello")] * 2


def test_compressed_fragments(backend: Backend, frames: Frames) -> None:
    deflate = DeflateParameters()
    server = Connection(client=False, deflate=deflate, backend=backend)
    client = Connection(client=True, deflate=deflate, backend=backend)
    server.send_fragment("one, ", last=False)
    with pytest.raises(InvalidOption):
        server.send_fragment("", last=True, compress=False)
    server.send_fragment("one, ", last=False, compress=True)
    server.send_fragment("", last=True)
    server.send_fragment("plain", last=True, compress=False)
    found = frames(server)
    assert [first for first, _ in found] == [RSV1 | TEXT, CONTINUATION, FIN, FIN | TEXT]
    wire = b"".join(plain(*frame) for frame in found)
    # A ping between compressed fragments touches nothing.
    ping = plain(FIN | PING, b"?")
    cut = len(plain(*found[0]))
    assert client.receive(wire[:cut] + ping + wire[cut:], 0.0) == ["one, one, ", "plain"]
    assert frames(client) == [(FIN | PONG, b"?")]
    assert client.state is State.OPEN


def test_what_a_read_inflates_to_is_handed_out_in_bounded_parts(backend: Backend) -> None:
    """Messages within their limit, but a thousand times their size in all."""
    deflate = DeflateParameters()
    sender = Connection(client=True, deflate=deflate, backend=backend)
    receiver = Connection(client=False, deflate=deflate, backend=backend)
    for _ in range(64):
        sender.send(bytes(1_000_000), compress=True)
    wire = b"".join(iter(lambda: _take(sender), b""))
    got: list[int] = []
    largest = 0
    messages = receiver.receive(wire, 0.0)
    while messages:
        largest = max(largest, sum(map(len, messages)))
        got += map(len, messages)
        assert receiver.deferred or len(got) == 64
        messages = receiver.receive(b"", 0.0)
    assert got == [1_000_000] * 64
    assert largest <= 12_000_000


def test_a_close_behind_much_that_inflates_is_seen_last(backend: Backend) -> None:
    deflate = DeflateParameters()
    sender = Connection(client=True, deflate=deflate, backend=backend)
    receiver = Connection(client=False, deflate=deflate, backend=backend)
    for _ in range(20):
        sender.send(bytes(1_000_000), compress=True)
    sender.close()
    wire = b"".join(iter(lambda: _take(sender), b""))
    count = len(receiver.receive(wire, 0.0))
    while receiver.state is State.OPEN:
        assert receiver.deferred
        count += len(receiver.receive(b"", 0.0))
    assert count == 20
    assert receiver.finished


def _take(connection: Connection) -> bytes:
    piece = bytes(connection.outbox.take(1 << 30))
    connection.outbox.sent(len(piece))
    return piece
