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
    st.floats(allow_nan=False),
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
        counts = backend.histogram.Counts()
        for batch in batches:
            counts.record(batch)
        buckets = counts.buckets
        assert sum(buckets.values()) == counts.count == sum(map(len, batches))
        assert all(0 <= index < (MOST - LEAST + 1) * PARTS for index in buckets)
        found.append((buckets, counts.sum, counts.max))
    assert found[0] == found[1]


def test_what_is_below_nothing_counts_as_nothing(backend: Backend) -> None:
    counts = backend.histogram.Counts()
    counts.record((-1.0, 0.0, 2.0))
    counts.record(())
    assert (counts.sum, counts.max, counts.count) == (2.0, 2.0, 3)
    assert sorted(counts.buckets.values()) == [1, 2]


def test_what_is_no_number_is_refused(backend: Backend) -> None:
    with pytest.raises(TypeError):
        backend.histogram.Counts().record(["long"])  # type: ignore[list-item]
