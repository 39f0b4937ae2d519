"""Counting TLS records from their headers, however the stream is cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecore_trio.tls.records import MAX_PLAINTEXT, RecordCounter


def record(size: int, kind: int = 23) -> bytes:
    return bytes([kind, 3, 3]) + size.to_bytes(2, "big") + bytes(size)


@given(
    sizes=st.lists(st.integers(0, 40), max_size=8),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_each_record_counts_where_its_last_byte_comes(sizes: list[int], cuts: list[int]) -> None:
    stream = b"".join(record(size) for size in sizes)
    ends = {sum(5 + s for s in sizes[: index + 1]) for index in range(len(sizes))}
    counter = RecordCounter()
    positions = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(positions):
        assert counter.feed(stream[start:end]) == len([e for e in ends if start < e <= end])
    assert not counter.broken


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_will_do(kind: type) -> None:
    counter = RecordCounter()
    stream = record(3) + record(70_000 % MAX_PLAINTEXT)
    assert counter.feed(kind(stream[:2])) == 0
    assert counter.feed(kind(stream[2:9])) == 1
    assert counter.feed(kind(stream[9:])) == 1


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(5),
        b"\x17\x03\x03\xff\xff",  # longer than a record may be
        b"\x17\x02\x00\x00\x01",  # SSL 2
    ],
)
def test_junk_is_worth_a_look_at_once(junk: bytes) -> None:
    counter = RecordCounter()
    assert counter.feed(record(1) + junk) == 2
    assert counter.broken
    assert counter.feed(b"anything") == 1


def test_the_longest_record_is_none_too_long() -> None:
    counter = RecordCounter()
    assert counter.feed(record(MAX_PLAINTEXT + 256)) == 1
    assert not counter.broken
    assert counter.feed(record(MAX_PLAINTEXT + 257)) == 1
    assert counter.broken
