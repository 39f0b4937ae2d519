"""Both decoders on the same streams: legal, odd and hostile, whole, cut and ended at every byte.

After every read the two must have returned the same items and be in the same state; and each
must return the same items for a stream however it was cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from wirecore._backend import Backend
from wirecore.events import Item
from wirecore.websocket.deflate import Deflater, Inflater

if TYPE_CHECKING:
    from wirecore_py.frames import MessageDecoder

MAX_FRAME = 130
MAX_MESSAGE = 160


@dataclass(frozen=True)
class Setup:
    """How the decoders are made."""

    client: bool
    raw_text: bool = False
    compression: bool = False
    max_frame: int = MAX_FRAME
    max_message: int = MAX_MESSAGE

    def make(self, backend: Backend) -> MessageDecoder:
        made: MessageDecoder = backend.frames.MessageDecoder(
            client=self.client,
            max_frame_size=self.max_frame,
            max_message_size=self.max_message,
            raw_text=self.raw_text,
            inflater=Inflater() if self.compression else None,
        )
        return made


def state(decoder: MessageDecoder) -> tuple[object, ...]:
    return (
        decoder.controls,
        decoder.failed,
        decoder.closed,
        decoder.in_message,
        decoder.buffered,
    )


def typed(items: Iterable[Item]) -> list[tuple[type, Item]]:
    """Items with their types: RawText equals bytes, else."""
    return [(type(item), item) for item in items]


class Pair:
    """A decoder of each backend, fed alike."""

    def __init__(self, backends: tuple[Backend, Backend], setup: Setup) -> None:
        self.compiled, self.pure = (setup.make(backend) for backend in backends)

    def receive(self, data: bytes) -> list[tuple[type, Item]]:
        compiled = typed(self.compiled.receive(data))
        assert compiled == typed(self.pure.receive(data))
        assert state(self.compiled) == state(self.pure)
        return compiled


def check(backends: tuple[Backend, Backend], setup: Setup, stream: bytes) -> None:
    whole = Pair(backends, setup).receive(stream)
    for cut in range(len(stream) + 1):
        pair = Pair(backends, setup)
        assert pair.receive(stream[:cut]) + pair.receive(stream[cut:]) == whole
    by_byte = Pair(backends, setup)
    items = []
    for at in range(len(stream)):
        items += by_byte.receive(stream[at : at + 1])
    assert items == whole


def frame(first: int, payload: bytes, key: bytes | None, form: int = 0, extra: int = 0) -> bytes:
    """A frame that may break any rule.

    *form*: bytes of the long form of the length (2 or 8; 0 for the shortest); *extra*: how much
    more is announced than is there.
    """
    size = len(payload) + extra
    mask_bit = 0 if key is None else 0x80
    if size > 0xFFFF or form == 8:
        head = bytes([first, mask_bit | 127]) + size.to_bytes(8, "big")
    elif size > 125 or form == 2:
        head = bytes([first, mask_bit | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, mask_bit | size])
    if key is None:
        return head + payload
    return head + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


KEYS = st.binary(min_size=4, max_size=4)
TEXTS = st.one_of(
    st.text(max_size=12).map(str.encode),
    st.sampled_from(["aé日🎉".encode(), b"x" * 126, b"\xed\xa0\x80", b"ab\xf4\x90", b"\xc3"]),
)
BLOBS = st.one_of(st.binary(max_size=12), st.just(bytes(126)), st.just(bytes(MAX_FRAME)))
CLOSES = st.one_of(
    st.sampled_from([b"", b"\x03", b"\x03\xe8", b"\x03\xedbad", b"\x03\xe8\xff", b"\x13\x87end"]),
    st.builds(lambda code, text: code.to_bytes(2, "big") + text, st.integers(0, 65535), TEXTS),
)


@st.composite
def messages(
    draw: st.DrawFn, masked: bool, payloads: st.SearchStrategy[bytes], first: int
) -> bytes:
    """A data message that keeps the rules (its text perhaps not), with pings in between."""
    payload = draw(payloads)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    edges = [0, *cuts, len(payload)]
    made = []
    for index, start in enumerate(edges[:-1]):
        fin = 0x80 if index == len(edges) - 2 else 0
        opcode = 0 if index else first
        key = draw(KEYS) if masked else None
        made.append(frame(fin | opcode, payload[start : edges[index + 1]], key))
        if not fin and draw(st.booleans()):
            made.append(frame(0x89, draw(st.binary(max_size=3)), key))
    return b"".join(made)


def legal(masked: bool) -> st.SearchStrategy[bytes]:
    key = KEYS if masked else st.none()
    return st.one_of(
        messages(masked, TEXTS, 1),
        messages(masked, BLOBS, 2),
        st.builds(frame, st.sampled_from([0x89, 0x8A]), st.binary(max_size=125), key),
    )


def hostile(masked: bool) -> st.SearchStrategy[bytes]:
    key = KEYS if masked else st.none()
    return st.one_of(
        st.builds(frame, st.integers(0, 255), TEXTS, key),
        st.builds(frame, st.sampled_from([0, 1, 2, 0x80, 0x81, 0x82]), TEXTS, key),
        st.builds(
            frame,
            st.sampled_from([1, 2, 0x81, 0x82, 0x89]),
            TEXTS,
            st.one_of(KEYS, st.none()),
            st.sampled_from([0, 2, 8]),
            st.sampled_from([0, 0, 1, MAX_FRAME - 1, MAX_MESSAGE, 2**40, 2**63 - 200, 2**63]),
        ),
        st.builds(frame, st.just(0x88), CLOSES, key),
        st.binary(max_size=12),
    )


def streams(masked: bool) -> st.SearchStrategy[bytes]:
    some = st.lists(legal(masked), max_size=4).map(b"".join)
    return st.builds(lambda *parts: b"".join(parts), some, hostile(masked), some)


@given(st.lists(legal(True), max_size=4).map(b"".join))
def test_legal_streams_to_a_server(backends: tuple[Backend, Backend], stream: bytes) -> None:
    check(backends, Setup(client=False), stream)


@given(st.lists(legal(False), max_size=4).map(b"".join))
def test_legal_streams_to_a_client(backends: tuple[Backend, Backend], stream: bytes) -> None:
    check(backends, Setup(client=True), stream)


@given(streams(True), st.booleans())
def test_hostile_streams_to_a_server(
    backends: tuple[Backend, Backend], stream: bytes, raw_text: bool
) -> None:
    check(backends, Setup(client=False, raw_text=raw_text), stream)


@given(streams(False), st.booleans())
def test_hostile_streams_to_a_client(
    backends: tuple[Backend, Backend], stream: bytes, raw_text: bool
) -> None:
    check(backends, Setup(client=True, raw_text=raw_text), stream)


@given(
    st.sampled_from([125, 126, 127, 4095, 4096, 65535, 65536]),
    st.integers(-2, 2),
    st.booleans(),
    st.sampled_from([0x81, 0x82, 0x01]),
)
def test_long_frames_cut_around_their_head_and_end(
    backends: tuple[Backend, Backend], size: int, more: int, client: bool, first: int
) -> None:
    payload = ("é" * size).encode()[: size + more]
    stream = frame(first, payload, None if client else b"\x01\x80\xff\x37") + b"\x89"
    setup = Setup(client=client, max_frame=70_000, max_message=70_000)
    whole = Pair(backends, setup).receive(stream)
    for cut in (*range(18), len(stream) // 2, *range(len(stream) - 4, len(stream) + 1)):
        pair = Pair(backends, setup)
        assert pair.receive(stream[:cut]) + pair.receive(stream[cut:]) == whole


@st.composite
def compressed(draw: st.DrawFn, damaged: bool) -> bytes:
    """Messages to a server, some compressed, fragmented anywhere, perhaps one byte changed."""
    deflater = Deflater()
    made = []
    for _ in range(draw(st.integers(1, 3))):
        plain = draw(st.one_of(TEXTS, st.sampled_from([b"a" * MAX_MESSAGE, b"b" * 200])))
        opcode = draw(st.sampled_from([1, 2]))
        if draw(st.booleans()):
            plain = deflater.deflate(plain)
            opcode |= 0x40
            if damaged and plain:
                at = draw(st.integers(0, len(plain) - 1))
                plain = plain[:at] + draw(st.binary(min_size=1, max_size=1)) + plain[at + 1 :]
        made.append(draw(messages(True, st.just(plain), opcode)))
    return b"".join(made)


@given(compressed(damaged=False))
def test_compressed_streams(backends: tuple[Backend, Backend], stream: bytes) -> None:
    check(backends, Setup(client=False, compression=True), stream)


@given(compressed(damaged=True), st.integers(0, 500))
def test_damaged_compressed_streams(
    backends: tuple[Backend, Backend], stream: bytes, cut: int
) -> None:
    """Cut in one place: what zlib tells of damage depends on how much it was given at once."""
    pair = Pair(backends, Setup(client=False, compression=True))
    pair.receive(stream[:cut])
    pair.receive(stream[cut:])
    by_byte = Pair(backends, Setup(client=False, compression=True))
    for at in range(len(stream)):
        by_byte.receive(stream[at : at + 1])
