"""JSON in any cut, what ends a stream of it, and bounds on what a peer may send."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any

import pytest

from wirecore import gob
from wirecore.errors import (
    InvalidJsonType,
    InvalidState,
    InvalidStream,
    InvalidValue,
    JsonStreamError,
    JsonStreamLimitExceeded,
    JsonValueError,
    JsonValueLimitExceeded,
)
from wirecore.protocols.pool import NEED_DATA, JsonCalling, JsonServing, NeedData, Request

#: Requests as anybody may write them, and the arguments that they bring.
STREAM = (
    b'{"method":"A.B","params":["a"],"id":0}\n'
    b' \r\n\t{ "id" : "x" , "params" : [ { "k" : [ 1 , {} , "]}" ] } ] ,\n "method" : "A.B" }'
    b'{"method":"A.B","params":["quote \\" bracket \\\\"],"id":1}{"method":"A.B","params":[[]]}'
    b"\nnull\n"
    b'{"method":"A.B","params":["\xc3\xa9 \xf0\x9f\x98\x80 \xff \\ud83d\\ude00 \\ud83d"]}\n'
    b'{"method":"A.B","params":[[-1.5e-3,1E+2,0,-0,true,false,null]]}\n\n\n'
    b'{}{"a":"\\\\"}{"b":"\\\\\\""}null{"params":["last"]}  '
)
ARGUMENTS = [
    "a",
    {"k": [1, {}, "]}"]},
    'quote " bracket \\',
    [],
    None,
    "é 😀 � 😀 �",
    [-0.0015, 100.0, 0, -0.0, True, False, None],
    None,
    None,
    None,
    None,
    "last",
]


def arguments_of(serving: JsonServing) -> list[Any]:
    """All that came so far; None where there are no params."""
    found: list[Any] = []
    while serving.next_request() is not NEED_DATA:
        try:
            found.append(serving.argument())
        except JsonValueError:  # there are no params
            found.append(None)
    return found


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 11, 17, 64, 100_000])
@pytest.mark.parametrize("asked", ["each time", "at the end"])
def test_any_cut(cut: int, asked: str) -> None:
    serving = JsonServing()
    found: list[Any] = []
    for at in range(0, len(STREAM), cut):
        serving.feed(memoryview(STREAM)[at : at + cut])
        if asked == "each time":
            found += arguments_of(serving)
    found += arguments_of(serving)
    assert found == ARGUMENTS
    assert str(found[6][3]) == "-0.0"
    serving.finish()


@pytest.mark.parametrize("at", range(1, 39))
def test_a_stream_that_ends_early(at: int) -> None:
    serving = JsonServing()
    serving.feed(STREAM[: at - 1])
    assert serving.next_request() is NEED_DATA
    if at == 1:
        serving.finish()
        return
    with pytest.raises(JsonStreamError, match="unexpected EOF"):
        serving.finish()


GOOD = b'{"method":"A.B","params":["a"],"id":1}'


@pytest.mark.parametrize(
    "bad",
    [
        b"hello", b"[1,2]", b"5 ", b'"text"', b"true", b"nul ", b"nuxl", b"}", b"]", b",", b"\0",
        b"\xef\xbb\xbf{}", b"\xff", b"NaN", b"-Infinity",
        b"{]", b'{"a" 1}', b'{"a":}', b"{'a':1}", b"{a:1}", b'{"a":1,}', b'{"a":01}', b'{"a":+1}',
        b'{"a":1.}', b'{"a":.5}', b'{"a":1e}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":tru}',
        b'{"a":nulL}', b'{"a":"\t"}', b'{"a":"\n"}', b'{"a":"\\x"}', b'{"a":"\\u12g4"}',
        b'{"a":[1 2]}', b'{"a":[1,]}', b'{"a":{]}', b'{"a":[}}', b'{"a":1}}', b'{"a"\xff:1}',
        b'{"a":1/**/}', b'{"a":0x10}', b'{"a":"b" "c"}', b'{5:1}', b'{"a":1\x0b}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("cut", [1, 100_000])
def test_what_is_no_json_ends_the_stream(bad: bytes, cut: int) -> None:
    """Requests before it are served, those after it aren't, and it is said again and again."""
    serving = JsonServing()
    stream = GOOD + bad + GOOD
    for at in range(0, len(stream), cut):
        serving.feed(stream[at : at + cut])
    assert serving.next_request() == Request(b"1", "A.B")
    assert serving.skip_argument() is True
    with pytest.raises(JsonStreamError) as caught:
        arguments_of(serving)
    assert isinstance(caught.value, InvalidStream)
    serving.feed(GOOD)
    for ask in (serving.next_request, serving.finish):
        with pytest.raises(JsonStreamError) as again:
            ask()
        assert str(again.value) == str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [b'{"method":tr', b'{"method":"a', b'{"id":-', b'{"id":1.', b'{"id":1e+', b'{"id":"\\u12',
     b'{"id":"\\', b'{"id', b"{", b"{ ", b'{"id":"\xc3', b"n", b"nul"],
)  # fmt: skip
def test_what_may_become_json_is_waited_for(bad: bytes) -> None:
    serving = JsonServing()
    serving.feed(bad)
    assert serving.next_request() is NEED_DATA


@pytest.mark.parametrize("bad", [b'{"method" x', b'{"a":bad', b'{"a":01', b'{"a":"\\x', b"{]"])
def test_what_cannot_become_json_is_not_waited_for(bad: bytes) -> None:
    serving = JsonServing()
    serving.feed(bad)
    with pytest.raises(JsonStreamError):
        serving.next_request()


# --- what is no message ---


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b'{"method":5}', "rpc: server cannot decode request: json: cannot unmarshal number into "),
        (b'{"METHOD":{}}', "cannot unmarshal object into Go struct field serverRequest.method"),
        (b'{"method":[]}', "cannot unmarshal array"),
        (b'{"method":true}', "cannot unmarshal bool"),
    ],
)
def test_a_method_that_is_no_text(text: bytes, complaint: str) -> None:
    serving = JsonServing()
    serving.feed(text)
    for _ in range(2):
        with pytest.raises(JsonStreamError, match=complaint.replace(".", r"\.")):
            serving.next_request()


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (b"-1", "number -1"), (b"1.0", "number 1.0"), (b"1e3", "number 1e3"), (b"-0", "number -0"),
        (b"18446744073709551616", "number 18446744073709551616"), (b'"0"', "string"),
        (b"true", "bool"), (b"[0]", "array"), (b"{}", "object"), (b"null", "null"),
    ],
)  # fmt: skip
def test_an_id_that_is_no_number_of_a_call(number: bytes, told: str) -> None:
    calling = JsonCalling()
    calling.feed(b'{"id":' + number + b',"result":1,"error":null}')
    with pytest.raises(JsonStreamError, match=f"cannot unmarshal {told} into"):
        calling.next_response()


def test_an_answer_without_an_id_is_none() -> None:
    """Go takes it for that to its first call, whose caller would get what isn't for it."""
    calling = JsonCalling()
    calling.feed(b'{"result":1,"error":null}')
    with pytest.raises(JsonStreamError):
        calling.next_response()


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (b"1e21", "1e+21"), (b"0.00001", "1e-05"), (b"0.00012", "0.00012"), (b"true", "true"),
        (b'[1.50,null,"a"]', "[1.5 <nil> a]"), (b'{"b":{},"a":-0}', "map[a:-0 b:map[]]"),
        (b"1e999", "+Inf"), (b"-" + b"9" * 399, "-Inf"), (b"9" * 5000, "+Inf"),
        (b'["\\u001b[31m"]', r"[\x1b[31m]"),
    ],
)  # fmt: skip
def test_an_error_that_is_no_text(error: bytes, shown: str) -> None:
    calling = JsonCalling()
    calling.feed(b'{"id":0,"error":' + error + b"}")
    with pytest.raises(JsonStreamError) as caught:
        calling.next_response()
    assert str(caught.value) == f"invalid error {shown}"


def test_headers_and_values_take_turns() -> None:
    serving, calling = JsonServing(), JsonCalling()
    with pytest.raises(InvalidState, match="no request"):
        serving.argument(str)
    with pytest.raises(InvalidState, match="no response"):
        calling.skip_result()
    serving.feed(GOOD)
    serving.next_request()
    with pytest.raises(InvalidState, match="argument of the last request"):
        serving.next_request()
    with pytest.raises(gob.InvalidGobType):
        serving.argument(set)
    with pytest.raises(InvalidJsonType, match="unsupported type: complex128"):
        serving.argument(complex)
    assert serving.argument(str) == "a"
    with pytest.raises(InvalidState):
        serving.argument(str)


def test_an_argument_of_another_type_is_passed_over() -> None:
    serving = JsonServing()
    serving.feed(GOOD + GOOD)
    serving.next_request()
    with pytest.raises(JsonValueError, match="cannot unmarshal string") as caught:
        serving.argument(int)
    assert isinstance(caught.value, InvalidValue)
    assert serving.next_request() == Request(b"1", "A.B")
    assert serving.argument(str) == "a"


def test_of_members_of_one_name_the_last_counts() -> None:
    serving = JsonServing()
    serving.feed(b'{"method":"A.B","Method":"C.D","ID":1,"id":2,"iD":"\\u0041",')
    serving.feed(b'"params":[1],"method":null,"PARAMS":[2]}')
    assert serving.next_request() == Request(b'"\\u0041"', "C.D")
    assert serving.argument(int) == 2


# --- bounds ---

LIMITS = gob.Limits(max_message_size=2000, max_depth=10, max_elements=50)


def ask(stream: bytes, cut: int, limits: gob.Limits = LIMITS) -> Request | NeedData:
    serving = JsonServing(limits)
    for at in range(0, len(stream), cut):
        serving.feed(stream[at : at + cut])
        if (request := serving.next_request()) is not NEED_DATA:
            return request
    return NEED_DATA


def text_of(size: int) -> bytes:
    return b'{"params":["' + b"x" * (size - 15) + b'"]}'


@pytest.mark.parametrize("cut", [1, 7, 300, 100_000])
@pytest.mark.parametrize(
    ("limit", "most", "more"),
    [
        ("max_message_size", text_of(2000), text_of(2001)),
        ("max_message_size", text_of(2000), text_of(2002)[:-1]),
        ("max_depth", b'{"params":' + b"[" * 9 + b"]" * 9 + b"}", b'{"params":' + b"[" * 10),
        ("max_elements", b'{"params":[' + b"1," * 47 + b"1]}", b'{"a":[' + b"1," * 50),
        ("max_elements", b'{"params":[' + b"[]," * 23 + b"[]]}", b'{"a":[' + b"[]," * 50),
    ],
)
def test_messages_have_bounds(limit: str, most: bytes, more: bytes, cut: int) -> None:
    assert ask(most, cut) == Request(b"null", "")
    with pytest.raises(JsonStreamLimitExceeded, match=limit) as caught:
        ask(more, cut)
    assert caught.value.side == "remote"
    assert caught.value.figure > caught.value.bound


Many: Any = make_dataclass("Many", [(f"f{number}", int, 0) for number in range(100)])


@dataclass
class Wide:
    a: Annotated[list[int], gob.Array(1000)] = field(default_factory=list)


def test_few_bytes_do_not_become_many_fields() -> None:
    for annotation in (list[Many], list[Wide]):
        serving = JsonServing(gob.Limits(max_elements=10_000))
        serving.feed(b'{"params":[[' + b",".join([b'{"a":[]}'] * 500) + b"]]}")
        serving.next_request()
        with pytest.raises(JsonValueLimitExceeded, match="max_elements") as caught:
            serving.argument(annotation)
        assert isinstance(caught.value, InvalidValue)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (b"1" * 10_000, f"number {'1' * 100}..."),
        (b"-" + b"1" * 10_000, f"number -{'1' * 99}..."),
        (b"1e999999999", "number 1e999999999"),
        (b"0." + b"0" * 10_000 + b"1e-999999999", ""),
        (b"1" * 350, f"number {'1' * 100}..."),
    ],
)
@pytest.mark.parametrize("annotation", [int, float, Annotated[float, gob.FLOAT32], Any])
def test_huge_numbers(number: bytes, told: str, annotation: Any) -> None:
    serving = JsonServing()
    serving.feed(b'{"params":[' + number + b'],"id":' + number + b"}")
    request = serving.next_request()
    assert isinstance(request, Request)
    assert request.id == number
    if annotation is Any and len(number) == 350:
        assert serving.argument(annotation) == int(number)
    elif told or annotation is int:
        with pytest.raises(JsonValueError, match="cannot unmarshal number") as caught:
            serving.argument(annotation)
        assert told in str(caught.value)
        assert len(str(caught.value)) < 300
    else:
        assert serving.argument(annotation) == 0.0


@pytest.mark.parametrize(
    "stream",
    [
        b'{"a":[' + b"[" * 250_000,
        b'{"a":"' + b"\\n" * 125_000,
        b'{"a":"' + b'\\"' * 125_000,
        b'{"a":' + b"1" * 250_000,
        b'{"params":[' + b"1" * 250_000 + b"]}",
        b'{"params":[0.' + b"1" * 250_000 + b"]}",
        b'{"params":["' + b"\\ud800" * 40_000 + b'"]}',
        b'{"params":["' + b"\xff" * 250_000 + b'"]}',
        b'{"params":[' + b'"",' * 60_000 + b'""]}',
        b"{" + b'"id":1,' * 35_000 + b'"id":2}',
        b'{"params":[{' + b'"a":1,' * 40_000 + b'"a":2}]}',
        b'{"id":[' + b'"<",' * 60_000 + b'"<"]}',
        b" " * 250_000,
        b"\n" * 250_000 + b"{}",
        b'{"a":{"b":' * 60,
    ],
    ids=lambda stream: f"{stream[:12]!r} {stream[-6:]!r}",
)
@pytest.mark.parametrize("cut", [4096, 1 << 19])
def test_hostile_streams_take_memory_in_proportion(stream: bytes, cut: int) -> None:
    """A quarter of a megabyte, all at once and in pieces, and no work that grows with its square.

    That would take minutes here, and hours where a message is as long as it may be.
    """
    serving = JsonServing()
    pieces = [stream[at : at + cut] for at in range(0, len(stream), cut)]
    tracemalloc.start()
    try:
        for piece in pieces:
            serving.feed(piece)
            if serving.next_request() is not NEED_DATA:
                serving.argument(Any)
    except (JsonStreamError, JsonValueError):
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_backslash_outside_of_a_string(cut: int) -> None:
    """It hides a quotation mark from who looks for the end of a message."""
    stream = b'{ \n{\\"}}1}]\n}'
    serving = JsonServing()

    def read() -> None:
        for piece in (stream[:cut], stream[cut:]):
            serving.feed(piece)
            while serving.next_request() is not NEED_DATA:
                serving.skip_argument()

    with pytest.raises(JsonStreamError):
        read()
