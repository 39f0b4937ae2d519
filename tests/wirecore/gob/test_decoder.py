"""Reading a stream: values without types, what ends it, and what it may make of this process."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Annotated, Any, NamedTuple

import pytest

from wirecore import gob
from wirecore._backend import Backend
from wirecore.errors import InvalidMessage, InvalidOption, RemoteLimitExceeded
from wirecore.gob_rules import encode_int, encode_uint


@dataclass(frozen=True)
class Point:
    x: int
    y: int


@dataclass
class Inner:
    items: list[int]
    table: dict[str, int]
    maybe: int | None
    place: Point | None
    at: datetime | None
    any: Any


@dataclass
class Hollow:
    pass


@dataclass
class Everything:
    """Fields of all kinds before the last."""

    flag: bool
    number: Annotated[int, gob.UINT]
    pair: complex
    text: str
    data: bytes
    grid: list[list[int]]
    three: tuple[int, int, int]
    table: dict[str, list[Point]]
    inner: Inner
    at: datetime
    things: list[Any]
    last: int


@dataclass
class Last:
    last: int


@dataclass
class Wrapped:
    """Structs that nothing is sent of, made in each way."""

    inner: Inner
    named: Named
    keyed: Keyed
    two: Annotated[list[Point], gob.Array(2)]
    last: int


class Named(NamedTuple):
    x: int
    y: list[int]


@dataclass(kw_only=True)
class Keyed:
    x: int
    y: list[int]
    z: list[str] = field(default_factory=lambda: ["z"])

    def __post_init__(self) -> None:
        self.sum = self.x + len(self.y)


def decoder_of(backend: Backend, *pieces: bytes, **limits: int) -> gob.Decoder:
    made = gob.Decoder(limits=gob.Limits(**limits), backend=backend)
    for piece in pieces:
        made.feed(piece)
    return made


def message(*parts: bytes) -> bytes:
    data = b"".join(parts)
    return encode_uint(len(data)) + data


def definition(number: int, body: str) -> bytes:
    """A definition whose wireType is *body* in hex."""
    return message(encode_int(-number), bytes.fromhex(body))


def value(number: int, body: bytes) -> bytes:
    return message(encode_int(number), body)


def slice_of(number: int, elem: int) -> bytes:
    return definition(
        number, "02" + "01" + "02" + "ff80" + "00" + "01" + encode_int(elem).hex() + "0000"
    )


# --- plain values -----------------------------------------------------------------------------


def test_a_struct_without_a_type_is_a_dict_with_all_its_fields(backend: Backend) -> None:
    encoder = gob.Encoder(backend=backend)
    decoder = decoder_of(backend, encoder.encode(Inner([], {}, None, None, None, None)))
    assert decoder.decode() == {
        "Items": [], "Table": {}, "Maybe": 0, "Place": None, "At": None, "Any": None,
    }  # fmt: skip
    decoder.feed(encoder.encode(Inner([1], {"a": 1}, 2, Point(1, 0), None, [1, 2])))
    assert decoder.decode() == {
        "Items": [1], "Table": {"a": 1}, "Maybe": 2, "Place": {"X": 1, "Y": 0}, "At": None,
        "Any": [1, 2],
    }  # fmt: skip


def test_keys_without_a_type_are_tuples(backend: Backend) -> None:
    decoder = decoder_of(backend, gob.dumps({Point(1, 2): "p"}))
    assert decoder.decode() == {(("X", 1), ("Y", 2)): "p"}


def test_a_key_that_no_dict_takes(backend: Backend) -> None:
    """In Go an interface may be a key; what is in it may be a list here."""
    registry = gob.Registry()
    registry.register("example.Pair", Annotated[list[int], gob.Array(2), gob.Name("Pair")])
    encoder = gob.Encoder(registry, backend=backend)

    stream = encoder.encode({gob.Named("example.Pair", (1, 2)): 1}, dict[Any, int])
    decoder = gob.Decoder(registry, backend=backend)
    decoder.feed(stream + encoder.encode(5))
    with pytest.raises(gob.GobValueError, match=r"isn't hashable"):
        decoder.decode(dict[Any, int])
    assert decoder.decode(int) == 5


def test_fields_of_all_kinds_are_passed_over(backend: Backend) -> None:
    registry = gob.Registry()
    registry.register("example.Point", Point)
    value = Everything(
        True, 300, 1 + 2j, "text", b"data", [[1], [2, 3]], (1, 0, 2), {"a": [Point(1, 2)]},
        Inner([1], {"a": 1}, 2, Point(1, 0), None, [1]), datetime(2024, 1, 1, tzinfo=UTC),
        [None, 1, "two", Point(1, 2), gob.Named("[]string", ["a"])], 7,
    )  # fmt: skip
    encoder = gob.Encoder(registry, backend=backend)
    decoder = decoder_of(backend, encoder.encode(value), encoder.encode(value))
    assert decoder.decode(Last) == Last(7)
    assert decoder.decode(Last) == Last(7)
    decoder.finish()


def test_structs_within_that_do_not_come_are_zero(backend: Backend) -> None:
    found = decoder_of(backend, gob.dumps(Last(7))).decode(Wrapped)
    assert found == Wrapped(
        Inner([], {}, None, None, None, None), Named(0, []), Keyed(x=0, y=[]),
        [Point(0, 0), Point(0, 0)], 7,
    )  # fmt: skip
    assert isinstance(found, Wrapped)
    assert found.keyed.sum == 0
    assert found.inner.items is not found.named.y


def test_annotations_need_no_hash(backend: Backend) -> None:
    odd: Any = Annotated[int, []]
    decoder = decoder_of(backend, gob.Encoder(backend=backend).encode(7, odd))
    assert decoder.decode(odd) == 7


# --- ends -------------------------------------------------------------------------------------


def test_a_stream_ends_between_values(backend: Backend) -> None:
    stream = gob.dumps(Point(1, 2))
    for size in range(len(stream)):
        decoder = decoder_of(backend, stream[:size])
        assert decoder.decode(Point) is gob.NEED_DATA
        if size == 0:
            decoder.finish()
        else:
            with pytest.raises(gob.GobStreamError, match=r"^unexpected EOF$"):
                decoder.finish()
    decoder = decoder_of(backend, stream)
    decoder.finish()  # whole values that wait may stay
    assert decoder.decode(Point) == Point(1, 2)
    decoder.finish()
    assert decoder.buffered == 0


def test_a_broken_stream_stays_broken(backend: Backend) -> None:
    decoder = decoder_of(backend, bytes.fromhex("04ffc00000"), gob.dumps(1))
    for _ in range(2):
        with pytest.raises(gob.GobStreamError, match="unknown type id"):
            decoder.decode(int)
    with pytest.raises(gob.GobStreamError):
        decoder.skip()


def test_standalone_values_are_alone() -> None:
    assert gob.loads(gob.dumps([1, 2]), list[int]) == [1, 2]
    for data in (b"", gob.dumps(1) + gob.dumps(2), gob.dumps(1)[:-1]):
        with pytest.raises(gob.GobStreamError):
            gob.loads(data)


def test_a_type_that_is_none_takes_nothing(backend: Backend) -> None:
    decoder = decoder_of(backend, gob.dumps(7))
    with pytest.raises(gob.InvalidGobType):
        decoder.decode(set[int])
    assert decoder.decode(int) == 7


@pytest.mark.parametrize("data", ["text", 5, memoryview(b"abcd").cast("I")])
def test_only_bytes_are_taken_in(backend: Backend, data: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        decoder_of(backend).feed(data)


# --- definitions ------------------------------------------------------------------------------


def test_a_slice_of_itself(backend: Backend) -> None:
    """``type T []T`` is a type in Go; its values are nothing but nested."""
    stream = slice_of(64, 64) + value(64, b"\0\2\1\0\0")
    assert decoder_of(backend, stream).decode() == [[[]], []]
    assert decoder_of(backend, stream).skip() is True
    deep = slice_of(64, 64) + value(64, b"\0" + b"\1" * 5000 + b"\0")
    decoder = decoder_of(backend, deep, gob.dumps(1))
    with pytest.raises(gob.GobValueLimitExceeded, match=r"max_depth is 100, got 101"):
        decoder.decode()
    assert decoder.decode(int) == 1


def test_a_map_of_itself_by_itself(backend: Backend) -> None:
    defined = definition(64, "04" + "0102ff8000" + "01ff80" + "01ff80" + "0000")
    decoder = decoder_of(backend, defined, value(64, b"\0\1\0\0"), value(64, b"\0\0"))
    with pytest.raises(gob.GobValueError, match="isn't hashable"):
        decoder.decode()
    assert decoder.decode() == {}


def test_types_may_be_nested_deeper_than_values(backend: Backend) -> None:
    deepest = 64 + 1900
    types = b"".join(slice_of(number, number + 1) for number in range(64, deepest))
    stream = types + slice_of(deepest, 4)
    decoder = decoder_of(
        backend, stream, value(64, b"\0" + b"\1" * 1901 + b"\2"), value(64, b"\0\0")
    )
    with pytest.raises(gob.GobValueLimitExceeded, match="max_depth is 100, got 101"):
        decoder.decode()
    with pytest.raises(gob.GobValueError, match=r"received remote type (\[\])+\.\.\.$"):
        decoder.decode(int)
    decoder.feed(value(64, b"\0" + b"\1" * 1901 + b"\2"))
    assert decoder.skip() is True
    assert decoder.decode() is gob.NEED_DATA


def test_interfaces_are_passed_over_to_gos_depth(backend: Backend) -> None:
    """Go walks along 10,000 levels of what nobody wants, and no further."""

    def nested(levels: int) -> bytes:
        inner = b"\1n" + encode_int(64) + b"\1" + b"\0\1"
        return slice_of(64, 8) + value(64, b"\0\1" + inner * levels + b"\0") + gob.dumps(3)

    decoder = decoder_of(backend, nested(5000))
    with pytest.raises(gob.GobValueLimitExceeded, match="max_depth is 100"):
        decoder.decode()
    assert decoder.decode(int) == 3
    decoder = decoder_of(backend, nested(10_000))
    with pytest.raises(gob.GobStreamError, match="invalid nesting depth"):
        decoder.skip()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "unknown type id"),
        ("00", "unknown type id"),
        ("0201000000", "unknown type id"),  # a slice of nothing
        ("020100010300", "unknown type id"),  # of a negative type
        ("020100010400", "EOF|extra|unknown"),
        ("0901000000", "field numbers out of bounds"),
        ("02010001040001010000", "unknown type id"),  # slice and struct at once
        ("0101000104010100", "unknown type id"),  # an array of length -1
        ("030100010102040000" + "00", "empty name"),
        ("0301000102010141010400010141010400" + "0000", "unknown type id"),  # one name twice
        ("03010001ff", "EOF|out of range|length"),
        ("030100017f0101410104000000", "length exceeds input size"),
        ("0301017f4142", "bad string"),
    ],
)
def test_what_defines_no_type_ends_the_stream(backend: Backend, body: str, reason: str) -> None:
    decoder = decoder_of(backend, definition(64, body), gob.dumps(1))
    if reason.startswith("EOF|extra"):
        assert decoder.decode(int) == 1  # as in Go the end of a message is a struct's end
        return
    with pytest.raises(gob.GobStreamError, match=reason):
        decoder.decode(int)


@pytest.mark.parametrize("number", [0, 1, 8, 16, 63, 2**31])
def test_ids_of_gos_own_are_not_defined(backend: Backend, number: int) -> None:
    stream = message(encode_int(-number), slice_of(64, 4)[2:])
    with pytest.raises(gob.GobStreamError):
        decoder_of(backend, stream).decode()


def test_a_type_whose_parts_are_not_defined(backend: Backend) -> None:
    decoder = decoder_of(backend, slice_of(64, 70) + value(64, b"\0\0"))
    with pytest.raises(gob.GobStreamError, match="unknown type id"):
        decoder.decode()


# --- bounds -----------------------------------------------------------------------------------


def test_errors_are_of_the_peer() -> None:
    for kind in (gob.GobValueError, gob.GobStreamError):
        assert issubclass(kind, gob.GobError)
        assert issubclass(kind, InvalidMessage)
    assert issubclass(gob.GobValueLimitExceeded, RemoteLimitExceeded)
    assert issubclass(gob.GobStreamLimitExceeded, RemoteLimitExceeded)


@pytest.mark.parametrize("option", ["max_message_size", "max_depth", "max_elements", "max_types"])
def test_limits_make_sense(option: str) -> None:
    with pytest.raises(InvalidOption, match=option):
        gob.Limits(**{option: 0})
    with pytest.raises(InvalidOption, match="max_depth"):
        gob.Limits(max_depth=201)


def test_a_long_message_is_refused_at_its_length(backend: Backend) -> None:
    decoder = decoder_of(backend, encode_uint(101), max_message_size=100)
    with pytest.raises(gob.GobStreamLimitExceeded, match="max_message_size is 100, got 101"):
        decoder.decode()


def test_a_value_of_many_messages_is_refused_as_one(backend: Backend) -> None:
    registry = gob.Registry()
    registry.register("example.Point", Point)
    stream = gob.dumps([b"x" * 60, Point(1, 2), b"y" * 60], list[Any], registry=registry)
    decoder = gob.Decoder(registry, gob.Limits(max_message_size=120), backend=backend)
    decoder.feed(stream)
    with pytest.raises(gob.GobStreamLimitExceeded, match="max_message_size"):
        decoder.decode()


def test_elements_are_counted(backend: Backend) -> None:
    decoder = decoder_of(backend, gob.dumps([[1] * 5] * 4), gob.dumps({"a": 1}), max_elements=20)
    with pytest.raises(gob.GobValueLimitExceeded, match="max_elements is 20, got 24"):
        decoder.decode()


@pytest.mark.parametrize("kind", [list[Point], Any])
def test_fields_are_counted_sent_or_not(backend: Backend, kind: Any) -> None:
    """Else a byte might become a struct of any size, and a message of these all memory."""
    encoder = gob.Encoder(backend=backend)
    pieces = [encoder.encode([Point(0, 0)] * count) for count in (6, 7, 1)]
    decoder = decoder_of(backend, *pieces, max_elements=20)
    assert decoder.decode(kind) != []
    with pytest.raises(gob.GobValueLimitExceeded, match="max_elements is 20, got 21"):
        decoder.decode(kind)
    assert decoder.decode(list[Point]) == [Point(0, 0)]


def test_types_fields_and_names_are_counted(backend: Backend) -> None:
    many = b"".join(slice_of(64 + number, 4) for number in range(11))
    with pytest.raises(gob.GobStreamLimitExceeded, match="max_types is 10, got 11"):
        decoder_of(backend, many, max_types=10).decode()
    with pytest.raises(gob.GobStreamLimitExceeded, match="max_fields is 1, got 2"):
        decoder_of(backend, gob.dumps(Point(1, 2)), max_fields=1).decode()
    with pytest.raises(gob.GobStreamLimitExceeded, match="max_name is 4, got 5"):
        decoder_of(backend, gob.dumps(Point(1, 2)), max_name=4).decode()


@pytest.mark.parametrize(
    "body",
    [
        b"\0\xf8\0\0\1\0\0\0\0\0",  # 2**40 elements
        b"\0\xf8\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\xfc\0\x10\0\0" + bytes(60),
    ],
)
def test_announced_elements_cost_nothing(backend: Backend, body: bytes) -> None:
    """Not even those that have no size: each takes a byte."""
    hollow = gob.dumps([Hollow()])
    stream = hollow + value(66, body)
    for kind in (list[Hollow], Any, list[int]):
        decoder = decoder_of(backend, stream)
        assert decoder.skip() is True
        tracemalloc.start()
        with pytest.raises(gob.GobValueError):
            decoder.decode(kind)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert used < 200_000


def test_small_pieces_of_a_large_message_take_linear_time(backend: Backend) -> None:
    decoder = decoder_of(backend)
    stream = gob.dumps(bytes(1_000_000))
    begun = perf_counter()
    for at in range(0, len(stream), 50):
        decoder.feed(stream[at : at + 50])
        assert at + 50 >= len(stream) or decoder.decode(bytes) is gob.NEED_DATA
    assert decoder.decode(bytes) == bytes(1_000_000)
    assert perf_counter() - begun < 5


def test_a_value_cut_into_many_messages_takes_linear_time(backend: Backend) -> None:
    """Each message ends behind a definition in an interface: none is read from its begin again."""
    chain = (
        b"\0"
        + encode_uint(1500)
        + b"".join(_with_definition(64 + number) for number in range(1500))
    )
    parts = chain.split(b"|CUT|")
    body = [encode_int(1600) + parts[0], *parts[1:]]
    stream = slice_of(1600, 8) + b"".join(message(part) for part in body)
    decoder = decoder_of(backend)
    begun = perf_counter()
    for at in range(0, len(stream), 64):
        decoder.feed(stream[at : at + 64])
        decoder.decode()
    assert perf_counter() - begun < 5


def _with_definition(number: int) -> bytes:
    """An interface's value that brings a slice type of its own, where the message ends."""
    defined = slice_of(number, 4)
    body = b"\0\1\2"
    return b"\1n" + defined[1:] + b"|CUT|" + encode_int(number) + encode_uint(len(body)) + body
