"""Payloads are handed out as they arrive: in which pieces, and when it is over."""

from __future__ import annotations

import sys
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from wirecore._backend import Backend
from wirecore.errors import InvalidState
from wirecore.events import Failure
from wirecore.websocket.deflate import Deflater, Inflater

if TYPE_CHECKING:
    from wirecore_py.stream import StreamDecoder


@dataclass(frozen=True)
class Text:
    data: str
    frame_finished: bool = True
    message_finished: bool = True

    def __post_init__(self) -> None:
        raise AssertionError("pieces are made without their constructor")


@dataclass(frozen=True)
class Binary(Text):
    pass


class Judge:
    bad_data = Failure(1007, "bad data")

    def check_head(self, head: bytes) -> Failure | None:
        return Failure(1002, "bad head") if len(head) > 3 else None

    def check_order(self, opcode: int, message: int) -> Failure:
        return Failure(1002, f"{opcode} after {message}")

    def read_control(self, opcode: int, payload: bytes) -> tuple[int, bytes] | Failure:
        return Failure(1002, "bad control") if payload == b"!" else (opcode, payload)


def make(backend: Backend, judge: Any = None, **options: Any) -> StreamDecoder:
    """A client's decoder, so that frames can be written without masks."""
    made: StreamDecoder = backend.stream.StreamDecoder(
        **{
            "client": True,
            "text": Text,
            "binary": Binary,
            "judge": judge or Judge(),
            "max_message_size": sys.maxsize,
            **options,
        }
    )
    return made


def pieces(items: list[Any]) -> list[object]:
    return [
        (item.data, item.frame_finished, item.message_finished) if isinstance(item, Text) else item
        for item in items
    ]


def test_a_whole_message_is_one_piece(backend: Backend) -> None:
    decoder = make(backend)
    items = decoder.receive(b"\x81\x02hi\x82\x01\x00")
    assert pieces(items) == [("hi", True, True), (b"\x00", True, True)]
    assert [type(item) for item in items] == [Text, Binary]


def test_what_came_of_a_frame_is_handed_out_at_once(backend: Backend) -> None:
    decoder = make(backend)
    assert pieces(decoder.receive(b"\x82\x04ab")) == [(b"ab", False, False)]
    assert decoder.receive(b"") == []
    assert pieces(decoder.receive(b"c")) == [(b"c", False, False)]
    assert pieces(decoder.receive(b"d\x82")) == [(b"d", True, True)]


def test_a_frame_without_payload_is_a_piece_and_a_bare_head_is_none(backend: Backend) -> None:
    decoder = make(backend)
    assert pieces(decoder.receive(b"\x01\x00")) == [("", True, False)]
    assert decoder.receive(b"\x80\x02") == []
    assert pieces(decoder.receive(b"ok")) == [("ok", True, True)]


def test_a_character_is_handed_out_when_it_is_whole(backend: Backend) -> None:
    decoder = make(backend)
    assert pieces(decoder.receive(b"\x01\x02a\xe2")) == [("a", True, False)]
    assert pieces(decoder.receive(b"\x00\x01\x82")) == [("", True, False)]
    assert pieces(decoder.receive(b"\x80\x01\xac")) == [("€", True, True)]


def test_control_frames_come_whole_and_between_fragments(backend: Backend) -> None:
    decoder = make(backend)
    assert pieces(decoder.receive(b"\x02\x01a\x89\x02p")) == [(b"a", True, False)]
    assert pieces(decoder.receive(b"q\x80\x01b")) == [(9, b"pq"), (b"b", True, True)]


def test_masks_go_on_across_pieces(backend: Backend) -> None:
    decoder = make(backend, client=False)
    frame = backend.frames.encode_frame(2, bytes(range(64)), True)
    got = b"".join(
        piece.data for at in range(len(frame)) for piece in decoder.receive(frame[at : at + 1])
    )
    assert got == bytes(range(64))


def test_nothing_comes_after_a_close_frame(backend: Backend) -> None:
    decoder = make(backend)
    assert decoder.receive(b"\x88\x00\x81\x00") == [(8, b"")]
    assert decoder.closed
    assert not decoder.failed
    assert decoder.receive(b"\x81\x00") == []


@pytest.mark.parametrize(
    ("stream", "failure"),
    [
        (b"\x83\x00\x00\x00", "bad head"),
        (b"\x89\x7e\x00\xff", "bad head"),
        (b"\x82\x7e\x00\x01", "bad head"),
        (b"\x82\xff\xff", ""),
        (b"\x80\x00", "0 after 0"),
        (b"\x01\x00\x02\x00", "2 after 1"),
        (b"\x89\x01!", "bad control"),
        (b"\x81\x01\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"\x81\x01\xc3", "'utf-8' codec can't decode byte 0xc3 in position 0: unexpected end of"),
    ],
)
def test_the_judge_words_what_is_wrong(backend: Backend, stream: bytes, failure: str) -> None:
    decoder = make(backend)
    items = decoder.receive(stream)
    if not failure:
        # Too little has come to tell.
        assert items == []
        return
    assert items[-1].reason.startswith(failure)
    assert decoder.failed
    assert decoder.receive(b"\x81\x00") == []


def test_a_judge_must_know_the_rules(backend: Backend) -> None:
    class Lenient(Judge):
        def check_head(self, head: bytes) -> None:
            return None

    decoder = make(backend, Lenient())
    assert decoder.receive(b"\x83") == []
    with pytest.raises(ValueError, match="no fault"):
        decoder.receive(b"\x00")
    assert decoder.failed


def test_a_judge_that_raises_ends_it(backend: Backend) -> None:
    class Broken(Judge):
        def read_control(self, opcode: int, payload: bytes) -> tuple[int, bytes]:
            raise RuntimeError("broken")

    decoder = make(backend, Broken())
    with pytest.raises(RuntimeError, match="broken"):
        decoder.receive(b"\x89\x00")
    assert decoder.failed
    assert decoder.receive(b"\x81\x00") == []


def test_it_must_not_be_called_while_it_runs(backend: Backend) -> None:
    class Caller(Judge):
        def read_control(self, opcode: int, payload: bytes) -> tuple[int, bytes]:
            decoder.receive(b"")
            return opcode, payload

    decoder = make(backend, Caller())
    with pytest.raises(InvalidState, match="while it was running"):
        decoder.receive(b"\x89\x00")


def test_compressed_messages_come_in_pieces_too(backend: Backend) -> None:
    packed = Deflater().deflate("größer ".encode() * 40)
    decoder = make(backend, inflater=Inflater())
    head = bytes([0x41, 8])
    got = decoder.receive(head + packed[:8])
    got += decoder.receive(b"\x89\x00")
    got += decoder.receive(bytes([0x80, len(packed) - 8]) + packed[8:])
    assert "".join(item.data for item in got if isinstance(item, Text)) == "größer " * 40
    assert [item for item in got if not isinstance(item, Text)] == [(9, b"")]
    # A message after it may be as it is.
    assert pieces(decoder.receive(b"\x81\x01x")) == [("x", True, True)]


def test_bad_compressed_data_is_what_the_judge_says(backend: Backend) -> None:
    decoder = make(backend, inflater=Inflater())
    assert decoder.receive(b"\xc2\x04\xff\xff\xff\xff") == [Judge.bad_data]


def test_a_message_over_its_bound_fails_when_it_is_announced(backend: Backend) -> None:
    decoder = make(backend, max_message_size=5)
    assert pieces(decoder.receive(b"\x02\x03abc")) == [(b"abc", True, False)]
    (failure,) = decoder.receive(b"\x80\x03")
    assert (failure.code, failure.limit) == (1009, "max_message_size")
    assert (failure.figure, failure.bound) == (6, 5)
    assert make(backend, max_message_size=5).receive(b"\x82\x06")[0].code == 1009
    whole = make(backend, max_message_size=5).receive(b"\x82\x05abcde")
    assert pieces(whole) == [(b"abcde", True, True)]


@pytest.mark.parametrize("size", [999, 1000, 1001, 2_000_000])
def test_no_more_is_decompressed_than_the_bound_allows(backend: Backend, size: int) -> None:
    packed = Deflater().deflate(b"x" * size)
    frame = backend.frames.encode_frame(2, packed, False, True, True)
    decoder = make(backend, max_message_size=2000 if size > 2000 else 1000, inflater=Inflater())
    tracemalloc.start()
    got = decoder.receive(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if size <= 1000:
        assert [len(item.data) for item in got] == [size]
    else:
        assert [item.code for item in got] == [1009]
    assert peak < 200_000


def test_any_buffer_is_taken_and_nothing_else(backend: Backend) -> None:
    for kind in (bytes, bytearray, memoryview):
        assert pieces(make(backend).receive(kind(b"\x82\x01a"))) == [(b"a", True, True)]
    decoder = make(backend)
    with pytest.raises(TypeError):
        decoder.receive("text")  # type: ignore[arg-type] # what is tested
    with pytest.raises(ValueError, match="contiguous"):
        decoder.receive(memoryview(b"\x82\x01ab")[::2])
    assert not decoder.failed


def test_options_are_checked(backend: Backend) -> None:
    with pytest.raises(ValueError, match="max_message_size must be between 0 and"):
        make(backend, max_message_size=-1)
    with pytest.raises(TypeError, match="must be classes"):
        make(backend, text=str.upper)
