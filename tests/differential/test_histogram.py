"""Durations in buckets, in both backends: the same counts, sums and longest ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecore._backend import Backend
from wirecore.histogram_rules import LEAST, MOST, PARTS

SECONDS = st.one_of(
    st.floats(-1, 1e6),
    st.floats(allow_nan=False, allow_infinity=False),
    # Around each border between octaves and between buckets.
    st.builds(
        lambda octave, part, off: math.ldexp(1 + part / PARTS, octave) * (1 + off * 1e-15),
        st.integers(LEAST - 3, MOST + 3),
        st.integers(0, PARTS),
        st.integers(-2, 2),
    ),
    st.integers(-5, 5),
)


@given(batches=st.lists(st.lists(SECONDS, max_size=8), max_size=4))
def test_both_count_alike(backends: tuple[Backend, Backend], batches: list[list[float]]) -> None:
    found = []
    for backend in backends:
        buckets: dict[int, int] = {}
        told = [backend.histogram.count(buckets, batch) for batch in batches]
        assert sum(buckets.values()) == sum(map(len, batches))
        assert all(0 <= index < (MOST - LEAST + 1) * PARTS for index in buckets)
        found.append((buckets, told))
    assert found[0] == found[1]


def test_what_is_below_nothing_counts_as_nothing(backend: Backend) -> None:
    buckets: dict[int, int] = {}
    assert backend.histogram.count(buckets, (-1.0, 0.0, 2.0)) == (2.0, 2.0)
    assert sorted(buckets.values()) == [1, 2]
    assert backend.histogram.count(buckets, ()) == (0.0, 0.0)


def test_what_is_no_number_is_refused(backend: Backend) -> None:
    with pytest.raises(TypeError):
        backend.histogram.count({}, ["long"])  # type: ignore[list-item]
