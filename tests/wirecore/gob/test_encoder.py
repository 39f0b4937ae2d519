"""Writing a stream: what is inferred, what is refused, and that a refusal leaves nothing behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import pytest

from tests.gob_cases import Holder, Pointers, Tree, Widths
from wirecore import gob
from wirecore._backend import Backend
from wirecore.errors import InvalidOption, LocalLimitExceeded


@dataclass(frozen=True)
class Point:
    x: int
    y: int


@dataclass
class Line:
    start: Point
    end: Point
    note: Any = None


class Failing:
    """Encodes itself, unless it is told not to."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def gob_encode(self) -> bytes:
        if self.fails:
            raise ZeroDivisionError
        return b"ok"

    @classmethod
    def gob_decode(cls, data: bytes) -> Failing:
        return cls(data != b"ok")


@dataclass
class Last:
    before: Point
    last: Failing


def names() -> gob.Registry:
    made = gob.Registry()
    made.register("example.Point", Point)
    made.register("example.Last", Last)
    return made


def back(data: bytes, annotation: Any = Any) -> Any:
    return gob.loads(data, annotation, registry=names())


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (True, bool),
        (3, int),
        (0.5, float),
        (1j, complex),
        ("text", str),
        (b"bytes", bytes),
        ([1, 2], list[int]),
        (("a", "b"), list[str]),
        ([[], [1], []], list[list[int]]),
        ([{"a": []}, {"b": [0.5]}], list[dict[str, list[float]]]),
        ({"a": b"1"}, dict[str, bytes]),
        (Point(1, 2), Point),
        ([Point(1, 2)], list[Point]),
        ({Point(1, 2): "p"}, dict[Point, str]),
        (datetime(2024, 2, 29, tzinfo=UTC), datetime),
    ],
)
def test_types_are_found_by_looking(backend: Backend, value: Any, annotation: Any) -> None:
    found = gob.Encoder(backend=backend).encode(value)
    assert found == gob.Encoder(backend=backend).encode(value, annotation)
    assert back(found, annotation) == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "nil value"),
        ([], "give its type"),
        ({}, "give its type"),
        ([[], []], "give its type"),
        ([1, "two"], "both int and str"),
        ([1, 2.0], "both int and float"),
        ([True, 1], "both bool and int"),
        ({"a": [1], "b": ["x"]}, r"both list\[int\] and list\[str\]"),
        ([1, None], "nil value"),
        (2**63, "out of range"),
    ],
)
def test_what_has_no_type_is_refused(backend: Backend, value: Any, reason: str) -> None:
    with pytest.raises(gob.UnsendableGob, match=reason):
        gob.Encoder(backend=backend).encode(value)


@pytest.mark.parametrize(
    ("value", "annotation", "reason"),
    [
        ("1", int, "'int' must be an int, not str"),
        (1.0, int, "'int' must be an int, not float"),
        (1, bool, "'bool' must be a bool, not int"),
        (b"", str, "'string' must be a str, not bytes"),
        ("", bytes, "must be bytes, not str"),
        ("", float, "must be a float"),
        ("", complex, "must be a complex"),
        ({}, list[int], "must be a list or tuple, not dict"),
        ([], dict[str, int], "must be a dict, not list"),
        ([1, None], list[int | None], r"'element of \[\]\*int' must not be None"),
        ([1], tuple[int, int], "must have 2 elements, not 1"),
        (128, Annotated[int, gob.INT8], 'value for "int8" out of range'),
        (-1, Annotated[int, gob.UINT], 'value for "uint" out of range'),
        (2**64, Annotated[int, gob.UINT64], "out of range"),
        (1e39, Annotated[float, gob.FLOAT32], "out of range"),
        (10**400, float, "out of range"),
        ("\ud800", str, "surrogates that stand for no byte"),
        (Line(Point(1, 2), Point(1, None)), Line, r"main\.Point\.Y"),  # type: ignore[arg-type]
        (Line(Point(1, 2), None), Line, r"'main\.Point' must be Point"),  # type: ignore[arg-type]
        (Point(1, 2), Line, "must be Line, not Point"),
        (Line(Point(1, 2), Point(1, 2), Line), Line, "type has no counterpart"),
        (datetime(2024, 1, 1), datetime, "must have a zone"),
        (datetime(2024, 1, 1, tzinfo=timezone(timedelta(minutes=-1))), datetime, "one minute west"),
        (datetime(2024, 1, 1, tzinfo=timezone(timedelta(microseconds=5))), datetime, "fraction"),
        ([1, "x", Tree("t")], list[Any], "type not registered for interface: main.Tree"),
        ([gob.Named("nobody", 1)], list[Any], "name not registered for interface: 'nobody'"),
        ([gob.Named("example.Point", None)], list[Any], "nil pointer"),
    ],
)
def test_a_value_of_another_type_is_refused(
    backend: Backend, value: Any, annotation: Any, reason: str
) -> None:
    with pytest.raises((gob.UnsendableGob, gob.InvalidGobType), match=reason):
        gob.Encoder(names(), backend=backend).encode(value, annotation)


def test_a_refused_value_leaves_nothing_behind(backend: Backend) -> None:
    """Its definitions come again with the next value of these types, under the same ids."""
    encoder = gob.Encoder(names(), backend=backend)
    first = encoder.encode(Line(Point(1, 2), Point(3, 4)))
    point = Last(Point(5, 6), Failing())
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            encoder.encode(Last(Point(5, 6), Failing(fails=True)))
        with pytest.raises(ZeroDivisionError):
            encoder.encode(Line(Point(0, 0), Point(0, 0), Last(Point(1, 1), Failing(fails=True))))
    stream = first + encoder.encode(point)
    assert stream.count(b"Failing") == 1
    stream += encoder.encode(Line(Point(0, 0), Point(1, 1), point))
    assert stream.count(b"Failing") == stream.count(b"\x0cexample.Last") == 1
    decoder = gob.Decoder(names(), backend=backend)
    decoder.feed(stream)
    assert decoder.decode(Line) == Line(Point(1, 2), Point(3, 4))
    found = decoder.decode(Last)
    assert isinstance(found, Last)
    assert found.before == Point(5, 6)
    assert isinstance(decoder.decode(Line), Line)
    decoder.finish()


def test_zeros_are_left_out_of_structs_only(backend: Backend) -> None:
    encoder = gob.Encoder(backend=backend)
    encoder.encode(Widths())
    assert encoder.encode(Widths()).hex() == "03ff8200"
    assert encoder.encode(0).hex() == "03040000"
    encoder.encode([Point(0, 0)])
    assert encoder.encode([Point(0, 0)], list[Point])[-2:] == b"\1\0"
    empty = Pointers(0, "", Point(0, 0), None)  # type: ignore[arg-type]
    with pytest.raises(gob.UnsendableGob, match="must be Point"):
        encoder.encode(empty)  # another Point than the field's


def test_cycles_and_depth_end(backend: Backend) -> None:
    ring = Tree("ring")
    ring.left = ring
    endless: list[Any] = []
    endless.append(gob.Named("example.Anys", endless))
    registry = gob.Registry()
    registry.register("example.Anys", list[Any])
    encoder = gob.Encoder(registry, backend=backend)
    for value, annotation in ((ring, Tree), (endless, list[Any])):
        with pytest.raises(gob.UnsendableGob, match="max_depth is 100"):
            encoder.encode(value, annotation)
    chain = None
    for _ in range(100):
        chain = Tree("", chain)
    assert back(encoder.encode(chain), Tree) == chain
    with pytest.raises(gob.UnsendableGob, match="max_depth"):
        encoder.encode(Tree("", chain))


def test_large_messages_are_refused(backend: Backend) -> None:
    encoder = gob.Encoder(limits=gob.Limits(max_message_size=100), backend=backend)
    with pytest.raises(LocalLimitExceeded, match="max_message_size is 100"):
        encoder.encode(bytes(101))
    assert encoder.encode(b"small").hex() == "080a0005736d616c6c"


def test_a_registry_is_a_bijection() -> None:
    registry = names()
    registry.register("example.Point", Point)
    with pytest.raises(InvalidOption, match="duplicate types"):
        registry.register("example.Point", Line)
    with pytest.raises(InvalidOption, match="duplicate names"):
        registry.register("example.Other", Point | None)
    for name in ("", "n" * 1025):
        with pytest.raises(InvalidOption, match="1 to 1024"):
            registry.register(name, Line)


def test_a_named_value_alone_is_of_that_type(backend: Backend) -> None:
    encoder = gob.Encoder(names(), backend=backend)
    assert encoder.encode(gob.Named("uint64", 7)).hex() == "03060007"
    assert back(encoder.encode(gob.Named("example.Point", Point(1, 2)))) == {"X": 1, "Y": 2}
    alone = encoder.encode(Point(1, 2), Any | None)
    decoder = gob.Decoder(names(), backend=backend)
    encoder = gob.Encoder(names(), backend=backend)
    decoder.feed(encoder.encode(None, Any | None) + encoder.encode(Point(1, 2), Any | None))
    assert decoder.decode(Any | None) is None
    assert decoder.decode(Any | None) == Point(1, 2)
    assert alone.endswith(bytes.fromhex("0501020104" + "00"))


def test_ids_begin_where_one_says() -> None:
    with pytest.raises(InvalidOption):
        gob.TypeIds(63)
    shared = gob.TypeIds(70)
    one, two = gob.Encoder(type_ids=shared), gob.Encoder(type_ids=shared)
    assert one.encode(Point(1, 2)).startswith(bytes.fromhex("1fff8b"))
    assert two.encode(Line(Point(0, 0), Point(0, 0)))[1:3].hex() == "ff8d"


def test_values_in_interfaces_that_bring_their_types(backend: Backend) -> None:
    """A message ends where a definition does, and the value goes on in the next."""
    registry = gob.Registry()
    registry.register("example.Holder", Holder)
    registry.register("example.Point", Point)
    registry.register("example.Anys", list[Any])
    value = Holder(
        1, [Point(1, 2), Holder(0, Point(3, 4), [gob.Named("example.Anys", [Point(5, 6)])])]
    )
    value.v = gob.Named("example.Anys", value.v)
    encoder = gob.Encoder(registry, backend=backend)
    first, second = encoder.encode(value), encoder.encode(value)
    assert len(second) < len(first)
    plain = Holder(1, [Point(1, 2), Holder(0, Point(3, 4), [[Point(5, 6)]])])
    decoder = gob.Decoder(registry, backend=backend)
    for byte in first:
        assert decoder.decode(Holder) is gob.NEED_DATA
        decoder.feed(bytes((byte,)))
    assert decoder.decode(Holder) == plain
    decoder.feed(second)
    assert decoder.decode(Holder) == plain


def test_lists_are_what_they_were(backend: Backend) -> None:
    """Any buffer is bytes; a tuple is a list."""
    encoder = gob.Encoder(backend=backend)
    for data in (b"ab", bytearray(b"ab"), memoryview(b"ab"), memoryview(b"axbx")[::2]):
        assert encoder.encode(data, bytes).hex() == "050a00026162"
    assert back(encoder.encode((1, 2), tuple[int, int]), tuple[int, int]) == (1, 2)
