"""Arguments and results over a third process: it knows no types, and nobody can tell it is there.

A caller packs, the pool server in between sends over its own connection to the provider and takes
the answer as it is, the caller unpacks. Beside it goes the same call over a direct connection.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.wirecore.gob.go_types import Point, annotation_of, as_read, from_json, registry
from tests.wirecore.gob.test_golden import STANDALONE, same
from tests.wirecore.protocols.pool.go_types import Args, Quotient
from tests.wirecore.protocols.pool.go_types import annotation_of as json_annotation
from tests.wirecore.protocols.pool.test_jsonrpc_recorded import SESSIONS, messages_of
from wirecore import gob
from wirecore._backend import Backend
from wirecore.errors import (
    GobStreamError,
    GobValueError,
    InvalidGobType,
    InvalidValue,
    JsonStreamError,
    JsonValueError,
    LocalLimitExceeded,
    UnsendableGob,
    UnsendableJson,
)
from wirecore.gob.schema import gob_type
from wirecore.protocols.pool import (
    NEED_DATA,
    CallingCodec,
    GobCalling,
    GobPacking,
    GobServing,
    JsonCalling,
    JsonPacking,
    JsonServing,
    Packing,
    RawJson,
    Request,
    Response,
    ServingCodec,
)


class Chain:
    """The pool server's connection to a provider."""

    def __init__(self, packing: Packing, calling: CallingCodec, serving: ServingCodec) -> None:
        self.packing, self.calling, self.serving = packing, calling, serving
        self._seq = 0

    def send(self, packed: bytes) -> Request:
        """What was packed goes to the provider, which then has to take the argument."""
        raw = self.packing.raw
        for piece in self.calling.encode_request(self._seq, "A.B", raw(packed), raw):
            self.serving.feed(piece)
        self._seq += 1
        request = self.serving.next_request()
        assert isinstance(request, Request)
        return request

    def answer(self, request: Request, value: Any, annotation: Any) -> bytes:
        """The provider answers; what the caller gets of it."""
        for piece in self.serving.encode_response(request, value, annotation):
            self.calling.feed(piece)
        assert self.calling.next_response() is not NEED_DATA
        return bytes(self.calling.result(self.packing.raw).data)


def gob_chain(backend: Backend, names: gob.Registry | None = None) -> Chain:
    """The one in between has no registry at all."""
    return Chain(
        GobPacking(names, backend=backend),
        GobCalling(backend=backend),
        GobServing(names, type_ids=gob.TypeIds(900), backend=backend),
    )


def json_chain() -> Chain:
    return Chain(JsonPacking(), JsonCalling(), JsonServing())


def test_all_that_gob_has_goes_there_and_back(backend: Backend) -> None:
    names = registry()
    chain = gob_chain(backend, names)
    for stream in STANDALONE:
        for value in stream["values"]:
            annotation = annotation_of(value["go_type"])
            given = from_json(value["value"], gob_type(annotation), names)
            request = chain.send(chain.packing.pack(given, annotation))
            argument = chain.serving.argument(annotation)
            assert same(argument, as_read(given))
            packed = chain.answer(request, given, annotation)
            assert same(chain.packing.unpack(packed, annotation), as_read(given))


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session["name"])
def test_recorded_calls_of_json_go_there_and_back(session: dict[str, Any]) -> None:
    """The provider gets the very bytes that the original sent, but for nil slices' null."""
    chain = json_chain()
    direct, calling = JsonServing(), JsonCalling()
    for number, (call, sent, answer) in enumerate(
        zip(
            session["calls"],
            messages_of(session, "calling"),
            messages_of(session, "serving"),
            strict=True,
        )
    ):
        direct.feed(sent)
        assert direct.next_request() is not NEED_DATA
        raw = direct.argument(RawJson)
        made = chain.calling.encode_request(number, call["method"], raw, RawJson)
        assert made == [sent]
        chain.calling.feed(answer)
        calling.feed(answer)
        response = chain.calling.next_response()
        assert response == calling.next_response()
        assert isinstance(response, Response)
        if response.error is not None:
            chain.calling.skip_result()
            calling.skip_result()
            continue
        annotation = json_annotation(call.get("reply_go_type", "interface{}"))
        packed = chain.calling.result(RawJson).data
        assert chain.packing.unpack(packed, annotation) == calling.result(annotation)


def test_what_python_would_lose_of_json_stays() -> None:
    chain = json_chain()
    text = b'{"n":1.50,"big":123456789012345678901234567890,"e":1E+2,"n":-0,"s":"\\u00e9 \\/"}'
    for piece in JsonCalling().encode_request(0, "A.B", RawJson(text)):
        chain.serving.feed(piece)
    assert chain.serving.next_request() is not NEED_DATA
    assert chain.serving.argument(RawJson) == RawJson(text)
    # Spaces around values go, those within texts stay; what is odd in UTF-8 stays for the reader.
    chain.calling.feed(b'{"id":0, "result" : [ 1 , "a  b\xff" ] ,"error":null}')
    assert chain.calling.next_response() is not NEED_DATA
    packed = chain.calling.result(RawJson).data
    assert packed == b'[1,"a  b\xff"]'
    assert chain.packing.unpack(packed, list[Any]) == [1, "a  b\ufffd"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [(b"[]", b"null"), (b"[ 5 , 6]", b"5"), (b"[null]", b"null"), (b'[{"a":[1]}]', b'{"a":[1]}')],
)
def test_arguments_of_json_as_they_came(params: bytes, expected: bytes) -> None:
    serving = JsonServing()
    serving.feed(b'{"method":"A.B","params":' + params + b',"id":1}')
    assert serving.next_request() is not NEED_DATA
    assert serving.argument(RawJson) == RawJson(expected)


@pytest.mark.parametrize("params", [b"null", b"5", b'{"a":1}'])
def test_no_argument_is_the_same_error(params: bytes) -> None:
    texts = []
    for annotation in (RawJson, str):
        serving = JsonServing()
        serving.feed(b'{"method":"A.B","params":' + params + b',"id":1}')
        assert serving.next_request() is not NEED_DATA
        with pytest.raises(JsonValueError) as caught:
            serving.argument(annotation)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("wanted", [str, list[int], Point, Quotient, dict[str, int]])
def test_a_result_of_another_type_is_the_same_error(backend: Backend, wanted: Any) -> None:
    ends: list[tuple[Chain, CallingCodec, ServingCodec]] = [
        (gob_chain(backend), GobCalling(backend=backend), GobServing(backend=backend)),
        (json_chain(), JsonCalling(), JsonServing()),
    ]
    for chain, direct, serving in ends:
        request = chain.send(chain.packing.pack(Args(1, 2), Args))
        chain.serving.skip_argument()
        packed = chain.answer(request, 7, int)
        for piece in serving.encode_response(request, 7, int):
            direct.feed(piece)
        assert direct.next_response() is not NEED_DATA
        with pytest.raises(InvalidValue) as expected:
            direct.result(wanted)
        with pytest.raises(InvalidValue) as caught:
            chain.packing.unpack(packed, wanted)
        assert str(caught.value) == str(expected.value)
        assert type(caught.value) is type(expected.value)


def test_none_is_what_is_empty() -> None:
    for packing in (GobPacking(), JsonPacking()):
        assert packing.unpack(packing.pack(None, list[int]), list[int]) == []
        assert packing.unpack(packing.pack({"a": [1]}, Any), dict[str, list[int]]) == {"a": [1]}


def test_what_cant_be_packed_is_told_at_once() -> None:
    small = gob.Limits(max_message_size=20)
    with pytest.raises(UnsendableGob):
        GobPacking().pack("text", int)
    with pytest.raises(UnsendableJson):
        JsonPacking().pack("text", int)
    for packing in (GobPacking(), JsonPacking()):
        with pytest.raises(InvalidGobType):
            packing.pack({1}, set[int])
    for packing in (GobPacking(limits=small), JsonPacking(small)):
        with pytest.raises(LocalLimitExceeded, match="max_message_size"):
            packing.pack("x" * 50, str)


@pytest.mark.parametrize(
    "data",
    [b"", b"nul", b"[1", b"1,2", b'1,"x":2', b"1}{", b'1}{"a":2', b'"', b"\xff", b"[1]]", b"{]"],
)
def test_json_that_is_none_goes_nowhere(data: bytes) -> None:
    calling = JsonCalling()
    with pytest.raises(UnsendableJson, match="that isn't JSON"):
        calling.encode_request(0, "A.B", RawJson(data), RawJson)
    with pytest.raises(UnsendableJson):
        calling.encode_request(0, "A.B", [RawJson(data)])
    if data not in (b'1,"x":2',):
        with pytest.raises(JsonStreamError):
            JsonPacking().unpack(data, Any)


def test_gob_that_is_none_is_not_unpacked() -> None:
    whole = GobPacking().pack([1, 2], list[int])
    for data in (b"", b"\xff", whole[:-1], whole + b"\0", whole + whole):
        with pytest.raises(GobStreamError):
            GobPacking().unpack(data, list[int])
    with pytest.raises(GobValueError):
        GobPacking().unpack(whole, str)


def test_json_in_json_keeps_to_the_depth() -> None:
    calling = JsonCalling(gob.Limits(max_depth=3))
    calling.encode_request(0, "A.B", [[RawJson(b"[1]")]])
    for value in ([[RawJson(b"[[1]]")]], RawJson(b"[[[[1]]]]")):
        with pytest.raises(UnsendableJson, match="max_depth"):
            calling.encode_request(0, "A.B", value)
    deep = RawJson(b"[" * 100_000 + b"]" * 100_000)
    with pytest.raises(UnsendableJson, match="max_depth"):
        calling.encode_request(0, "A.B", deep)
    with pytest.raises(UnsendableJson, match="must be RawJson"):
        calling.encode_request(0, "A.B", "text", RawJson)
    with pytest.raises(TypeError, match="must be bytes"):
        RawJson("1")  # type: ignore[arg-type]
    assert repr(RawJson(b'"secret"')) == "<RawJson, 8 bytes>"
    assert len({RawJson(b"1"), RawJson(b"1"), RawJson(b"2")}) == 2
