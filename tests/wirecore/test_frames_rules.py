"""A peer that breaks a rule makes one Failure, at the first byte that shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wirecore import rules
from wirecore._backend import Backend
from wirecore.events import Close, Failure, Item, Ping

if TYPE_CHECKING:
    from wirecore_py.frames import MessageDecoder

KEY = bytes.fromhex("37fa213d")
ZERO_KEY = bytes(4)


def decoder(backend: Backend, *, client: bool = False) -> MessageDecoder:
    made: MessageDecoder = backend.frames.MessageDecoder(
        client=client, max_frame_size=1 << 62, max_message_size=(1 << 63) - 1
    )
    return made


def check_failure(
    backend: Backend, stream: bytes, code: int, *, at: int | None = None, client: bool = False
) -> Failure:
    """*stream* fails with *code* at its byte *at* (the last one), whole and byte by byte."""
    if at is None:
        at = len(stream) - 1
    whole = decoder(backend, client=client)
    items = whole.receive(stream + b"\x82\x00 and more")
    failure = items[-1]
    assert isinstance(failure, Failure), items
    assert failure.code == code
    assert whole.failed
    assert not whole.closed
    assert (whole.in_message, whole.buffered) == (False, 0)
    assert whole.controls == sum(not isinstance(item, str | bytes) for item in items)
    assert whole.receive(stream) == []

    by_byte = decoder(backend, client=client)
    found: list[Item] = []
    for index in range(at):
        found += by_byte.receive(stream[index : index + 1])
    assert not by_byte.failed
    found += by_byte.receive(stream[at : at + 1])
    assert found == items
    assert by_byte.failed
    return failure


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("fin", [0, 0x80])
def test_reserved_opcodes(backend: Backend, opcode: int, fin: int) -> None:
    failure = check_failure(backend, bytes([fin | opcode]), 1002)
    assert f"0x{opcode:x}" in failure.reason


@pytest.mark.parametrize("bit", [0x40, 0x20, 0x10])
@pytest.mark.parametrize("opcode", [1, 2, 8, 9, 10])
def test_reserved_bits(backend: Backend, bit: int, opcode: int) -> None:
    check_failure(backend, bytes([0x80 | bit | opcode]), 1002)


@pytest.mark.parametrize("bit", [0x40, 0x20, 0x10])
def test_reserved_bits_of_a_continuation(backend: Backend, bit: int) -> None:
    start = bytes([0x01, 0x80]) + KEY
    check_failure(backend, start + bytes([0x80 | bit]), 1002)


@pytest.mark.parametrize("opcode", [8, 9, 10])
def test_control_frames_are_never_fragmented(backend: Backend, opcode: int) -> None:
    assert "fragmented" in check_failure(backend, bytes([opcode]), 1002).reason


@pytest.mark.parametrize("opcode", [8, 9, 10])
@pytest.mark.parametrize("length", [126, 127])
def test_control_frames_are_short(backend: Backend, opcode: int, length: int) -> None:
    check_failure(backend, bytes([0x80 | opcode, 0x80 | length]), 1002)


@pytest.mark.parametrize("first", [0x00, 0x80])
def test_a_continuation_needs_a_message(backend: Backend, first: int) -> None:
    check_failure(backend, bytes([first]), 1002)
    # Autobahn 5.9 ff.: after a whole message there is none to continue either.
    check_failure(backend, bytes([0x82, 0x80]) + KEY + bytes([first]), 1002)


@pytest.mark.parametrize("first", [0x01, 0x02, 0x81, 0x82])
def test_a_message_inside_another(backend: Backend, first: int) -> None:
    check_failure(backend, bytes([0x01, 0x80]) + KEY + bytes([first]), 1002)


def test_masking_is_for_clients_only(backend: Backend) -> None:
    assert check_failure(backend, b"\x82\x05", 1002) == rules.MASK_MISSING
    assert check_failure(backend, b"\x89\x00", 1002) == rules.MASK_MISSING
    assert check_failure(backend, b"\x82\x85", 1002, client=True) == rules.MASK_UNWANTED
    assert check_failure(backend, b"\x82\xff", 1002, client=True) == rules.MASK_UNWANTED


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (b"\x7e\x00\x00", rules.LENGTH_NOT_MINIMAL),
        (b"\x7e\x00\x7d", rules.LENGTH_NOT_MINIMAL),
        (b"\x7f\x00\x00\x00\x00\x00\x00\x00\x00", rules.LENGTH_NOT_MINIMAL),
        (b"\x7f\x00\x00\x00\x00\x00\x00\xff\xff", rules.LENGTH_NOT_MINIMAL),
        (b"\x7f\x80\x00\x00\x00\x00\x00\x00\x00", rules.LENGTH_TOP_BIT),
        (b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff", rules.LENGTH_TOP_BIT),
    ],
)
@pytest.mark.parametrize("client", [True, False])
def test_lengths_are_written_in_one_way(
    backend: Backend, length: bytes, reason: Failure, client: bool
) -> None:
    masked = bytes([length[0] | (0 if client else 0x80)]) + length[1:]
    assert check_failure(backend, b"\x82" + masked, 1002, client=client) == reason


def test_close_of_one_byte(backend: Backend) -> None:
    check_failure(backend, b"\x88\x81" + ZERO_KEY + b"\x03", 1002)


@pytest.mark.parametrize(
    "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
)
def test_close_codes_that_may_not_be_sent(backend: Backend, code: int) -> None:
    frame = b"\x88\x82" + ZERO_KEY + code.to_bytes(2, "big")
    assert str(code) in check_failure(backend, frame, 1002).reason


def test_close_reason_that_is_no_utf8(backend: Backend) -> None:
    check_failure(backend, b"\x88\x83" + ZERO_KEY + b"\x03\xe8\xff", 1007)


def test_bad_text_fails_at_its_first_bad_byte(backend: Backend) -> None:
    """Autobahn 6.4.1 and on: not at the end of the message, nor of the frame."""
    good, bad = "κόσμε".encode(), b"\xf4\x90\x80\x80"
    head = b"\x81\x95" + ZERO_KEY
    stream = head + good + bad + b"edited"
    assert check_failure(backend, stream, 1007, at=6 + len(good) + 1) == rules.BAD_UTF8


def test_bad_text_across_fragments(backend: Backend) -> None:
    """Autobahn 6.4.2: the fragments are cut inside the character."""
    start = b"\x01\x82" + ZERO_KEY + b"a\xf4"
    stream = start + b"\x89\x80" + KEY + b"\x00\x83" + ZERO_KEY + b"\x90bc"
    check_failure(backend, stream, 1007, at=len(stream) - 3)
    assert decoder(backend).receive(stream)[0] == Ping(b"")


def test_text_that_ends_inside_a_character(backend: Backend) -> None:
    check_failure(backend, b"\x81\x82" + ZERO_KEY + b"a\xc3", 1007)
    check_failure(backend, b"\x01\x81" + ZERO_KEY + b"\xc3" + b"\x80\x80" + KEY, 1007)
    check_failure(backend, b"\x81\x01\xff", 1007, client=True)


def test_what_was_whole_before_the_failure_is_handed_out(backend: Backend) -> None:
    encode = backend.frames.encode_frame
    stream = encode(2, b"one", True) + encode(9, b"two", True) + encode(1, b"three", True)
    server = decoder(backend)
    items = server.receive(stream + b"\x83\x80")
    assert items[:3] == [b"one", Ping(b"two"), "three"]
    assert isinstance(items[3], Failure)
    assert len(items) == 4
    assert server.controls == 2


def test_a_close_hides_what_is_wrong_behind_it(backend: Backend) -> None:
    stream = backend.frames.encode_frame(8, b"\x03\xe8", True) + b"\xff\xff"
    server = decoder(backend)
    assert server.receive(stream) == [Close(1000, "")]
    assert server.closed
    assert not server.failed


def test_a_failure_without_a_limit_names_none(backend: Backend) -> None:
    failure = check_failure(backend, b"\x83", 1002)
    assert (failure.limit, failure.figure, failure.bound) == ("", 0, 0)


def test_every_first_byte_is_judged_by_the_table(backend: Backend) -> None:
    """All 256, outside a message and inside one, in one read with the rest of a frame."""
    starts = {False: b"", True: b"\x02\x80" + KEY}
    for in_message, start in starts.items():
        legal = rules.legal_first_bytes(in_message, False)
        assert sum(legal) == (7 if not in_message else 5)
        for first in range(256):
            server = decoder(backend)
            server.receive(start + bytes([first, 0x80]) + KEY)
            assert server.failed != legal[first]
