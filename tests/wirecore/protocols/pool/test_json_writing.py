"""Values written by their types: the text that Go's encoding/json makes of them, or our error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from math import inf, nan
from typing import Annotated, Any

import pytest

from tests.wirecore.protocols.pool.json_types import (
    Bag,
    Celsius,
    Float32,
    Four,
    Int8,
    Line,
    Node,
    Point,
    Release,
    Shout,
    Tagged,
    Three,
    Uint8,
    Uint64,
    Version,
    written,
)
from wirecore import gob
from wirecore.errors import (
    LocalLimitExceeded,
    UnsendableJson,
)
from wirecore.gob.opaque import ZERO_TIME
from wirecore.protocols.pool import JsonCalling, JsonServing, Request

LEAP_DAY = datetime(2024, 2, 29, 12, 34, 56, 789000, timezone(timedelta(hours=5, minutes=30)))

TEXTS: list[tuple[Any, Any, str]] = [
    # bool
    (True, bool, "true"),
    (False, bool, "false"),
    # int, uint; a bool is an int in the program
    (-128, Int8, "-128"),
    (2**64 - 1, Uint64, "18446744073709551615"),
    (True, int, "1"),
    (5, int | None, "5"),
    (None, int | None, "null"),
    # float: the shortest form, with an exponent below 1e-6 and from 1e21 on
    (0.0, float, "0"),
    (-0.0, float, "-0"),
    (1, float, "1"),
    (100.0, float, "100"),
    (0.1, float, "0.1"),
    (1e-6, float, "0.000001"),
    (1e-7, float, "1e-7"),
    (-1.5e-9, float, "-1.5e-9"),
    (1e20, float, "100000000000000000000"),
    (1e21, float, "1e+21"),
    (5e-324, float, "5e-324"),
    (-40.5, Celsius, "-40.5"),
    # float of 32 bits: the shortest that is read as the same
    (0.1, Float32, "0.1"),
    (0.10000000149011612, Float32, "0.1"),
    (16777217, Float32, "16777216"),
    (3.4028234663852886e38, Float32, "3.4028235e+38"),
    (1.401298464324817e-45, Float32, "1e-45"),
    # string: HTML's and JavaScript's own are escaped, and what is no text replaced
    ("", str, '""'),
    (
        '<a> & "\\ / \b\f\n\r\t \0\x1f\x7f é😀 \u2028\u2029',
        str,
        '"\\u003ca\\u003e \\u0026 \\"\\\\ / \\b\\f\\n\\r\\t \\u0000\\u001f\x7f é😀 \\u2028\\u2029"',
    ),
    ("a\udcffb\ud800", str, r'"a\ufffdb\ufffd"'),
    # bytes
    (b"", bytes, '""'),
    (b"\0\1\2\xff", bytes, '"AAEC/w=="'),
    (bytearray(b"\1"), bytes, '"AQ=="'),
    (memoryview(b"\1\0\2\0\xff\0")[::2], bytes, '"AQL/"'),
    (None, bytes, "null"),
    (None, bytes | None, "null"),
    # slices and arrays
    ([], list[int], "[]"),
    (None, list[int], "null"),
    ((1, -2), list[int], "[1,-2]"),
    ([["a"], None, []], list[list[str]], '[["a"],null,[]]'),
    ([b"\1", None, b""], list[bytes], '["AQ==",null,""]'),
    ([None, Point(1, 2)], list[Point | None], '[null,{"X":1,"Y":2}]'),
    ([1, 2, 3], Three, "[1,2,3]"),
    ([1, 2, 3, 4], Four, "[1,2,3,4]"),
    (("a", "b"), tuple[str, str], '["a","b"]'),
    ([], Annotated[list[int], gob.Array(0)], "[]"),
    # maps: sorted by the names, which numbers become too
    ({}, dict[str, int], "{}"),
    (None, dict[str, int], "null"),
    (
        {"é": 2, "\u2028": 5, "😀": 6, "a": 3, "<": 1, "": 4},
        dict[str, int],
        r'{"":4,"\u003c":1,"a":3,"é":2,"\u2028":5,"😀":6}',
    ),
    ({10: "a", 9: "b", -1: "c"}, dict[int, str], '{"-1":"c","10":"a","9":"b"}'),
    ({200: 1, 30: 3}, dict[Uint8, int], '{"200":1,"30":3}'),
    (
        {LEAP_DAY: 1, datetime(2023, 1, 2, tzinfo=UTC): 2},
        dict[datetime, int],
        '{"2023-01-02T00:00:00Z":2,"2024-02-29T12:34:56.789+05:30":1}',
    ),
    ({Version(1, 9): 2, Version(1, 10): 1}, dict[Version, int], '{"1.10":1,"1.9":2}'),
    ({b"b": 1, b"<": 2}, dict[Shout, int], r'{"\u003c":2,"b":1}'),
    # structs
    (Point(1, -2), Point, '{"X":1,"Y":-2}'),
    (None, Point | None, "null"),
    (
        Line(Point(1, 2), None, ["a"], {"k": Point()}),
        Line,
        '{"From":{"X":1,"Y":2},"To":null,"Tags":["a"],"By":{"k":{"X":0,"Y":0}},'
        '"Ends":[{"X":0,"Y":0},{"X":0,"Y":0}]}',
    ),
    (
        Node("a", Node("b"), [Node("c", None, [])]),
        Node,
        '{"Name":"a","Next":{"Name":"b","Next":null,"Subs":null},'
        '"Subs":[{"Name":"c","Next":null,"Subs":[]}]}',
    ),
    (
        Tagged(7, "x", "<Alice>", Point(1, 2)),
        Tagged,
        r'{"id":7,"ID":"x","first-name":"\u003cAlice\u003e","größe/m":{"X":1,"Y":2}}',
    ),
    # times, and what else writes itself
    (ZERO_TIME, datetime, '"0001-01-01T00:00:00Z"'),
    (LEAP_DAY, datetime, '"2024-02-29T12:34:56.789+05:30"'),
    (Version(1, 2), Version, '"1.2"'),
    (b"<\xff>", Shout, r'"\u003c\ufffd\u003e"'),
    (
        Release(Version(1, 2), None, [Version(0, 0)], {Version(1, 9): "y"}, LEAP_DAY),
        Release,
        '{"V":"1.2","P":null,"All":["0.0"],"By":{"1.9":"y"},'
        '"At":"2024-02-29T12:34:56.789+05:30","Made":null}',
    ),
    # no type: each value is what it looks like, or what a Named holds
    (None, Any, "null"),
    (
        [5, 1.5, b"\1", bytearray(b"\2"), LEAP_DAY, Point(1, 2), {10: "a", "9": "b"}, ("<",), True],
        Any,
        '[5,1.5,"AQ==","Ag==","2024-02-29T12:34:56.789+05:30",{"X":1,"Y":2},'
        r'{"10":"a","9":"b"},["\u003c"],true]',
    ),
    ([2**64 - 1, -(2**63)], object, "[18446744073709551615,-9223372036854775808]"),
    # longer ones are what a float64 or a big.Int may have been
    ([10**20, -(2**64)], Any, "[100000000000000000000,-18446744073709551616]"),
    ({2**64: 10**308}, Any, f'{{"18446744073709551616":1{"0" * 308}}}'),
    ([gob.Named("int8", -8), gob.Named("example.None", None)], Any, "[-8,null]"),
    ({"v": Version(1, 2), "n": Node()}, Any, '{"n":{"Name":"","Next":null,"Subs":null},"v":"1.2"}'),
    (
        Bag({"b": {}, "a": [1, 2.5, None]}, [], None),
        Bag,
        '{"Any":{"a":[1,2.5,null],"b":{}},"Many":[],"By":null}',
    ),
]


@pytest.mark.parametrize(("value", "annotation", "text"), TEXTS)
def test_what_is_written(value: Any, annotation: Any, text: str) -> None:
    assert written(value, annotation) == text


@dataclass
class Chatty:
    """Its text should be bytes."""

    def marshal_text(self) -> Any:
        return "text"

    @classmethod
    def unmarshal_text(cls, data: bytes) -> Chatty:
        raise NotImplementedError


@dataclass
class Pair:
    one: int
    other: int


#: Made without its second attribute.
HALF = object.__new__(Pair)
HALF.one = 1

#: A value that isn't of its type; what is told of it, which is never the value itself.
UNSENDABLE: list[tuple[Any, Any, str]] = [
    (1, bool, "the value for 'bool' must be a bool, not int"),
    (None, bool, "the value for 'bool' must be a bool, not NoneType"),
    (b"x", str, "the value for 'string' must be a str, not bytes"),
    ("x", bytes, "the value for '[]uint8' must be bytes, not str"),
    (1.0, int, "the value for 'int' must be an int, not float"),
    (None, int, "the value for 'int' must be an int, not NoneType"),
    (128, Int8, 'value for "int8" out of range'),
    (-1, Uint64, 'value for "uint64" out of range'),
    ("1", float, "the value for 'float64' must be a float, not str"),
    (10**400, float, 'value for "float64" out of range'),
    (1e39, Float32, 'value for "float32" out of range'),
    (inf, float, "the value for 'float64' must be finite: JSON has no inf"),
    (-inf, Float32, "the value for 'float32' must be finite: JSON has no -inf"),
    (nan, Celsius, "the value for 'main.Celsius' must be finite: JSON has no nan"),
    ({1}, list[int], "the value for '[]int' must be a list or tuple, not set"),
    ([1, "x"], list[int], "the value for 'element of []int' must be an int, not str"),
    (None, Three, "the value for '[3]int' must be a list or tuple, not NoneType"),
    ([1, 2], Three, "the value for '[3]int' must have 3 elements, not 2"),
    ([], dict[str, int], "the value for 'map[string]int' must be a dict, not list"),
    ({1: 1}, dict[str, int], "the value for 'key of map[string]int' must be a str, not int"),
    ({"x": 1}, dict[int, int], "the value for 'key of map[int]int' must be an int, not str"),
    ({300: "x"}, dict[Int8, str], 'value for "key of map[int8]string" out of range'),
    (
        {"x": None},
        dict[str, int],
        "the value for 'element of map[string]int' must be an int, not NoneType",
    ),
    (
        {"1.2": 1},
        dict[Version, int],
        "the value for 'key of map[main.Version]int' must be Version, not str",
    ),
    ((1, 2), Point, "the value for 'main.Point' must be Point, not tuple"),
    (Point, Point, "the value for 'main.Point' must be Point, not the class Point"),
    (Point("1", 2), Point, "the value for 'main.Point.X' must be an int, not str"),  # type: ignore[arg-type]
    (Point(), Line | None, "the value for 'main.Line' must be Line, not Point"),
    (Line(by={"k": Point(y=2.5)}), Line, "the value for 'main.Point.Y' must be an int, not float"),  # type: ignore[arg-type]
    ("2024-02-29", datetime, "the value for 'time.Time' must be datetime, not str"),
    (
        datetime(2024, 2, 29),
        datetime,
        "a time must have a zone: datetime.now(timezone.utc), say",
    ),
    ("x", Version, "the value for 'main.Version' must be Version, not str"),
    ("x", Shout, "the value for '[]uint8' must be bytes, not str"),
    (Chatty(), Chatty, "the value for 'marshal_text of main.Chatty' must be bytes, not str"),
    # no type
    ([2**1024], Any, 'value for "float64" out of range'),
    ([-(10**5000)], Any, 'value for "float64" out of range'),
    ({10**5000: 1}, Any, 'value for "float64" out of range'),
    ([nan], Any, "the value for 'float64' must be finite: JSON has no nan"),
    (object(), Any, "the value for 'interface {}' must be of a type that says more, not object"),
    ({True: 1}, Any, 'the value for "a member\'s name" must be a str or an int, not bool'),
    ({(1, 2): 1}, Any, 'the value for "a member\'s name" must be a str or an int, not tuple'),
    (Bag(by={"k": inf}), Bag, "the value for 'float64' must be finite: JSON has no inf"),
]


@pytest.mark.parametrize(("value", "annotation", "told"), UNSENDABLE)
def test_what_is_not_of_its_type(value: Any, annotation: Any, told: str) -> None:
    with pytest.raises(UnsendableJson) as caught:
        written(value, annotation)
    assert str(caught.value) == told


def test_an_attribute_that_was_never_set() -> None:
    for value, annotation in ((HALF, Pair), ({"k": HALF}, dict[str, Pair]), ([HALF], Any)):
        with pytest.raises(UnsendableJson) as caught:
            written(value, annotation)
        told = "the value for 'main.Pair.other' is missing: its attribute isn't set"
        assert str(caught.value) == told


# --- depth ---


def endless() -> Any:
    """A list that holds itself, with a dict in between."""
    found: list[Any] = []
    found.append({"again": found})
    return found


def chain(length: int) -> Node:
    """Nodes in each other."""
    found = Node()
    for _ in range(length - 1):
        found = Node("", found)
    return found


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (endless(), Any),
        (endless(), list[Any]),
        (Bag(endless()), Bag),
        (chain(101), Node),
        (chain(101), Any),
        ([chain(100)], list[Node]),
        ({"k": chain(100)}, dict[str, Node]),
    ],
)
def test_values_that_are_too_deep(value: Any, annotation: Any) -> None:
    with pytest.raises(UnsendableJson, match="nested deeper than max_depth, or holds itself"):
        written(value, annotation)


def test_the_deepest_values() -> None:
    assert written(chain(100), Node).count("Next") == 100
    calling = JsonCalling(gob.Limits(max_depth=2))
    for value, annotation in (([[1]], list[list[int]]), ({"a": {}}, dict[str, dict[str, int]])):
        calling.encode_request(0, "A.B", value, annotation)
        for deeper, kind in (([value], list[annotation]), ({"a": value}, dict[str, annotation])):  # type: ignore[valid-type]
            with pytest.raises(UnsendableJson, match="max_depth"):
                calling.encode_request(0, "A.B", deeper, kind)


@dataclass
class Empty:
    pass


def test_a_struct_without_fields() -> None:
    assert written([Empty(), None], list[Empty | None]) == "[{},null]"


# --- messages around values ---


def test_calls_that_are_none() -> None:
    longest = b'{"method":"A.\\u003c","params":["x"],"id":18446744073709551615}\n'
    calling = JsonCalling(gob.Limits(max_message_size=len(longest)))
    for seq in (-1, 2**64):
        with pytest.raises(UnsendableJson, match='value for "seq" out of range'):
            calling.encode_request(seq, "A.B", 1, int)
    with pytest.raises(UnsendableJson, match="'method' must be a str, not bytes"):
        calling.encode_request(0, b"A.B", 1, int)  # type: ignore[arg-type]
    with pytest.raises(LocalLimitExceeded, match="max_message_size") as caught:
        calling.encode_request(2**64 - 1, "A.<", "xy", str)
    assert (caught.value.figure, caught.value.bound) == (len(longest) + 1, len(longest))
    assert calling.encode_request(2**64 - 1, "A.<", "x", str) == [longest]


def test_answers_that_are_none() -> None:
    serving = JsonServing(gob.Limits(max_message_size=50))
    request = Request(b"7", "A.B")
    with pytest.raises(LocalLimitExceeded, match="max_message_size"):
        serving.encode_response(request, "x" * 30, str)
    with pytest.raises(LocalLimitExceeded, match="max_message_size"):
        serving.encode_error(request, "x" * 30)
    for value, annotation in ((None, Any), (None, int | None), (None, Point | None)):
        with pytest.raises(UnsendableJson, match="a result must not be None"):
            serving.encode_response(request, value, annotation)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [(list[int], "[]"), (dict[str, int] | None, "{}"), (bytes, '""'), (tuple[str, ...], "[]")],
)
def test_a_result_that_is_nil_in_go_is_empty(annotation: Any, text: str) -> None:
    sent = JsonServing().encode_response(Request(b"7", "A.B"), None, annotation)
    assert sent == [b'{"id":7,"result":%s,"error":null}\n' % text.encode()]
