"""Both decoders of pieces on the same streams: legal, odd and hostile, cut anywhere.

After every read the two must have returned the same items and be in the same state.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from types import GeneratorType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wirecore._backend import Backend
from wirecore.events import Failure
from wirecore.websocket.deflate import Deflater, Inflater

MAX_MESSAGE = 160


class Text:
    data: str
    frame_finished: bool
    message_finished: bool


class Binary(Text):
    pass


class Judge:
    """Says what it was asked, so that the decoders have to ask the same."""

    bad_data = Failure(1007, "bad data")

    def check_head(self, head: bytes) -> Failure | None:
        # A head whose rule shows late: with fewer bytes it can't tell.
        return Failure(1002, f"head {head.hex()}") if len(head) > 3 else None

    def check_order(self, opcode: int, message: int) -> Failure:
        return Failure(1002, f"order {opcode} {message}")

    def read_control(self, opcode: int, payload: bytes) -> tuple[int, bytes] | Failure:
        if payload.startswith(b"!"):
            return Failure(1002, f"control {opcode}")
        return opcode, payload


@dataclass(frozen=True)
class Frame:
    """A frame as the wire has it, right or wrong."""

    first: int
    payload: bytes
    wide: int = 0
    flip_mask: bool = False

    def encode(self, client: bool) -> bytes:
        size = len(self.payload)
        wide = self.wide or (0 if size < 126 else 1)
        mask = 0x80 if client == self.flip_mask else 0
        short = (size, 126, 127)[wide]
        head = bytes([self.first, mask | short])
        if wide:
            head += size.to_bytes((2, 8)[wide - 1], "big")
        if not mask:
            return head + self.payload
        key = b"\x11\x81\x00\xfe"
        masked = bytes(byte ^ key[at & 3] for at, byte in enumerate(self.payload))
        return head + key + masked


def packed(text: bytes) -> bytes:
    return Deflater().deflate(text)


payloads = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=6).map(str.encode),
    st.text(max_size=6).map(lambda text: text.encode()[:-1]),
    st.text(max_size=6).map(lambda text: packed(text.encode())),
    st.sampled_from([b"", b"!", b"x" * 125, b"x" * 126, b"\xc3", b"\xa4", packed(b"x" * 1000)]),
)
legal_firsts = st.sampled_from(
    [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88, 0xC1, 0xC2, 0x41]
)
frames = st.one_of(
    st.builds(Frame, legal_firsts, payloads),
    st.builds(Frame, legal_firsts, payloads),
    st.builds(Frame, st.integers(0, 255), payloads, st.integers(0, 2), st.booleans()),
)


def described(items: list[Any]) -> list[object]:
    return [(type(item).__name__, vars(item)) if isinstance(item, Text) else item for item in items]


@given(
    client=st.booleans(),
    compression=st.booleans(),
    sent=st.lists(frames, max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    every=st.booleans(),
)
@example(True, False, [Frame(0x01, b"\xc3"), Frame(0x80, b"\xa4")], [], True)
@example(False, True, [Frame(0x41, packed(b"long " * 9)), Frame(0x80, b"")], [], True)
@example(True, False, [Frame(0x82, b"", 2)], [], True)
def test_both_hand_out_the_same_pieces(
    backends: tuple[Backend, Backend],
    client: bool,
    compression: bool,
    sent: list[Frame],
    cuts: list[int],
    every: bool,
) -> None:
    stream = b"".join(frame.encode(client) for frame in sent)
    edges = range(len(stream) + 1) if every else sorted({0, *cuts, len(stream)})
    decoders = [
        backend.stream.StreamDecoder(
            client=client,
            text=Text,
            binary=Binary,
            judge=Judge(),
            max_message_size=MAX_MESSAGE,
            inflater=Inflater() if compression else None,
        )
        for backend in backends
    ]
    for start, stop in pairwise(edges):
        outcomes = []
        for decoder in decoders:
            try:
                got: object = described(decoder.receive(stream[start:stop]))
            except ValueError as error:
                # A head that the judge above lets pass though it is whole: it has three bytes.
                got = str(error)
            outcomes.append((got, decoder.failed, decoder.closed))
        assert outcomes[0] == outcomes[1]


class Slotted:
    __slots__ = ("data", "frame_finished", "message_finished")


class Bytes(bytes):
    pass


class Maker(Text):
    """Has a maker of its own, which isn't called."""

    def __new__(cls, needed: str) -> Maker:
        raise AssertionError(needed)


@pytest.mark.parametrize(
    "kind",
    [Text, Maker, Slotted, Bytes, GeneratorType, int, object, type, type(None), "Text", None],
)
def test_both_take_the_same_classes_for_pieces(
    backends: tuple[Backend, Backend], kind: Any
) -> None:
    """One whose instances can't be made by hand is refused before there is anything to make."""
    outcomes = []
    for text, binary in ((kind, Binary), (Text, kind)):
        for backend in backends:
            try:
                decoder = backend.stream.StreamDecoder(
                    client=True, text=text, binary=binary, judge=Judge(), max_message_size=100
                )
            except TypeError as error:
                outcomes.append(str(error))
            else:
                outcomes.append(str(described(decoder.receive(b"\x81\x01a\x82\x01b"))))
    assert outcomes[0] == outcomes[1]
    assert outcomes[2] == outcomes[3]
    taken = kind in (Text, Maker)
    assert [outcome.startswith("[") for outcome in outcomes] == [taken] * 4
