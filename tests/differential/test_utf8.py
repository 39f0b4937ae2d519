"""Both backends, and Python's decoder, find the same first bad byte in any text."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wirecore._backend import Backend

#: Bytes near the borders of the ranges that RFC 3629 section 4 names.
BORDERS = st.sampled_from(
    b"\x00A\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xff"
)
TEXTS = st.one_of(
    st.binary(max_size=40),
    st.lists(BORDERS, max_size=12).map(bytes),
    st.text(max_size=30).map(str.encode),
    st.builds(lambda text, tail: text.encode() + tail, st.text(max_size=30), st.binary(max_size=4)),
)


#: One of these completes any character that was begun.
ENDINGS = (b"", b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\xa0\x80", b"\x90\x80\x80")


def is_valid(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def longest_valid_start(data: bytes) -> int:
    """How many bytes of *data* can be the start of some valid text."""
    size = 0
    while size < len(data) and any(is_valid(data[: size + 1] + ending) for ending in ENDINGS):
        size += 1
    return size


@given(data=TEXTS)
def test_whole_and_by_byte(backends: tuple[Backend, Backend], data: bytes) -> None:
    good = longest_valid_start(data)
    whole = is_valid(data)
    for backend in backends:
        validator = backend.utf8.Utf8Validator()
        assert validator.feed(data) == (good == len(data))
        assert validator.finish() == whole
        validator.reset()
        found = [validator.feed(data[at : at + 1]) for at in range(len(data))]
        assert found == [at < good for at in range(len(data))]
        assert validator.finish() == whole


@given(data=TEXTS, cuts=st.lists(st.integers(0, 40), max_size=4))
def test_cut_anywhere(backends: tuple[Backend, Backend], data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(data)]
    answers = []
    for backend in backends:
        validator = backend.utf8.Utf8Validator()
        fed = [validator.feed(data[a:b]) for a, b in pairwise(edges)]
        answers.append((fed, validator.finish()))
    assert answers[0] == answers[1]
