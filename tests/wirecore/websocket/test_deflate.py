"""What compression makes of messages, and that nobody's bomb gets past it: RFC 7692 section 7.2."""

from __future__ import annotations

import random
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecore.websocket.deflate import DeflateParameters, Deflater, Inflater

ROOM = 1 << 20
HELLO = bytes.fromhex("f248cdc9c90700")  # section 7.2.3.1


def inflate(inflater: Inflater, packed: bytes, room: int = ROOM) -> bytes:
    """A whole message that came in one piece."""
    data = inflater.inflate(packed, room)
    return data if len(data) > room else data + inflater.finish(room - len(data))


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(bytes(size)) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]


def test_the_examples_of_the_standard() -> None:
    deflater, inflater = Deflater(), Inflater()
    assert deflater.deflate(b"Hello") == HELLO
    assert deflater.deflate(b"Hello") == bytes.fromhex("f200110000")  # 7.2.3.2: shared window
    assert inflate(inflater, HELLO) == b"Hello"
    assert inflate(inflater, bytes.fromhex("f200110000")) == b"Hello"
    # 7.2.3.3: a block without compression; 7.2.3.4: a final block; 7.2.3.5: two blocks.
    assert inflate(inflater, bytes.fromhex("000500faff48656c6c6f00")) == b"Hello"
    assert inflate(inflater, bytes.fromhex("f348cdc9c9070000")) == b"Hello"
    assert inflate(inflater, bytes.fromhex("f248050000 00ffffcac9c90700")) == b"Hello"


def test_an_empty_message_every_time() -> None:
    deflater, inflater = Deflater(), Inflater()
    for payload in (b"", b"", b"x", b"", b"", b"y"):
        packed = deflater.deflate(payload)
        assert packed
        assert inflate(inflater, packed) == payload


def test_an_empty_message_without_its_byte_spoils_nothing() -> None:
    """zlib flushes nothing twice, and some peers send just that."""
    inflater = Inflater()
    assert inflate(inflater, HELLO) == b"Hello"
    assert inflate(inflater, b"") == b""
    assert inflate(inflater, bytes.fromhex("f200110000")) == b"Hello"


def test_a_final_block_without_its_byte_spoils_nothing() -> None:
    inflater = Inflater()
    for _ in range(3):
        packer = zlib.compressobj(wbits=-15)
        assert inflate(inflater, packer.compress(b"whole") + packer.flush()) == b"whole"
    assert inflate(inflater, HELLO) == b"Hello"


def test_several_streams_make_one_message_but_not_without_end() -> None:
    packer = zlib.compressobj(wbits=-15)
    stream = packer.compress(b"part,") + packer.flush()
    inflater = Inflater()
    assert inflate(inflater, stream * 16) == b"part," * 16
    assert inflate(inflater, stream * 16 + b"\0") == b"part," * 16
    with pytest.raises(zlib.error, match="more than 16 streams"):
        inflate(inflater, stream * 17)


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("fresh", [False, True])
def test_windows_and_takeover(bits: int, fresh: bool) -> None:
    text = random.Random(bits).randbytes(1 << bits)
    deflater, inflater = Deflater(bits, fresh=fresh), Inflater(bits, fresh=fresh)
    sizes = []
    for payload in (text[-200:], text[-200:], text * 2, b"", text):
        packed = deflater.deflate(payload)
        sizes.append(len(packed))
        assert inflate(inflater, packed) == payload
    assert (sizes[1] < 20) is not fresh


def test_a_peer_may_keep_to_a_window_of_eight_bits() -> None:
    """zlib makes a window of nine where eight are asked for, and never looks back 256 bytes."""
    data = random.Random(8).randbytes(300) * 4
    deflater, inflater = Deflater(9), Inflater(8)
    for _ in range(3):
        assert inflate(inflater, deflater.deflate(data)) == data


def test_a_peer_that_looks_back_beyond_its_window_is_found_out() -> None:
    data = random.Random(9).randbytes(3000)
    deflater, inflater = Deflater(15), Inflater(9)
    assert inflate(inflater, deflater.deflate(data)) == data
    with pytest.raises(zlib.error, match="too far back"):
        inflate(inflater, deflater.deflate(data))


def test_we_make_no_window_of_eight_bits() -> None:
    parameters = DeflateParameters(server_max_window_bits=8)
    assert parameters.deflater(client=False) is None
    assert parameters.deflater(client=True) is not None
    assert inflate(parameters.inflater(client=True), HELLO) == b"Hello"


def test_each_end_takes_its_own_parameters() -> None:
    parameters = DeflateParameters(server_no_context_takeover=True, level=1, mem_level=1)
    for client in (True, False):
        deflater = parameters.deflater(client=client)
        inflater = parameters.inflater(client=not client)
        assert deflater is not None
        first, second = deflater.deflate(b"Hello" * 9), deflater.deflate(b"Hello" * 9)
        assert (first == second) is not client
        assert inflate(inflater, first) == inflate(inflater, second) == b"Hello" * 9


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_what_fits_passes(size: int) -> None:
    assert inflate(Inflater(), bomb(size) or b"\0", room=100) == bytes(size)


def test_one_byte_too_many_shows_and_no_more_is_made() -> None:
    for size in (101, 102, 5000):
        assert len(Inflater().inflate(bomb(size), 100)) == 101
    deflater, inflater = Deflater(), Inflater()
    assert len(inflater.inflate(deflater.deflate(b"x" * 60, last=False), 100)) == 60
    assert len(inflater.inflate(deflater.deflate(b"y" * 60), 40)) == 41
    packer = zlib.compressobj(wbits=-15)
    streams = (packer.compress(b"x" * 60) + packer.flush()) * 2
    assert len(Inflater().inflate(streams, 100)) == 101
    assert len(Inflater().inflate(streams, 59)) == 60


def test_a_bomb_costs_no_more_memory_than_the_limit() -> None:
    packed = bomb(64 * ROOM)
    assert len(packed) < 70_000
    tracemalloc.start()
    assert len(Inflater().inflate(packed, ROOM)) == ROOM + 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * ROOM


def test_garbage() -> None:
    with pytest.raises(zlib.error):
        Inflater().inflate(b"\xff\xff\xff", ROOM)


@given(
    messages=st.lists(
        st.lists(st.binary(max_size=50) | st.just(b"abc" * 40), min_size=1, max_size=4),
        max_size=5,
    ),
    cuts=st.lists(st.integers(1, 30), min_size=1),
    fresh=st.booleans(),
)
def test_fragments_however_they_are_cut(
    messages: list[list[bytes]], cuts: list[int], fresh: bool
) -> None:
    deflater, inflater = Deflater(fresh=fresh), Inflater(fresh=fresh)
    for parts in messages:
        packed = b"".join(
            deflater.deflate(part, last=index == len(parts) - 1) for index, part in enumerate(parts)
        )
        found = b""
        turn = 0
        while packed:
            cut = cuts[turn % len(cuts)]
            turn += 1
            found += inflater.inflate(packed[:cut], ROOM - len(found))
            packed = packed[cut:]
        assert found + inflater.finish(ROOM - len(found)) == b"".join(parts)


@given(st.binary(max_size=200), st.integers(0, 100))
def test_any_bytes_inflate_within_the_room_or_raise(data: bytes, room: int) -> None:
    try:
        found = inflate(Inflater(), data, room)
    except zlib.error:
        return
    assert len(found) <= room + 1
