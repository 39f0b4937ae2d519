"""Both backends write the same bytes, masked ones too once the key is known."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wirecore._backend import Backend
from wirecore.events import RawText


def make_view(data: bytes) -> memoryview:
    return memoryview(data)


KEYS = st.one_of(st.none(), st.binary(min_size=4, max_size=4))
SHORT: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=80),
    st.binary(max_size=140),
    st.binary(max_size=20).map(RawText),
    st.binary(max_size=20).map(bytearray),
    st.binary(max_size=20).map(make_view),
    st.sampled_from([3, None, "\ud800", memoryview(b"ab")[::2]]),
)
MESSAGES = st.one_of(SHORT, st.sampled_from([b"x" * 65535, b"y" * 65536, "é" * 40000]))


def outcome(call: Any, *arguments: object, **options: object) -> tuple[object, str]:
    """What a call returned, or the type of what it raised, and its message where it is ours."""
    try:
        return call(*arguments, **options), ""
    except (TypeError, ValueError) as error:
        return type(error), str(error) if type(error) is ValueError else ""


@given(
    opcode=st.integers(-1, 17),
    payload=st.one_of(st.binary(max_size=130), MESSAGES),
    fin=st.booleans(),
    rsv1=st.booleans(),
    key=st.one_of(KEYS, st.binary(max_size=5)),
    masked=st.booleans(),
)
def test_frames(
    backends: tuple[Backend, Backend],
    opcode: int,
    payload: Any,
    fin: bool,
    rsv1: bool,
    key: bytes | None,
    masked: bool,
) -> None:
    compiled, pure = (
        outcome(backend.frames.encode_frame, opcode, payload, masked, fin, rsv1, key)
        for backend in backends
    )
    if masked and key is None and isinstance(compiled[0], bytes):
        compiled, pure = ((unmask(backends[1], made[0]), "") for made in (compiled, pure))
    assert compiled == pure


@given(
    chosen=st.one_of(
        st.tuples(st.lists(SHORT, max_size=6), st.integers(-1, 130)),
        st.tuples(st.lists(MESSAGES, max_size=6), st.sampled_from([0, 1000, 65535, 65536])),
    ),
    masked=st.booleans(),
)
def test_messages(
    backends: tuple[Backend, Backend], chosen: tuple[list[Any], int], masked: bool
) -> None:
    batch, fragment_size = chosen
    compiled, pure = (
        outcome(backend.frames.encode_messages, batch, masked, fragment_size)
        for backend in backends
    )
    if masked and isinstance(compiled[0], bytes):
        compiled, pure = ((unmask(backends[1], made[0]), "") for made in (compiled, pure))
    assert compiled == pure
    for backend in backends:
        one_by_one = outcome(encode_singly, backend, batch, fragment_size)
        assert outcome(backend.frames.encode_messages, batch, False, fragment_size) == one_by_one


def encode_singly(backend: Backend, batch: list[Any], fragment_size: int) -> bytes:
    encode = backend.frames.encode_message
    return b"".join([encode(message, False, fragment_size) for message in batch])


def unmask(pure: Backend, frames: object) -> bytes:
    """Masked *frames* with their keys taken out."""
    assert isinstance(frames, bytes)
    made = b""
    while frames:
        assert frames[1] & 0x80
        size, head = frames[1] & 0x7F, 2
        if size > 125:
            head = 4 if size == 126 else 10
            size = int.from_bytes(frames[2:head], "big")
        key, payload = frames[head : head + 4], frames[head + 4 : head + 4 + size]
        assert len(payload) == size
        made += frames[:head] + pure.mask.apply_mask(payload, key)
        frames = frames[head + 4 + size :]
    return made
