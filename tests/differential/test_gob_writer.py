"""Both writers of gob on the same values: right ones, and those of other types."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import gob_cases
from tests.gob_cases import KINDS
from wirecore import gob
from wirecore._backend import Backend

REGISTRY = gob_cases.registry()

#: What is no value of most types, or hardly one of some.
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=3),
    st.text(st.characters(categories=["Cs"]), max_size=2),
    st.binary(max_size=3),
    st.binary(max_size=3).map(bytearray),
    st.lists(st.none() | st.integers() | st.text(max_size=2), max_size=5),
    st.dictionaries(st.integers() | st.text(max_size=2), st.none() | st.integers(), max_size=2),
    st.sampled_from([1e39, -1e39, 10**400, float("nan"), float("-inf"), -0.0, object, object()]),
)


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[str, Any]:
    """A value that has something odd in it, with the name of its type."""
    [(name, value), *_] = draw(gob_cases.named_values())
    fields = list(getattr(value, "__dataclass_fields__", ()))
    if not fields or name in ("Point", "any", "secret", "version"):
        return name, draw(ODD)
    attribute = draw(st.sampled_from(fields))
    if draw(st.booleans()):
        setattr(value, attribute, draw(ODD))
    else:
        setattr(value, attribute, [draw(ODD)])
    return name, value


def outcome(encoder: gob.Encoder, name: str, value: Any) -> Any:
    try:
        return encoder.encode(value, KINDS[name])
    except (gob.UnsendableGob, gob.InvalidGobType) as error:
        return type(error), str(error)


@settings(max_examples=200)
@given(values=st.lists(spoiled(), min_size=1, max_size=6))
def test_writers_agree(backends: tuple[Backend, Backend], values: list[tuple[str, Any]]) -> None:
    compiled, pure = [gob.Encoder(REGISTRY, backend=backend) for backend in backends]
    for name, value in values:
        assert outcome(compiled, name, value) == outcome(pure, name, value)


@settings(max_examples=100)
@given(depth=st.integers(90, 110), kind=st.sampled_from(["left", "right"]))
def test_they_agree_on_depth(backends: tuple[Backend, Backend], depth: int, kind: str) -> None:
    tree = None
    for _ in range(depth):
        tree = gob_cases.Tree("x", **{kind: tree})
    compiled, pure = [
        outcome(gob.Encoder(REGISTRY, backend=backend), "Tree", tree) for backend in backends
    ]
    assert compiled == pure
    assert isinstance(compiled, bytes) is (depth <= 100)
