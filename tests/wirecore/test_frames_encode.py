"""Frames that are sent: their layout, their keys, and what may not be made."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

import pytest

from wirecore._backend import Backend
from wirecore.constants import Opcode
from wirecore.events import RawText

KEY = bytes.fromhex("37fa213d")


def decode(backend: Backend, frames: bytes, *, masked: bool) -> list[Any]:
    decoder = backend.frames.MessageDecoder(
        client=not masked, max_frame_size=1 << 30, max_message_size=1 << 30, raw_text=True
    )
    found: list[Any] = decoder.receive(frames)
    assert decoder.buffered == 0
    return found


def test_the_examples_of_the_rfc(backend: Backend) -> None:
    """RFC 6455 section 5.7."""
    frame = backend.frames.encode_frame
    assert frame(1, b"Hello", False) == bytes.fromhex("810548656c6c6f")
    assert frame(1, b"Hello", True, key=KEY) == bytes.fromhex("818537fa213d7f9f4d5158")
    assert frame(1, b"Hel", False, fin=False) == bytes.fromhex("010348656c")
    assert frame(0, b"lo", False) == bytes.fromhex("80026c6f")
    assert frame(9, b"Hello", False) == bytes.fromhex("890548656c6c6f")
    assert frame(2, bytes(256), False) == bytes.fromhex("827e0100") + bytes(256)
    assert frame(2, bytes(65536), False) == bytes.fromhex("827f0000000000010000") + bytes(65536)
    # RFC 7692 section 7.2.3.1.
    packed = bytes.fromhex("f248cdc9c90700")
    assert frame(1, packed, False, rsv1=True) == b"\xc1\x07" + packed


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8280"),
        (125, "82fd"),
        (126, "82fe007e"),
        (65535, "82feffff"),
        (65536, "82ff0000000000010000"),
    ],
)
def test_the_length_takes_its_shortest_form(backend: Backend, size: int, head: str) -> None:
    frame = backend.frames.encode_message(bytes(size), masked=True)
    assert frame.startswith(bytes.fromhex(head))
    assert len(frame) == len(head) // 2 + 4 + size
    key = frame[len(head) // 2 :][:4]
    # Zeros, masked, are the key again and again.
    assert frame[len(head) // 2 :] == (key * (size // 4 + 2))[: 4 + size]


@pytest.mark.parametrize("masked", [True, False])
def test_what_kind_of_message_each_type_makes(backend: Backend, masked: bool) -> None:
    class Name(str):
        __slots__ = ()

    class Blob(bytes):
        __slots__ = ()

    messages: list[Any] = [
        "ASCII",
        "grün, 日本語 🎉",
        "",
        Name("a subclass"),
        Name("ein schöner"),
        RawText(b"\xff unchecked"),
        b"bytes",
        b"",
        Blob(b"blob"),
        bytearray(b"array"),
        memoryview(b"a view")[2:],
        array("B", b"ints"),
        b"long" * 20_000,
    ]
    expected = [
        RawText(message.encode()) if isinstance(message, str) else message for message in messages
    ]
    one_by_one = b"".join(backend.frames.encode_message(m, masked) for m in messages)
    batch = backend.frames.encode_messages(messages, masked)
    for frames in (one_by_one, batch):
        assert type(frames) is bytes
        found = decode(backend, frames, masked=masked)
        assert [bytes(item) for item in found] == [bytes(item) for item in expected]
        assert [type(item) is RawText for item in found] == [
            type(item) is RawText for item in expected
        ]
    if not masked:
        assert one_by_one == batch


def test_a_batch_is_any_iterable(backend: Backend) -> None:
    def generate() -> Iterator[bytes]:
        for size in range(200):
            yield bytes(size)

    frames = backend.frames.encode_messages(generate(), False)
    assert frames == backend.frames.encode_messages(list(generate()), False)
    assert frames == backend.frames.encode_messages(tuple(generate()), False)
    empty: list[Any] = [(), [], iter(())]
    for nothing in empty:
        assert backend.frames.encode_messages(nothing, True) == b""


def test_a_batch_fails_as_a_whole(backend: Backend) -> None:
    def generate() -> Iterator[bytes]:
        yield b"one"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        backend.frames.encode_messages(generate(), True)
    number: Any = 7
    with pytest.raises(TypeError):
        backend.frames.encode_messages([b"fine", number], True)
    with pytest.raises(TypeError):
        backend.frames.encode_messages(number, True)


def test_fragments(backend: Backend) -> None:
    encode = backend.frames.encode_message
    assert encode(b"abcdefg", False, 3) == b"\x02\x03abc" + b"\x00\x03def" + b"\x80\x01g"
    assert encode("abcdef", False, 3) == b"\x01\x03abc" + b"\x80\x03def"
    assert encode(RawText(b"abcd"), False, 3) == b"\x01\x03abc" + b"\x80\x01d"
    # Between the bytes of a character as well: section 5.6 has the message be UTF-8.
    assert encode("é", False, 1) == b"\x01\x01\xc3" + b"\x80\x01\xa9"
    assert encode(b"abc", False, 3) == b"\x82\x03abc"
    assert encode(b"", False, 3) == b"\x82\x00"
    assert encode(b"abc", False, 0) == b"\x82\x03abc"
    both = backend.frames.encode_messages([b"ab", "c"], False, 1)
    assert both == b"\x02\x01a" + b"\x80\x01b" + b"\x81\x01c"


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536, 65537])
def test_fragments_come_back_whole(backend: Backend, size: int) -> None:
    data = bytes(range(256)) * (600 if size > 1 else 4)
    for masked in (True, False):
        frames = backend.frames.encode_message(data, masked, size)
        assert decode(backend, frames, masked=masked) == [data]


def test_each_frame_has_a_key_of_its_own(backend: Backend) -> None:
    zeros = bytes(8)
    frames = [backend.frames.encode_message(zeros, masked=True) for _ in range(50)]
    frames.append(backend.frames.encode_message(bytes(400), True, 8))
    frames.append(backend.frames.encode_messages([zeros] * 50, masked=True))
    stream = b"".join(frames)
    keys = [stream[at + 2 : at + 6] for at in range(0, len(stream), 14)]
    assert len(keys) == 150
    assert len(set(keys)) == 150
    for at, key in enumerate(keys):
        assert stream[14 * at + 6 :][:8] == key * 2


def test_frames_never_alias_their_payload(backend: Backend) -> None:
    data = bytearray(b"data" * 100)
    frames = [
        backend.frames.encode_message(data, False),
        backend.frames.encode_messages([data], False),
        backend.frames.encode_frame(2, data, False),
    ]
    data[:] = b"\x00" * len(data)
    data.clear()  # nor is the payload locked
    assert all(frame.endswith(b"data" * 100) for frame in frames)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((16, b"", False), ValueError),
        ((-1, b"", False), ValueError),
        ((3, b"", False), ValueError),
        ((0xB, b"", False), ValueError),
        ((9, bytes(126), False), ValueError),
        ((8, b"", False, False), ValueError),  # a fragmented close
        ((9, b"", False, True, True), ValueError),  # a compressed ping
        ((0, b"", False, True, True), ValueError),  # a continuation marked compressed
        ((2, b"", True, True, False, b"123"), ValueError),
        ((2, b"", True, True, False, b"12345"), ValueError),
        ((2, b"", True, True, False, "1234"), TypeError),
        ((2, b"", False, True, False, KEY), ValueError),
        ((1, "text", False), TypeError),
        ((2, None, False), TypeError),
        ((2, memoryview(b"abcd")[::2], False), ValueError),
        ((2, array("H", [1]), False), ValueError),
    ],
)
def test_frames_that_must_not_be_made(
    backend: Backend, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        backend.frames.encode_frame(*arguments)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (None, TypeError),
        (7, TypeError),
        (["text"], TypeError),
        ("\ud800", UnicodeEncodeError),
        (memoryview(b"abcd")[::2], ValueError),
        (array("H", [1]), ValueError),
    ],
)
def test_messages_that_cannot_be_made(
    backend: Backend, message: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        backend.frames.encode_message(message, True)
    with pytest.raises(error):
        backend.frames.encode_messages([b"fine", message], True)


def test_a_fragment_has_a_size(backend: Backend) -> None:
    with pytest.raises(ValueError, match="fragment_size"):
        backend.frames.encode_message(b"", False, -1)
    with pytest.raises(ValueError, match="fragment_size"):
        backend.frames.encode_messages([], False, -1)


def test_opcodes_may_be_named(backend: Backend) -> None:
    assert backend.frames.encode_frame(Opcode.PONG, b"", False) == b"\x8a\x00"
