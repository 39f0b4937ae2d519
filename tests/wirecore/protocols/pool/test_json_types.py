"""Types that JSON has nothing for, alone or within others: neither read nor written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.wirecore.gob.go_types import GE
from tests.wirecore.protocols.pool.json_types import Point, Sealed, read, written
from wirecore.errors import InvalidGobType, InvalidJsonType, UnsendableJson

WITHOUT_TEXT = "encodes itself, but not as JSON: give it marshal_text and unmarshal_text"

TYPES: list[tuple[Any, Any, str]] = [
    (complex, 1j, "json: unsupported type: complex128"),
    (list[complex], [], "json: unsupported type: complex128"),
    (dict[str, complex | None], {}, "json: unsupported type: complex128"),
    (dict[bool, int], {}, "json: unsupported type: map[bool]int"),
    (dict[Any, int], {}, "json: unsupported type: map[interface {}]int"),
    (dict[Point, int], {}, "json: unsupported type: map[main.Point]int"),
    (dict[float, int], {}, "json: unsupported type: map[float64]int"),
    (dict[int | None, int], {}, "json: unsupported type: map[*int]int"),
    (dict[Sealed, int], {}, "json: unsupported type: map[[]uint8]int"),
    (dict[GE, int], {}, "json: unsupported type: map[main.GE]int"),
    (Sealed, b"", f"[]uint8 {WITHOUT_TEXT}"),
    (GE, GE(), f"main.GE {WITHOUT_TEXT}"),
    (GE | None, None, f"main.GE {WITHOUT_TEXT}"),
]


@pytest.mark.parametrize(("annotation", "value", "told"), TYPES)
def test_types_that_json_has_nothing_for(annotation: Any, value: Any, told: str) -> None:
    for use in (lambda: read("null", annotation), lambda: written(value, annotation)):
        with pytest.raises(InvalidJsonType) as caught:
            use()
        assert str(caught.value) == told


def test_what_looks_like_nothing_that_can_be_sent() -> None:
    values: list[tuple[Any, type[Exception]]] = [
        (1j, InvalidJsonType),
        ([1j], InvalidJsonType),
        ({"k": GE()}, InvalidJsonType),
        ({1}, InvalidGobType),
        ([memoryview(b"x")], InvalidGobType),
        (object(), UnsendableJson),
    ]
    for value, error in values:
        with pytest.raises(error):
            written(value)


@dataclass
class First:
    """Holds what JSON has nothing for, and before that a type that holds it again."""

    second: Second | None
    number: complex


@dataclass
class Second:
    first: First | None
    many: list[First]


USES: dict[str, Callable[[Any], Any]] = {
    "read": lambda annotation: read("null", annotation),
    "written": lambda annotation: written(None, annotation | None),
}
uses = pytest.mark.parametrize("use", USES.values(), ids=USES)


@uses
def test_a_type_that_holds_such_a_one_is_none_either_whichever_is_asked_for_first(
    use: Callable[[Any], Any],
) -> None:
    for annotation in (First, Second, list[Second], First, Second):
        with pytest.raises(InvalidJsonType, match="unsupported type: complex128"):
            use(annotation)


@dataclass
class Sound:
    n: int
    next: Sound | None = None


@dataclass
class Unsound:
    """Holds a type that is good by itself."""

    sound: Sound
    also: dict[str, Sound]
    number: complex


@uses
def test_a_good_type_within_such_a_one_is_still_good(use: Callable[[Any], Any]) -> None:
    text, value = '{"N":1,"Next":{"N":2,"Next":null}}', Sound(1, Sound(2))
    for _ in range(2):
        assert read(text, Sound) == value
        assert written(value, Sound) == text
        with pytest.raises(InvalidJsonType):
            use(Unsound)
