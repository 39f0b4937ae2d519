"""Both readers of gob on the same bytes: messages in any cut, and values as any type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import gob_cases
from tests.gob_cases import KINDS
from wirecore import gob
from wirecore._backend import Backend

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "pool-gob.json").read_text(encoding="utf-8")
)
STREAMS = [
    data
    for stream in VECTORS["standalone"]
    if len(data := bytes.fromhex("".join(value["hex"] for value in stream["values"]))) < 1000
]

REGISTRY = gob_cases.registry()
LIMITS = gob.Limits(max_message_size=300, max_depth=8, max_elements=30)
ANNOTATIONS: list[Any] = [Any, *KINDS.values(), gob_cases.Older, list[Any], dict[str, Any]]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A stream of Go's with some bytes changed, taken out or put in."""
    stream = bytearray(draw(st.sampled_from(STREAMS)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(stream)))
        stream[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(stream)


def outcome(work: Any, *arguments: Any) -> Any:
    try:
        return work(*arguments)
    except gob.GobError as error:
        return type(error), str(error)


@settings(max_examples=300)
@given(stream=damaged(), cut=st.integers(1, 40))
def test_messages_are_cut_alike(backends: tuple[Backend, Backend], stream: bytes, cut: int) -> None:
    compiled, pure = [backend.gob_frames.FrameBuffer(200) for backend in backends]
    for at in range(0, len(stream), cut):
        for each in (compiled, pure):
            each.feed(stream[at : at + cut])
        for _ in range(4):
            one, other = outcome(compiled.next), outcome(pure.next)
            assert one == other
            assert compiled.buffered == pure.buffered


@settings(max_examples=300)
@given(stream=damaged(), asked=st.lists(st.sampled_from(ANNOTATIONS), min_size=1, max_size=6))
def test_values_are_read_alike(
    backends: tuple[Backend, Backend], stream: bytes, asked: list[Any]
) -> None:
    compiled, pure = [gob.Decoder(REGISTRY, LIMITS, backend=backend) for backend in backends]
    for each in (compiled, pure):
        each.feed(stream)
    for annotation in asked:
        one, other = outcome(compiled.decode, annotation), outcome(pure.decode, annotation)
        assert repr(one) == repr(other)


@pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"axbxcx")[::1][0:3]])
def test_any_buffer_is_taken_in(backends: tuple[Backend, Backend], data: Any) -> None:
    for backend in backends:
        frames = backend.gob_frames.FrameBuffer(200)
        frames.feed(data)
        assert frames.buffered == 3
