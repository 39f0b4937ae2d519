"""UTF-8 that comes in pieces is judged at the first bad byte."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from wirecore._backend import Backend

VALID = (
    b"",
    b"plain ASCII, longer than one word of the compiled loop",
    "κόσμε".encode(),
    "\x00\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff".encode(),
    "ASCII, then 日本語, then ASCII again, and 🎉".encode(),
)

#: What is bad, and the index of the byte that shows it.
INVALID = {
    b"\x80": 0,
    b"\xbf": 0,
    b"abc\xff": 3,
    b"\xc0\xaf": 0,  # overlong "/"
    b"\xc1\xbf": 0,
    b"\xe0\x9f\xbf": 1,
    b"\xf0\x8f\xbf\xbf": 1,
    b"\xed\xa0\x80": 1,  # the first surrogate
    b"\xed\xbf\xbf": 1,  # the last one
    b"\xf4\x90\x80\x80": 1,  # U+110000
    b"\xf5\x80\x80\x80": 0,
    b"\xc3\x28": 1,
    b"\xe2\x82\x28": 2,
    b"\xf0\x9f\x8e\x41": 3,
    b"12345678\xe2\x82\xc3": 10,
    # Autobahn 6.4: a valid start, then a surrogate, then more.
    "κόσμε".encode() + b"\xf4\x90\x80\x80edited": 11,
}


@pytest.mark.parametrize("text", VALID)
def test_valid_text_is_accepted_however_it_is_cut(backend: Backend, text: bytes) -> None:
    for cut in range(len(text) + 1):
        validator = backend.utf8.Utf8Validator()
        assert validator.feed(text[:cut])
        assert validator.feed(text[cut:])
        assert validator.finish()


@pytest.mark.parametrize(("text", "bad_at"), INVALID.items())
def test_the_first_bad_byte_is_found_and_nothing_helps_after_it(
    backend: Backend, text: bytes, bad_at: int
) -> None:
    whole = backend.utf8.Utf8Validator()
    assert not whole.feed(text)
    assert not whole.finish()

    by_byte = backend.utf8.Utf8Validator()
    found = [by_byte.feed(text[at : at + 1]) for at in range(len(text))]
    assert found == [at < bad_at for at in range(len(text))]
    assert not by_byte.feed(b"fine")
    assert not by_byte.finish()


@pytest.mark.parametrize("text", [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x8e", b"good, then \xf4"])
def test_text_that_ends_inside_a_character_is_not_whole(backend: Backend, text: bytes) -> None:
    validator = backend.utf8.Utf8Validator()
    assert validator.feed(text)
    assert not validator.finish()


def test_reset_begins_anew(backend: Backend) -> None:
    validator = backend.utf8.Utf8Validator()
    assert not validator.feed(b"\xff")
    validator.reset()
    assert validator.feed(b"\xf0\x9f")
    validator.reset()
    assert validator.finish()
    assert validator.feed(b"new")


def test_every_pair_of_bytes_is_judged_as_python_judges_it(backend: Backend) -> None:
    validator = backend.utf8.Utf8Validator()
    for number in range(0x10000):
        pair = number.to_bytes(2, "big")
        try:
            pair.decode()
            valid = True
        except UnicodeDecodeError:
            valid = False
        validator.reset()
        assert (validator.feed(pair) and validator.finish()) == valid, pair


def test_buffers(backend: Backend) -> None:
    validator = backend.utf8.Utf8Validator()
    good: list[Any] = [bytearray("é", "utf-8"), memoryview(b"abc")[1:], array("B", b"abc")]
    for data in good:
        assert validator.feed(data)
    bad: list[tuple[Any, type[Exception]]] = [
        ("text", TypeError),
        (None, TypeError),
        (memoryview(b"abcd")[::2], ValueError),
        (array("H", [1]), ValueError),
    ]
    for wrong, error in bad:
        with pytest.raises(error):
            validator.feed(wrong)
    assert validator.finish()
