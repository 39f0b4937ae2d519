"""JSON read into types: what Go's encoding/json makes of it, and the words in which it refuses."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import pytest

from tests.wirecore.protocols.pool.json_types import (
    Bag,
    Celsius,
    Float32,
    Four,
    Int8,
    Int16,
    Line,
    Node,
    Point,
    Release,
    Settings,
    Shout,
    Tagged,
    Three,
    Uint,
    Uint8,
    Uint64,
    Version,
    read,
)
from wirecore import gob
from wirecore.errors import (
    InvalidState,
    JsonStreamError,
    JsonValueError,
    JsonValueLimitExceeded,
)
from wirecore.gob.opaque import ZERO_TIME
from wirecore.protocols.pool import NEED_DATA, JsonCalling, JsonServing, Request, Response

#: Floats of 32 bits: the one above 1, the smallest and the largest.
ABOVE_ONE = 1.0000001192092896
SMALLEST = 1.401298464324817e-45
LARGEST = 3.4028234663852886e38

LEAP_DAY = datetime(2024, 2, 29, 12, 34, 56, 700000, timezone(timedelta(hours=-1)))

VALUES: list[tuple[Any, str, Any]] = [
    # bool
    (bool, "true", True),
    (bool, "false", False),
    (bool, "null", False),
    # int, uint
    (int, "5", 5),
    (int, "-0", 0),
    (int, "null", 0),
    (int, "-9223372036854775808", -(2**63)),
    (Int8, "-128", -128),
    (Uint64, "18446744073709551615", 2**64 - 1),
    (int | None, "5", 5),
    (int | None, "null", None),
    # float
    (float, "5", 5.0),
    (float, "-0", -0.0),
    (float, "null", 0.0),
    (float, "1e-400", 0.0),
    (float, "1.7976931348623157e308", 1.7976931348623157e308),
    (float, "123456789012345678901234567890", 1.2345678901234568e29),
    (Celsius, "1.5", 1.5),
    # float of 32 bits: rounded once, by what was written and not by the nearest of 64
    (Float32, "0.1", 0.10000000149011612),
    (Float32, "16777217", 16777216.0),
    (Float32, "1.000000059604644775390625", 1.0),
    (Float32, "1.0000000596046447753906250000001", ABOVE_ONE),
    (Float32, "-1.0000000596046447753906250000001", -ABOVE_ONE),
    (Float32, "1.0000000596046447753906249999999", 1.0),
    (Float32, "1152921573326323712", 1.152921504606846976e18),
    (Float32, "1152921573326323713", 1.152921642045800448e18),
    (Float32, "7.006492321624085354618e-46", 0.0),
    (Float32, "7.006492321624085354619e-46", SMALLEST),
    (Float32, "3.4028235677973366e38", LARGEST),
    (Float32, "340282356779733661637539395458142568447.9999", LARGEST),
    # string
    (str, '"x"', "x"),
    (str, "null", ""),
    (str, r'"\u003c\ud83d\ude00\/\ud800"', "<😀/\ufffd"),
    # bytes: base64, with line breaks and odd bits after its end; or numbers
    (bytes, '""', b""),
    (bytes, '"AAEC/w=="', b"\0\1\2\xff"),
    (bytes, r'"A\r\nQ=\n="', b"\1"),
    (bytes, '"AR=="', b"\1"),
    (bytes, "null", b""),
    (bytes | None, "null", None),
    (bytes, "[]", b""),
    (bytes, "[1,null,255]", b"\1\0\xff"),
    (list[bytes | None], '["AQ==",null,[2]]', [b"\1", None, b"\2"]),
    # slices
    (list[int], "[]", []),
    (list[int], "null", []),
    (list[int] | None, "null", None),
    (list[int], "[1,null]", [1, 0]),
    (tuple[str, ...], '["a","b"]', ("a", "b")),
    (tuple[str, ...], "null", ()),
    (list[Point | None], '[null,{"x":1}]', [None, Point(1, 0)]),
    # arrays: what is missing is zero, and what is too much is passed over unread
    (Three, "[1,2,3]", [1, 2, 3]),
    (Three, "[1]", [1, 0, 0]),
    (Three, "null", [0, 0, 0]),
    (Three, '[1,2,3,"x"]', [1, 2, 3]),
    (Four, "[1,2]", [1, 2, 0, 0]),
    (tuple[Point, Point], '[{"x":1}]', (Point(1, 0), Point())),
    (Annotated[list[int], gob.Array(0)], "[1,2]", []),
    # maps
    (dict[str, int], "{}", {}),
    (dict[str, int], "null", {}),
    (dict[str, int] | None, "null", None),
    (dict[str, int], '{"b":1,"a":null,"b":2}', {"b": 2, "a": 0}),
    (dict[str, Point], '{"a":null}', {"a": Point()}),
    (dict[Int8, str], '{"-0":"x","+1":"y","007":"z"}', {0: "x", 1: "y", 7: "z"}),
    (dict[Uint, str], '{"18446744073709551615":"x"}', {2**64 - 1: "x"}),
    (dict[datetime, int], '{"2024-02-29T12:34:56.7-01:00":1}', {LEAP_DAY: 1}),
    (dict[Version, int], '{"1.10":1,"1.9":2}', {Version(1, 10): 1, Version(1, 9): 2}),
    (dict[Shout, int], '{"hey":1}', {b"hey": 1}),
    # structs: names match in any case, a null leaves what is there, nobody knows Z
    (Point, "null", Point()),
    (Point, "{}", Point()),
    (Point, '{"X":1,"y":-2,"Z":[3]}', Point(1, -2)),
    (Point, '{"x":1,"X":2}', Point(2, 0)),
    (Point | None, "null", None),
    (Point | None, "{}", Point()),
    (
        Line,
        '{"From":{"x":1},"to":{"Y":3},"TAGS":["a",null],"by":{"k":{"x":1}},"ends":[{},{"y":2},5]}',
        Line(Point(1, 0), Point(0, 3), ["a", ""], {"k": Point(1, 0)}, (Point(), Point(0, 2))),
    ),
    (
        Node,
        '{"name":"a","next":{"name":"b"},"subs":[{"subs":[]}]}',
        Node("a", Node("b"), [Node("", None, [])]),
    ),
    (
        Tagged,
        '{"id":7,"ID":"x","first-name":"Alice","größe/m":{"x":1}}',
        Tagged(7, "x", "Alice", Point(1)),
    ),
    (Tagged, '{"Id":7,"FIRST-NAME":"Alice","GRÖSSE/M":{}}', Tagged(7, "", "Alice")),
    (Tagged, '{"FirstName":"Alice","At":{},"user_id":1,"place":{}}', Tagged(0)),
    (Settings, "{}", Settings()),
    (
        Settings,
        '{"name":null,"level":null,"ratio":null,"on":null,"at":null,"place":null,"pair":null,'
        '"maybe":null,"tags":null,"counts":null,"data":null,"any":null}',
        Settings(maybe=None, tags=[], counts={}, data=b"", any=None),
    ),
    # time
    (datetime, '"2024-02-29T12:34:56.7-01:00"', LEAP_DAY),
    (datetime, '"2024-02-29T12:34:56Z"', datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)),
    (datetime, "null", ZERO_TIME),
    (datetime | None, "null", None),
    # what reads itself
    (Version, '"1.2"', Version(1, 2)),
    (list[Version], '["1.2",null]', [Version(1, 2), Version(0, 0)]),
    (Shout, '"h\u00e9"', "h\u00e9".encode()),
    (Shout, "null", b""),
    (
        Release,
        '{"v":"2.3","p":"1.10","all":["1.1"],"by":{"0.9":"y"},"made":"2024-02-29T12:34:56.7-01:00"}',
        Release(
            Version(2, 3),
            Version(1, 10),
            [Version(1, 1)],
            {Version(0, 9): "y"},
            ZERO_TIME,
            LEAP_DAY,
        ),
    ),
    (Release, '{"v":null,"p":null}', Release(Version(0, 0))),
    # no type: what JSON has, where Go has floats alone
    (Any, "null", None),
    (Any, "[1,-0,1.0,1e2,true]", [1, -0.0, 1.0, 100.0, True]),
    (object, '{"b":null,"a":["x",{}]}', {"b": None, "a": ["x", {}]}),
    (Bag, '{"any":5,"many":[null,"x"],"by":{"k":2.5}}', Bag(5, [None, "x"], {"k": 2.5})),
]


@pytest.mark.parametrize(("annotation", "text", "value"), VALUES)
def test_what_is_read(annotation: Any, text: str, value: Any) -> None:
    assert repr(read(text, annotation)) == repr(value)  # which tells -0.0 and True from 0 and 1


def test_numbers_stay_what_they_were_where_one_must_be_read_again() -> None:
    """One that is halfway has the whole message parsed again, with numbers as texts."""
    pair: Any = make_dataclass("Pair", [("f", Float32), ("rest", list[Any]), ("i", int)])
    text = '{"i":5,"f":1.0000000596046447753906250000001,"rest":[1,-0,-1.5,1e2,123456789012345678]}'
    assert repr(read(text, pair)) == repr(
        pair(ABOVE_ONE, [1, -0.0, -1.5, 100.0, 123456789012345678], 5)
    )


#: A value of another kind: what Go calls it, whether it tells a number, and the type.
KINDS: list[tuple[str, str]] = [
    ("true", "bool"),
    ("5", "number"),
    ("-0", "number"),
    ("1.5", "number"),
    ('"!"', "string"),
    ("[]", "array"),
    ('{"a":1}', "object"),
]
OTHER_KINDS: list[tuple[Any, str, str]] = [
    (bool, "bool", "bool"),
    (int, "int", "number"),
    (float, "float64", "number"),
    (Celsius, "main.Celsius", "number"),
    (str, "string", "string"),
    (list[int], "[]int", "array"),
    (Three, "[3]int", "array"),
    (dict[str, int], "map[string]int", "object"),
    (dict[datetime, int], "map[time.Time]int", "object"),
    (Point, "main.Point", "object"),
    (Point | None, "main.Point", "object"),
]


@pytest.mark.parametrize(("annotation", "go_type", "own"), OTHER_KINDS)
def test_a_value_of_another_kind(annotation: Any, go_type: str, own: str) -> None:
    for text, kind in KINDS:
        if kind != own:
            with pytest.raises(JsonValueError) as caught:
                read(text, annotation)
            expected = f"json: cannot unmarshal {kind} into Go value of type {go_type}"
            assert str(caught.value) == expected


#: What can't be had, and Go's whole text after "json: cannot unmarshal ".
MISMATCHES: list[tuple[Any, str, str]] = [
    (int, "1.0", "number 1.0 into Go value of type int"),
    (int, "1E2", "number 1E2 into Go value of type int"),
    (int, "9223372036854775808", "number 9223372036854775808 into Go value of type int"),
    (int | None, "1.5", "number 1.5 into Go value of type int"),
    (Int8, "128", "number 128 into Go value of type int8"),
    (Int16, "-32769", "number -32769 into Go value of type int16"),
    (Uint8, "-1", "number -1 into Go value of type uint8"),
    (Uint, "-0", "number -0 into Go value of type uint"),
    (Uint64, "18446744073709551616", "number 18446744073709551616 into Go value of type uint64"),
    (float, "-1e400", "number -1e400 into Go value of type float64"),
    (Float32, "1e39", "number 1e39 into Go value of type float32"),
    (Float32, "3.4028236e38", "number 3.4028236e38 into Go value of type float32"),
    (
        Float32,
        "340282356779733661637539395458142568448",
        "number 340282356779733661637539395458142568448 into Go value of type float32",
    ),
    (bytes, "5", "number into Go value of type []uint8"),
    (bytes, "{}", "object into Go value of type []uint8"),
    (bytes, "[256]", "number 256 into Go value of type uint8"),
    (bytes, "[-0]", "number -0 into Go value of type uint8"),
    (bytes, "[7,1.0]", "number 1.0 into Go value of type uint8"),
    (bytes, '["x"]', "string into Go value of type uint8"),
    (Four, '"AQ=="', "string into Go value of type [4]uint8"),
    (tuple[str, str], "[1]", "number into Go value of type string"),
    (dict[str, int], '{"a":"b"}', "string into Go value of type int"),
    (dict[Int8, str], '{"300":"x"}', "number 300 into Go value of type int8"),
    (dict[Int8, str], '{"1.5":"x"}', "number 1.5 into Go value of type int8"),
    (dict[Int8, str], '{"":"x"}', "number  into Go value of type int8"),
    (dict[Int8, str], '{"1_0":"x"}', "number 1_0 into Go value of type int8"),
    (dict[Int8, str], '{"\u0661":"x"}', "number \u0661 into Go value of type int8"),
    (dict[Uint, str], '{"+1":"x"}', "number +1 into Go value of type uint"),
    (dict[Uint, str], '{"-0":"x"}', "number -0 into Go value of type uint"),
    (dict[int, int], '{"x":"bad"}', "string into Go value of type int"),
    # within a struct: the innermost is named, and the path to it; a slice or map is no step
    (Line, '{"From":5}', "number into Go struct field Line.From of type main.Point"),
    (Line, '{"to":5}', "number into Go struct field Line.To of type main.Point"),
    (Line, '{"tags":5}', "number into Go struct field Line.Tags of type []string"),
    (Line, '{"tags":[5]}', "number into Go struct field Line.Tags of type string"),
    (Line, '{"by":{"k":5}}', "number into Go struct field Line.By of type main.Point"),
    (Line, '{"From":{"x":"a"}}', "string into Go struct field Point.From.X of type int"),
    (Line, '{"to":{"y":1.5}}', "number 1.5 into Go struct field Point.To.Y of type int"),
    (Line, '{"by":{"k":{"x":true}}}', "bool into Go struct field Point.By.X of type int"),
    (Line, '{"ends":[{},{"y":[]}]}', "array into Go struct field Point.Ends.Y of type int"),
    (
        Node,
        '{"next":{"subs":[{"subs":[{"name":5}]}]}}',
        "number into Go struct field Node.Next.Subs.Subs.Name of type string",
    ),
    # what reads itself takes texts alone; a pointer to it, and to nothing else, is told
    (list[Version], "[5]", "number into Go value of type main.Version"),
    (Release, '{"v":true}', "bool into Go struct field Release.V of type main.Version"),
    (Release, '{"p":1.5}', "number into Go struct field Release.P of type *main.Version"),
    (Release, '{"all":["1.2",{}]}', "object into Go struct field Release.All of type main.Version"),
    (Release, '{"by":{"1.2":5}}', "number into Go struct field Release.By of type string"),
    # no type
    (Any, "1e400", "number 1e400 into Go value of type float64"),
    (Bag, '{"by":{"k":1e400}}', "number 1e400 into Go struct field Bag.By of type float64"),
    (Bag, '{"any":[{"a":-1e999}]}', "number -1e999 into Go struct field Bag.Any of type float64"),
]


@pytest.mark.parametrize(("annotation", "text", "told"), MISMATCHES)
def test_what_is_refused(annotation: Any, text: str, told: str) -> None:
    with pytest.raises(JsonValueError) as caught:
        read(text, annotation)
    assert str(caught.value) == f"json: cannot unmarshal {told}"


#: What is no base64, and at which byte Go says so.
BASE64: list[tuple[str, int]] = [
    # digits are missing, or what fills up after them
    ("Q", 0),
    ("QQ", 0),
    ("QUJDR", 4),
    (r"AAAA\nAA\n", 6),
    ("QQ=", 3),
    (r"AA=\r\n", 5),
    # it fills up too early
    ("=", 0),
    ("Q===", 1),
    ("QQ=Q", 2),
    (r"AA=\n!", 3),
    # something comes after it
    ("QQ==QQ==", 4),
    (r"QQ==\nQ", 5),
    (r"QUI=\n=", 5),
    # no digit; bytes are counted, and line breaks are some
    ("A!==", 1),
    ("AAAA AAAA", 4),
    (r"\nA\nA\n!", 5),
    ("AAAA\u00e9===", 4),
    ("-_==", 0),
]


@pytest.mark.parametrize(("text", "at"), BASE64)
def test_what_is_no_base64(text: str, at: int) -> None:
    with pytest.raises(JsonValueError) as caught:
        read(f'"{text}"', bytes)
    assert str(caught.value) == f"illegal base64 data at input byte {at}"


@dataclass
class Loose:
    """No key of a dict, and no zero of its own."""

    text: str

    def marshal_text(self) -> bytes:
        return self.text.encode()

    @classmethod
    def unmarshal_text(cls, data: bytes) -> Loose:
        return cls(data.decode())


@dataclass
class Strict:
    n: int = 1

    def __post_init__(self) -> None:
        if not self.n:
            raise ValueError("a secret")


REFUSED: list[tuple[Any, str, str]] = [
    (datetime, "5", "Time.UnmarshalJSON: input is not a JSON string"),
    (datetime, "{}", "Time.UnmarshalJSON: input is not a JSON string"),
    (Release, '{"made":[]}', "Time.UnmarshalJSON: input is not a JSON string"),
    # what the program's own types refuse: in their words, or in none
    (Version, '"x"', "no version"),
    (Version, '"1"', "the value for 'main.Version' was refused (ValueError)"),
    (dict[Version, int], '{"1":1}', "the value for 'main.Version' was refused (ValueError)"),
    (Strict, '{"n":0}', "the value for 'main.Strict' was refused (ValueError)"),
    (list[Loose], "[null]", "the value for 'main.Loose' was refused (TypeError)"),
    (
        dict[Loose, int],
        '{"a":1}',
        "a key of 'map[main.Loose]int' can't be one of a dict: its type isn't hashable",
    ),
    # bounded and printable, other than Go's
    (int, "1" * 101, f"json: cannot unmarshal number {'1' * 100}... into Go value of type int"),
    (
        dict[int, int],
        rf'{{"\n{"1" * 200}":1}}',
        rf"json: cannot unmarshal number \n{'1' * 99} into Go value of type int",
    ),
]


@pytest.mark.parametrize(("annotation", "text", "told"), REFUSED)
def test_what_is_refused_in_other_words(annotation: Any, text: str, told: str) -> None:
    with pytest.raises(JsonValueError) as caught:
        read(text, annotation)
    assert str(caught.value) == told


# --- bounds, and the messages around values ---


@pytest.mark.parametrize(
    ("annotation", "argument", "elements"),
    [
        (Annotated[list[int], gob.Array(50)], "[1]", 50),
        (list[Three], "[[],[],[],null,null]", 15),
        (list[Settings], "[{},{},null]", 36),
        (tuple[Line, Line], "[{}]", 2 + 2 * 5),
    ],
)
def test_elements_and_fields_count_sent_or_not(
    annotation: Any, argument: str, elements: int
) -> None:
    for bound in (elements - 1, elements):
        serving = JsonServing(gob.Limits(max_elements=bound))
        serving.feed(f'{{"params":[{argument}]}}'.encode())
        assert serving.next_request() == Request(b"null", "")
        if bound == elements:
            serving.argument(annotation)
            continue
        with pytest.raises(JsonValueLimitExceeded) as caught:
            serving.argument(annotation)
        assert (caught.value.limit, caught.value.bound) == ("max_elements", bound)


def test_members_that_no_answer_has_are_passed_over() -> None:
    calling = JsonCalling()
    calling.feed(b'{"jsonrpc":"2.0","ID":3,"extra":[1],"Result":"x"}')
    assert calling.next_response() == Response(3, None)
    assert calling.result(str) == "x"


def test_a_stream_that_was_given_up_does_not_end_well() -> None:
    calling = JsonCalling()
    calling.feed(b'{"id":null,"result":1,"error":null}')
    told = "json: cannot unmarshal null into Go struct field clientResponse.id of type uint64"
    with pytest.raises(JsonStreamError) as caught:
        calling.next_response()
    assert str(caught.value) == told
    for again in (calling.next_response, calling.finish):
        with pytest.raises(JsonStreamError) as caught:
            again()
        assert str(caught.value) == told


def test_an_argument_is_read_once_whatever_comes_of_it() -> None:
    serving = JsonServing()
    serving.feed(b'{"params":[1.5],"method":"A.B"}')
    assert serving.next_request() == Request(b"null", "A.B")
    with pytest.raises(JsonValueError):
        serving.argument(int)
    with pytest.raises(InvalidState):
        serving.argument(float)
    assert serving.next_request() is NEED_DATA
    serving.finish()
