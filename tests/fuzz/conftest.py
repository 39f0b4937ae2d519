"""What the fuzz tests share: how many examples they try, and how bytes are damaged.

``WIRECORE_FUZZ_EXAMPLES`` makes each of them try that many, other ones in every run; without it
they try a few, always the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Mutated: TypeAlias = Callable[[st.SearchStrategy[bytes]], st.SearchStrategy[bytes]]

#: Examples of each test in the normal run: a few seconds for all of them.
_FEW = 60

_wanted = os.environ.get("WIRECORE_FUZZ_EXAMPLES", "")
settings.register_profile(
    "wirecore-fuzz",
    parent=settings.get_profile("wirecore"),
    max_examples=int(_wanted or _FEW),
    derandomize=not _wanted,
    print_blob=True,
    # Long streams are what is wanted here, and a busy machine is no fault.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def _mutate(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(["flip", "drop", "double", "insert", "cut"]))
        if how == "flip":
            data[at : at + 1] = bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in data[at:][:1])
        elif how == "drop":
            del data[at : at + draw(st.integers(1, 8))]
        elif how == "double":
            data[at:at] = data[at : at + draw(st.integers(1, 20))]
        elif how == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        else:
            del data[at:]
    return bytes(data)


@pytest.fixture(scope="session")
def mutated() -> Mutated:
    """Makes a strategy for whole streams into one for those and damaged ones."""
    return _mutate
