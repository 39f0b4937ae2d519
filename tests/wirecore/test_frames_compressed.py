"""Compressed messages (RFC 7692): inflated as they come, within the room that is left."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from wirecore import rules
from wirecore._backend import Backend
from wirecore.events import Failure, Item, Ping, RawText
from wirecore.websocket.deflate import Deflater, Inflater

if TYPE_CHECKING:
    from wirecore_py.frames import MessageDecoder


def decoder(
    backend: Backend, *, max_message_size: int = 100_000, raw_text: bool = False
) -> MessageDecoder:
    made: MessageDecoder = backend.frames.MessageDecoder(
        client=False,
        max_frame_size=100_000,
        max_message_size=max_message_size,
        raw_text=raw_text,
        inflater=Inflater(),
    )
    return made


def frames(backend: Backend, opcode: int, packed: bytes, *cuts: int) -> bytes:
    """A compressed message in fragments, cut at *cuts*."""
    edges = [0, *cuts, len(packed)]
    made = []
    for index, start in enumerate(edges[:-1]):
        last = index == len(edges) - 2
        made.append(
            backend.frames.encode_frame(
                0 if index else opcode,
                packed[start : edges[index + 1]],
                True,
                fin=last,
                rsv1=not index,
            )
        )
    return b"".join(made)


def test_the_examples_of_the_rfc(backend: Backend) -> None:
    """RFC 7692 section 7.2.3, as a client gets them."""
    client = backend.frames.MessageDecoder(
        client=True, max_frame_size=1000, max_message_size=1000, inflater=Inflater()
    )
    assert client.receive(bytes.fromhex("c107f248cdc9c90700")) == ["Hello"]
    assert client.receive(bytes.fromhex("c105f200110000")) == ["Hello"]  # of the same window
    assert client.receive(bytes.fromhex("4103f248cd8004c9c90700")) == ["Hello"]  # in fragments
    assert client.receive(bytes.fromhex("c10b000500faff48656c6c6f00")) == ["Hello"]  # stored


def test_wherever_the_stream_is_cut_the_items_are_the_same(backend: Backend) -> None:
    deflater = Deflater()
    text, data = "grün, grün, grün " * 5, bytes(range(40)) * 3
    stream = b"".join(
        [
            frames(backend, 1, deflater.deflate(text.encode()), 3, 9),
            backend.frames.encode_message("as it is", masked=True),
            frames(backend, 2, deflater.deflate(data)),
            frames(backend, 1, deflater.deflate(b"")),
        ]
    )
    expected: list[Item] = [text, "as it is", data, ""]
    for cut in range(len(stream) + 1):
        two = decoder(backend)
        assert two.receive(stream[:cut]) + two.receive(stream[cut:]) == expected
    by_byte = decoder(backend)
    items = [item for at in range(len(stream)) for item in by_byte.receive(stream[at : at + 1])]
    assert items == expected


def test_a_ping_between_compressed_fragments(backend: Backend) -> None:
    packed = Deflater().deflate(b"compressed")
    one, two = packed[:4], packed[4:]
    encode = backend.frames.encode_frame
    stream = encode(2, one, True, fin=False, rsv1=True)
    stream += encode(9, b"ping", True)
    stream += encode(0, two, True)
    assert decoder(backend).receive(stream) == [Ping(b"ping"), b"compressed"]


def test_what_is_held_is_counted_decompressed(backend: Backend) -> None:
    deflater = Deflater()
    server = decoder(backend)
    start = deflater.deflate(bytes(5000), last=False)
    server.receive(backend.frames.encode_frame(2, start, True, fin=False, rsv1=True))
    assert server.buffered == 5000
    assert server.in_message


def test_raw_text(backend: Backend) -> None:
    packed = Deflater().deflate(b"\xff raw")
    items = decoder(backend, raw_text=True).receive(frames(backend, 1, packed))
    assert items == [RawText(b"\xff raw")]
    assert type(items[0]) is RawText


@pytest.mark.parametrize("cut", [None, 2])
def test_bad_text_inside(backend: Backend, cut: int | None) -> None:
    for text in (b"fine \xf4\x90\x80\x80 not", b"cut inside \xe2\x82"):
        packed = Deflater().deflate(text)
        stream = frames(backend, 1, packed, *([cut] if cut else []))
        assert decoder(backend).receive(stream) == [rules.BAD_UTF8]


def test_bad_text_fails_before_the_message_is_whole(backend: Backend) -> None:
    packed = Deflater().deflate(b"bad: \xff", last=False)
    frame = backend.frames.encode_frame(1, packed, True, fin=False, rsv1=True)
    server = decoder(backend)
    assert server.receive(frame) == [rules.BAD_UTF8]
    assert (server.in_message, server.buffered) == (False, 0)


def test_data_that_cannot_be_decompressed(backend: Backend) -> None:
    assert decoder(backend).receive(frames(backend, 2, b"\xff\xff\xff")) == [rules.BAD_DEFLATE]


def test_data_whose_end_cannot_be_decompressed(backend: Backend) -> None:
    class Truncated(Inflater):
        __slots__ = ()

        def finish(self, room: int) -> bytes:
            raise zlib.error("incomplete")

    server = backend.frames.MessageDecoder(
        client=False, max_frame_size=99, max_message_size=99, inflater=Truncated()
    )
    assert server.receive(frames(backend, 2, b"")) == [rules.BAD_DEFLATE]


@pytest.mark.parametrize("opcode", [1, 2])
def test_a_message_may_fill_its_room_but_not_pass_it(backend: Backend, opcode: int) -> None:
    packed = Deflater().deflate(b"x" * 1000)
    for cuts in ((), (5,), (2, 4, 6)):
        stream = frames(backend, opcode, packed, *cuts)
        (message,) = decoder(backend, max_message_size=1000).receive(stream)
        assert message == ("x" * 1000 if opcode == 1 else b"x" * 1000)

        (failure,) = decoder(backend, max_message_size=999).receive(stream)
        assert failure == Failure(
            1009, "max_message_size is 999 bytes, got 1000", "max_message_size", 1000, 999
        )


def test_a_bomb_is_stopped_at_the_bound(backend: Backend) -> None:
    packed = Deflater().deflate(bytes(50_000_000))
    server = decoder(backend)
    (failure,) = server.receive(frames(backend, 2, packed[:60_000]))
    assert isinstance(failure, Failure)
    assert (failure.limit, failure.figure) == ("max_message_size", 100_001)


def test_a_message_s_bound_holds_for_its_compressed_size_too(backend: Backend) -> None:
    """Empty blocks decompress to nothing, for as long as they come."""
    empty_block = b"\x00\x00\x00\xff\xff"
    server = decoder(backend, max_message_size=12)
    start = backend.frames.encode_frame(2, empty_block * 2, True, fin=False, rsv1=True)
    more = backend.frames.encode_frame(0, empty_block, True, fin=False)
    assert server.receive(start) == []
    (failure,) = server.receive(more)
    assert isinstance(failure, Failure)
    assert (failure.limit, failure.figure) == ("max_message_size", 15)


def test_only_data_may_be_compressed_and_only_its_start_says_so(backend: Backend) -> None:
    for stream in (b"\xc8", b"\xc9", b"\xca", b"\xc0", b"\x42\x80" + bytes(4) + b"\xc0"):
        (failure,) = decoder(backend).receive(stream)
        assert isinstance(failure, Failure)
        assert failure.code == 1002
