"""Bounds: too big a frame or message fails at its announcement; what is merely announced, waits."""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from wirecore._backend import Backend
from wirecore.errors import InvalidState
from wirecore.events import Failure, Item

if TYPE_CHECKING:
    from wirecore_py.frames import Inflater, MessageDecoder

KEY = bytes.fromhex("37fa213d")


def decoder(
    backend: Backend, frame: int, message: int, inflater: Inflater | None = None
) -> MessageDecoder:
    made: MessageDecoder = backend.frames.MessageDecoder(
        client=True, max_frame_size=frame, max_message_size=message, inflater=inflater
    )
    return made


def head(first: int, size: int) -> bytes:
    if size < 126:
        return bytes([first, size])
    if size < 0x10000:
        return bytes([first, 126]) + size.to_bytes(2, "big")
    return bytes([first, 127]) + size.to_bytes(8, "big")


@pytest.mark.parametrize("size", [0, 5, 200, 70_000])
def test_what_is_just_within_the_bounds_is_fine(backend: Backend, size: int) -> None:
    frame = head(0x82, size) + bytes(size)
    assert decoder(backend, size, size).receive(frame * 2) == [bytes(size)] * 2


@pytest.mark.parametrize("size", [1, 126, 65536, 2**63 - 1])
def test_a_frame_over_its_bound_fails_before_its_payload(backend: Backend, size: int) -> None:
    expected = Failure(
        1009,
        f"max_frame_size is {size - 1} bytes, got {size}",
        limit="max_frame_size",
        figure=size,
        bound=size - 1,
    )
    announced = head(0x82, size)
    whole = decoder(backend, size - 1, sys.maxsize)
    assert whole.receive(announced + b"payload") == [expected]
    assert whole.failed

    by_byte = decoder(backend, size - 1, sys.maxsize)
    found = [by_byte.receive(announced[at : at + 1]) for at in range(len(announced))]
    assert found == [[]] * (len(announced) - 1) + [[expected]]


def test_the_frame_s_bound_is_named_first(backend: Backend) -> None:
    (failure,) = decoder(backend, 10, 10).receive(head(0x81, 11))
    assert isinstance(failure, Failure)
    assert failure.limit == "max_frame_size"


def test_a_message_over_its_bound_fails_at_the_fragment_that_announces_it(
    backend: Backend,
) -> None:
    client = decoder(backend, 6, 10)
    assert client.receive(head(0x02, 6) + b"123456") == []
    (failure,) = client.receive(head(0x80, 5))
    assert failure == Failure(
        1009, "max_message_size is 10 bytes, got 11", "max_message_size", figure=11, bound=10
    )
    # The next message would have had all of the room again.
    client = decoder(backend, 6, 10)
    fragments = head(0x02, 6) + b"123456" + head(0x80, 4) + b"7890"
    assert client.receive(fragments * 2) == [b"1234567890"] * 2


def test_sums_of_huge_lengths_are_right(backend: Backend) -> None:
    client = decoder(backend, sys.maxsize, sys.maxsize)
    client.receive(head(0x02, 10) + bytes(10))
    (failure,) = client.receive(head(0x80, 2**63 - 1))
    assert isinstance(failure, Failure)
    assert failure.figure == 2**63 + 9


def test_control_frames_have_a_bound_of_their_own(backend: Backend) -> None:
    client = decoder(backend, 0, 0)
    items = client.receive(head(0x89, 125) + bytes(125) + head(0x82, 0))
    assert len(items) == 2
    assert client.controls == 1


@pytest.mark.parametrize("bad", [-1, sys.maxsize + 1])
def test_bounds_must_make_sense(backend: Backend, bad: int) -> None:
    with pytest.raises(ValueError, match="max_frame_size"):
        decoder(backend, bad, 10)
    with pytest.raises(ValueError, match="max_message_size"):
        decoder(backend, 10, bad)


def test_memory_follows_what_arrived(backend: Backend) -> None:
    """A frame that announces a terabyte gets no more than a few times what came of it."""
    client = decoder(backend, 2**62, 2**62)
    client.receive(head(0x82, 2**40))
    piece = bytes(1000)
    tracemalloc.start()
    for _ in range(300):
        client.receive(piece)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert client.buffered == 300_000
    assert held < 2 * 300_000 + 10_000
    assert peak < 4 * 300_000 + 10_000


def test_many_tiny_fragments_cost_no_more_memory_than_their_bytes(backend: Backend) -> None:
    client = decoder(backend, 10, 2**20)
    client.receive(head(0x02, 1) + b"x")
    stream = (head(0x00, 1) + b"x") * 1000
    tracemalloc.start()
    for _ in range(20):
        client.receive(stream)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * 20_000 + 10_000
    assert client.receive(head(0x80, 0)) == [b"x" * 20_001]


class Meddler:
    """An inflater that does what none should."""

    def __init__(self) -> None:
        self.decoder: MessageDecoder | None = None
        self.error: Exception | None = None

    def inflate(self, chunk: bytes, room: int) -> bytes:
        if self.error:
            raise self.error
        assert self.decoder
        items = self.decoder.receive(b"\x82\x00")
        assert not items
        return chunk

    def finish(self, room: int) -> bytes:
        return b""


def test_an_unforeseen_exception_ends_the_decoder(backend: Backend) -> None:
    meddler = Meddler()
    meddler.error = RuntimeError("the inflater is broken")
    client = decoder(backend, 100, 100, meddler)
    with pytest.raises(RuntimeError, match="inflater is broken"):
        client.receive(head(0x82, 1) + b"1" + head(0xC2, 3) + b"abc")
    assert client.failed
    assert (client.in_message, client.buffered) == (False, 0)
    later: list[Item] = client.receive(head(0x82, 0))
    assert later == []


def test_a_decoder_is_not_entered_twice(backend: Backend) -> None:
    meddler = Meddler()
    client = meddler.decoder = decoder(backend, 100, 100, meddler)
    with pytest.raises(InvalidState, match="running"):
        client.receive(head(0xC2, 3) + b"abc")
    assert client.failed


def test_what_is_announced_takes_no_memory(backend: Backend) -> None:
    """A peer that sends the head of a large message, and then nothing, costs next to nothing."""
    decoder = backend.frames.MessageDecoder(
        client=False, max_frame_size=1 << 20, max_message_size=1 << 20
    )
    head = bytes((0x82, 0xFF)) + (1 << 20).to_bytes(8, "big") + bytes(4)
    tracemalloc.start()
    try:
        assert decoder.receive(head + b"x") == []
        assert tracemalloc.get_traced_memory()[0] < 10_000
        assert decoder.receive(bytes(1 << 19)) == []
    finally:
        tracemalloc.stop()
    (message,) = decoder.receive(bytes((1 << 19) - 1))
    assert message == b"x" + bytes((1 << 20) - 1)
