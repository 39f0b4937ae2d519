"""What a decoder makes of frames that keep the rules: whole messages, pings, pongs, a close."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import pytest

from wirecore._backend import Backend
from wirecore.events import Close, Item, Ping, Pong, RawText

if TYPE_CHECKING:
    from wirecore_py.frames import MessageDecoder

MIB = 1024 * 1024
KEY = bytes.fromhex("37fa213d")

#: Sizes around each change in how a length is written, and where the backends change methods.
SIZES = (0, 1, 7, 8, 9, 63, 125, 126, 127, 4095, 4096, 65535, 65536, 70001)


def decoder(backend: Backend, *, client: bool = False, raw_text: bool = False) -> MessageDecoder:
    made: MessageDecoder = backend.frames.MessageDecoder(
        client=client, max_frame_size=MIB, max_message_size=MIB, raw_text=raw_text
    )
    return made


def test_the_examples_of_the_rfc(backend: Backend) -> None:
    """RFC 6455 section 5.7, the unmasked ones as a client gets them."""
    server = decoder(backend)
    assert server.receive(bytes.fromhex("818537fa213d7f9f4d5158")) == ["Hello"]
    assert server.receive(bytes.fromhex("8a8537fa213d7f9f4d5158")) == [Pong(b"Hello")]

    client = decoder(backend, client=True)
    assert client.receive(bytes.fromhex("810548656c6c6f")) == ["Hello"]
    assert client.receive(bytes.fromhex("010348656c80026c6f")) == ["Hello"]
    assert client.receive(bytes.fromhex("890548656c6c6f")) == [Ping(b"Hello")]
    data = bytes(range(256))
    assert client.receive(bytes.fromhex("827e0100") + data) == [data]
    data *= 256
    assert client.receive(bytes.fromhex("827f0000000000010000") + data) == [data]


@pytest.mark.parametrize("client", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_messages_of_any_size_come_back_as_sent(backend: Backend, size: int, client: bool) -> None:
    data = bytes(index * 7 & 0xFF for index in range(size))
    ascii_text = "".join(chr(32 + index % 90) for index in range(size))
    other_text = ("é日🎉" * size)[: size // 3]
    messages: list[bytes | str] = [data, ascii_text, other_text]
    stream = backend.frames.encode_messages(messages, masked=not client)
    received = decoder(backend, client=client).receive(stream)
    assert received == messages
    assert [type(item) for item in received] == [bytes, str, str]

    halves = decoder(backend, client=client)
    cut = len(stream) // 2
    assert halves.receive(stream[:cut]) + halves.receive(stream[cut:]) == messages


@pytest.mark.parametrize("client", [True, False])
def test_wherever_the_stream_is_cut_the_items_are_the_same(backend: Backend, client: bool) -> None:
    encode = backend.frames.encode_frame
    masked = not client
    stream = b"".join(
        [
            encode(1, "grün".encode(), masked),
            encode(2, b"\x00\xff" * 70, masked),
            encode(9, b"", masked),
            encode(1, "日".encode()[:1], masked, fin=False),
            encode(9, b"between", masked),
            encode(0, "日".encode()[1:], masked, fin=False),
            encode(0, b"", masked, fin=False),
            encode(0, b" end", masked),
            encode(2, b"", masked),
            encode(8, b"\x03\xe8bye", masked),
        ]
    )
    expected: list[Item] = [
        "grün",
        b"\x00\xff" * 70,
        Ping(b""),
        Ping(b"between"),
        "日 end",
        b"",
        Close(1000, "bye"),
    ]
    for cut in range(len(stream) + 1):
        two = decoder(backend, client=client)
        assert two.receive(stream[:cut]) + two.receive(stream[cut:]) == expected

    by_byte = decoder(backend, client=client)
    items: list[Item] = []
    for at in range(len(stream)):
        items += by_byte.receive(stream[at : at + 1])
    assert items == expected


def test_raw_text_is_handed_out_unchecked(backend: Backend) -> None:
    encode = backend.frames.encode_frame
    stream = (
        encode(1, b"\xff not UTF-8", True)
        + encode(1, b"frag", True, fin=False)
        + encode(0, b"\xfe", True)
        + encode(2, b"data", True)
    )
    raw = decoder(backend, raw_text=True)
    items = raw.receive(stream)
    assert items == [RawText(b"\xff not UTF-8"), RawText(b"frag\xfe"), b"data"]
    assert [type(item) for item in items] == [RawText, RawText, bytes]
    assert hash(items[0]) == hash(b"\xff not UTF-8")
    assert raw.receive(encode(1, b"", True)) == [RawText(b"")]


def test_controls_counts_what_is_no_message(backend: Backend) -> None:
    encode = backend.frames.encode_frame
    server = decoder(backend)
    assert server.controls == 0
    ping, data = encode(9, b"", True), encode(2, b"x", True)
    assert server.receive(data + ping + data + ping) == [b"x", Ping(b""), b"x", Ping(b"")]
    assert server.controls == 2
    assert server.receive(data) == [b"x"]
    assert server.controls == 0
    assert server.receive(encode(10, b"p", True) + encode(8, b"", True)) == [
        Pong(b"p"),
        Close(None, ""),
    ]
    assert server.controls == 2
    assert server.receive(data) == []
    assert server.controls == 0


def test_what_is_held_is_counted_until_it_is_whole(backend: Backend) -> None:
    encode = backend.frames.encode_frame
    server = decoder(backend)

    def state() -> tuple[bool, int]:
        return server.in_message, server.buffered

    assert state() == (False, 0)
    whole = encode(2, b"0123456789", True)
    server.receive(whole[:5])
    assert state() == (False, 5)  # a head that isn't whole tells of no message yet
    server.receive(whole[5:6])
    assert state() == (True, 0)
    server.receive(whole[6:10])
    assert state() == (True, 4)
    assert server.receive(whole[10:]) == [b"0123456789"]
    assert state() == (False, 0)

    server.receive(encode(1, b"first", True, fin=False))
    assert state() == (True, 5)
    ping = encode(9, b"abc", True)
    server.receive(ping[:8])
    assert state() == (True, 7)
    assert server.receive(ping[8:]) == [Ping(b"abc")]
    assert state() == (True, 5)
    assert server.receive(encode(0, b"second", True)) == ["firstsecond"]
    assert state() == (False, 0)

    server.receive(ping[:7])
    assert state() == (False, 1)


def test_nothing_comes_after_a_close(backend: Backend) -> None:
    encode = backend.frames.encode_frame
    server = decoder(backend)
    server.receive(encode(1, b"never finished", True, fin=False))
    stream = encode(8, b"\x03\xe9", True) + encode(2, b"too late", True)
    assert not server.closed
    assert server.receive(stream) == [Close(1001, "")]
    assert (server.closed, server.failed) == (True, False)
    assert (server.in_message, server.buffered) == (False, 0)
    assert server.receive(stream) == []


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999])
def test_close_codes_that_may_be_sent(backend: Backend, code: int) -> None:
    payload = code.to_bytes(2, "big") + "Grüße".encode()
    frame = backend.frames.encode_frame(8, payload, True)
    assert decoder(backend).receive(frame) == [Close(code, "Grüße")]


def test_control_frames_may_be_full(backend: Backend) -> None:
    encode = backend.frames.encode_frame
    reason = "r" * 123
    stream = encode(9, b"p" * 125, True) + encode(8, b"\x03\xe8" + reason.encode(), True)
    expected: list[Item] = [Ping(b"p" * 125), Close(1000, reason)]
    assert decoder(backend).receive(stream) == expected
    server = decoder(backend)
    items = [item for at in range(len(stream)) for item in server.receive(stream[at : at + 1])]
    assert items == expected


def test_payloads_never_alias_the_input(backend: Backend) -> None:
    for client in (True, False):
        stream = bytearray(
            backend.frames.encode_messages([b"data", b"d" * 5000, "text"], masked=not client)
        )
        items = decoder(backend, client=client).receive(stream)
        stream[:] = b"\x00" * len(stream)
        stream.clear()  # nor is the input locked
        assert items == [b"data", b"d" * 5000, "text"]


def test_a_long_message_in_many_fragments_and_reads(backend: Backend) -> None:
    data = bytes(range(256)) * 400
    stream = backend.frames.encode_message(data, masked=True, fragment_size=3)
    server = decoder(backend)
    items: list[Item] = []
    for at in range(0, len(stream), 1000):
        items += server.receive(memoryview(stream)[at : at + 1000])
    assert items == [data]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("text", TypeError),
        (None, TypeError),
        (memoryview(b"abcdef")[::2], ValueError),
        (array("H", [1]), ValueError),
    ],
)
def test_input_must_be_a_buffer_of_bytes(
    backend: Backend, data: bytes, error: type[Exception]
) -> None:
    server = decoder(backend)
    with pytest.raises(error):
        server.receive(data)
    assert not server.failed
    stream = backend.frames.encode_message(b"still fine", masked=True)
    buffers: list[Any] = [stream, bytearray(stream), memoryview(stream), array("B", stream)]
    for good in buffers:
        assert server.receive(good) == [b"still fine"]
    assert server.receive(b"") == []
