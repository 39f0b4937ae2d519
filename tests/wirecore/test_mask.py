"""Masking, RFC 6455 section 5.3."""

from __future__ import annotations

from array import array

import pytest

from wirecore._backend import Backend

KEY = bytes.fromhex("37fa213d")

#: Around the word sizes of the compiled loop, and where the pure twin changes its method.
SIZES = (*range(34), 63, 64, 65, 127, 128, 255, 256, 1000, 4095, 4096, 4097, 70001)


def expected(data: bytes, key: bytes, offset: int) -> bytes:
    return bytes(byte ^ key[(offset + index) % 4] for index, byte in enumerate(data))


def test_the_example_of_the_rfc(backend: Backend) -> None:
    masked = bytes.fromhex("7f9f4d5158")
    assert backend.mask.apply_mask(b"Hello", KEY) == masked
    assert backend.mask.apply_mask(masked, KEY) == b"Hello"


@pytest.mark.parametrize("size", SIZES)
def test_every_byte_meets_its_byte_of_the_key(backend: Backend, size: int) -> None:
    data = bytes(index * 7 & 0xFF for index in range(size))
    for offset in range(5):
        masked = backend.mask.apply_mask(data, KEY, offset)
        assert masked == expected(data, KEY, offset)


def test_a_payload_can_be_masked_in_pieces(backend: Backend) -> None:
    data = bytes(range(50))
    for cut in range(51):
        pieces = backend.mask.apply_mask(data[:cut], KEY)
        pieces += backend.mask.apply_mask(data[cut:], KEY, cut)
        assert pieces == backend.mask.apply_mask(data, KEY)


@pytest.mark.parametrize(
    "data",
    [
        bytearray(b"Hello"),
        memoryview(b"Hello"),
        memoryview(b"xHellox")[1:-1],
        array("B", b"Hello"),
        memoryview(b"Hello").cast("c"),
        memoryview(b"Hello").cast("b"),
    ],
)
def test_any_contiguous_buffer_of_bytes_will_do(backend: Backend, data: bytearray) -> None:
    masked = backend.mask.apply_mask(data, KEY)
    assert type(masked) is bytes
    assert masked == bytes.fromhex("7f9f4d5158")


def test_a_bytearray_may_be_resized_afterwards(backend: Backend) -> None:
    data = bytearray(b"Hello")
    backend.mask.apply_mask(data, KEY)
    data += b" again"
    assert data == b"Hello again"


def test_a_head_comes_before_it(backend: Backend) -> None:
    masked = backend.mask.apply_mask(b"Hello", KEY, 1)
    assert backend.mask.apply_mask(b"Hello", KEY, 1, b"head") == b"head" + masked
    assert backend.mask.apply_mask(b"", KEY, 0, b"head") == b"head"
    with pytest.raises(TypeError, match="head must be bytes, not str"):
        backend.mask.apply_mask(b"Hello", KEY, 0, "head")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "key", "offset", "error"),
    [
        (memoryview(b"abcdef")[::2], KEY, 0, ValueError),
        (array("H", [1, 2]), KEY, 0, ValueError),
        ("text", KEY, 0, TypeError),
        (None, KEY, 0, TypeError),
        ([1, 2], KEY, 0, TypeError),
        (b"data", b"abc", 0, ValueError),
        (b"data", b"abcde", 0, ValueError),
        (b"data", b"", 0, ValueError),
        (b"data", bytearray(KEY), 0, TypeError),
        (b"data", None, 0, TypeError),
        (b"data", KEY, -1, ValueError),
    ],
)
def test_misuse_is_an_error(
    backend: Backend, data: bytes, key: bytes, offset: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        backend.mask.apply_mask(data, key, offset)
