"""Both backends mask alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wirecore._backend import Backend


@given(
    data=st.one_of(st.binary(max_size=300), st.binary(min_size=4090, max_size=4110)),
    key=st.binary(min_size=4, max_size=4),
    offset=st.integers(0, 9),
    head=st.binary(max_size=14),
)
def test_mask(
    backends: tuple[Backend, Backend], data: bytes, key: bytes, offset: int, head: bytes
) -> None:
    compiled, pure = (backend.mask.apply_mask(data, key, offset) for backend in backends)
    assert compiled == pure
    with_head = [backend.mask.apply_mask(data, key, offset, head) for backend in backends]
    assert with_head == [head + pure] * 2
    for backend in backends:
        assert backend.mask.apply_mask(memoryview(data), key, offset) == pure
        assert backend.mask.apply_mask(pure, key, offset) == data
