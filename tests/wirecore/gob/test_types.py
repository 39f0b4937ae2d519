"""What the program's types are in Go, and which ones are refused."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, NamedTuple, NewType

import pytest

from wirecore import gob
from wirecore._backend import Backend
from wirecore.errors import InvalidOption
from wirecore.gob.schema import gob_type

Celsius = NewType("Celsius", float)


@dataclass
class Named:
    first_name: str
    user_id: Annotated[int, gob.Field("UserID")]
    class_: int = field(default=0, metadata={"gob": "Class"})
    url2: str = ""
    _at_home: int = 5


@dataclass
class Record:
    b: list[int] = field(default_factory=lambda: [7])
    a: int = 3


class Pair(NamedTuple):
    left: int
    right: str = "r"


@dataclass
class Checked:
    """Has a rule of its own."""

    share: float

    def __post_init__(self) -> None:
        if self.share > 1:
            raise ValueError("more than all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    a: int
    b: list[str] = field(default_factory=list)


@dataclass
class OwnInit:
    a: int

    def __init__(self, a: int = 0) -> None:
        self.a = a + 100


@dataclass
class Loop:
    inner: Loop


@dataclass
class Ring:
    links: Annotated[list[Ring], gob.Array(2)]


@dataclass
class Clash:
    first_name: int
    firstName: int  # noqa: N815 (that it is the same in Go is the point)


@dataclass
class Tagged:
    user_id: Annotated[int, gob.Field("ID", json="id")]
    first_name: Annotated[str, gob.Field(json="first-name")]
    at: int = field(metadata={"json": "at"})
    plain: int = 0


@dataclass
class TagClash:
    one: Annotated[int, gob.Field(json="id")]
    other: Annotated[int, gob.Field(json="id")]


@dataclass
class Lower:
    名: int = 0  # noqa: PLC2401 (it has no upper case)


@dataclass
class Homeless:
    _needed: int


@dataclass
class Unknown:
    a: NoSuchThing  # type: ignore[name-defined]  # noqa: F821


@dataclass
class Zeros:
    left: int
    text: str
    data: bytes
    items: list[int]
    table: dict[str, int]
    maybe: int | None
    inner: Frozen
    at: datetime
    two: tuple[str, str]


@dataclass
class Titled:
    __gob_name__: ClassVar[str] = "books.Book"
    title: str


@dataclass
class Novel(Titled):
    pages: int


class Half:
    def gob_encode(self) -> bytes:
        return b""


class Bare:
    pass


def test_fields_have_gos_names() -> None:
    assert [each.name for each in gob_type(Named).fields] == [
        "FirstName",
        "UserID",
        "Class",
        "Url2",
    ]


def test_json_has_its_own_names_for_fields_where_they_are_given() -> None:
    names = [(each.name, each.json_name) for each in gob_type(Tagged).fields]
    assert names == [("ID", "id"), ("FirstName", "first-name"), ("At", "at"), ("Plain", "Plain")]


@pytest.mark.parametrize("name", ["", "a,omitempty", 'a"b', "a\\b", "a\nb", 5])
def test_a_name_that_no_tag_can_have_is_refused(name: Any) -> None:
    wrong = make_dataclass("Wrong", [("a", Annotated[int, gob.Field(json=name)])])
    with pytest.raises(gob.InvalidGobType, match=r"field 'a' would be .* in JSON: a name there"):
        gob_type(wrong)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (bool, "bool"),
        (Annotated[int, gob.UINT8], "uint8"),
        (list[int], "[]int"),
        (tuple[str, ...], "[]string"),
        (tuple[int, int], "[2]int"),
        (Annotated[tuple[float, ...], gob.Array(3)], "[3]float64"),
        (dict[str, list[bytes]], "map[string][][]uint8"),
        (dict[int, Named | None], "map[int]*main.Named"),
        (list[Any], "[]interface {}"),
        (Annotated[int | None, gob.INT16], "*int16"),
        (datetime, "time.Time"),
        (Celsius, "main.Celsius"),
        (list[Annotated[int, gob.INT64, gob.Name("time.Duration")]], "[]time.Duration"),
        (Annotated[list[str], gob.Name("text.Lines")], "text.Lines"),
    ],
)
def test_types_have_gos_names(annotation: Any, text: str) -> None:
    assert gob_type(annotation).text == text


def test_a_name_is_that_of_what_a_pointer_points_to() -> None:
    lines = gob_type(Annotated[list[str], gob.Name("Lines")])
    maybe = gob_type(Annotated[list[str] | None, gob.Name("Lines")])
    assert maybe.base.identity == lines.identity
    assert gob_type(Annotated[int | None, gob.Name("x.Y")]).text == "*x.Y"


def test_a_subclass_has_a_name_of_its_own() -> None:
    assert gob_type(Titled).text == "books.Book"
    assert gob_type(Novel).text == "main.Novel"


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (int | str, "no unions"),
        (set[int], "no counterpart"),
        (Bare, "must be a dataclass"),
        (tuple[int, str], "elements of one type"),
        (list[Annotated[int, gob.UINT8]], "bytes in Go"),
        (Annotated[str, gob.UINT8], "for int, float or complex"),
        (Annotated[float, gob.UINT8], "can't be a uint8"),
        (Annotated[bytes, gob.Array(4)], "for a list or tuple"),
        (Annotated[str, gob.GOB_ENCODER], "for bytes"),
        (Annotated[Named, gob.Name("Other")], "__gob_name__"),
        (dict[bytes, int], "map's key"),
        (Loop, "holds itself"),
        (Ring, "holds itself"),
        (Clash, "are both 'FirstName' in Go"),
        (TagClash, "are both 'id' in JSON"),
        (Lower, "capital letter"),
        (Homeless, "must have a default"),
        (Unknown, "globals of its module"),
        (Half, "both gob_encode and gob_decode"),
    ],
)
def test_what_go_has_not_is_refused(annotation: Any, reason: str) -> None:
    with pytest.raises(gob.InvalidGobType, match=reason):
        gob_type(annotation)


def test_arrays_have_a_size() -> None:
    with pytest.raises(InvalidOption):
        gob.Array(-1)


@pytest.mark.parametrize(
    "value",
    [
        Named("Ada", 7, 2),
        Record([], 0),
        Record(),
        Pair(0, "x"),
        Checked(0.5),
        Frozen(a=1, b=["x"]),
    ],
)
def test_classes_come_back(backend: Backend, value: Any) -> None:
    decoder = gob.Decoder(backend=backend)
    decoder.feed(gob.Encoder(backend=backend).encode(value))
    assert decoder.decode(type(value)) == value


def test_a_class_may_refuse_what_comes(backend: Backend) -> None:
    decoder = gob.Decoder(backend=backend)
    stranger = Checked(0.0)
    stranger.share = 1.5
    decoder.feed(gob.Encoder(backend=backend).encode(stranger))
    with pytest.raises(gob.GobValueError, match=r"'main\.Checked' was refused") as caught:
        decoder.decode(Checked)
    assert "more than all" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_init_of_ones_own_is_called(backend: Backend) -> None:
    decoder = gob.Decoder(backend=backend)
    decoder.feed(gob.Encoder(backend=backend).encode(OwnInit(1)))
    found: Any = decoder.decode(OwnInit)
    assert found.a == 201


@dataclass
class Telling:
    """Has defaults that aren't Go's zeros."""

    left: int = 9
    word: str | None = "w"
    record: Record = field(default_factory=lambda: Record([1], 1))
    pair: tuple[Record, Record] = (Record([2], 2), Record([3], 3))
    at: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    more: Any = 5


@dataclass
class Part:
    b: list[int] | None


@dataclass
class Parts:
    """Has some of Telling's fields, behind pointers that may be nil; and nothing of Record's a."""

    record: Part | None
    pair: Annotated[list[Part], gob.Array(2)] | None
    left: int


def test_what_the_sender_has_and_does_not_send_is_zero(backend: Backend) -> None:
    """Zeros aren't sent: defaults are for what the sender's type doesn't have."""
    decoder = gob.Decoder(backend=backend)
    encoder = gob.Encoder(backend=backend)
    zero = Record([], 0)
    zeros = Telling(0, None, zero, (zero, zero), datetime(1, 1, 1, tzinfo=UTC), None)
    decoder.feed(encoder.encode(zeros))
    assert decoder.decode(Telling) == zeros
    decoder.feed(encoder.encode(Parts(None, None, 1)))
    half = Record([], 3)
    assert decoder.decode(Telling) == Telling(1, record=half, pair=(half, half))
    decoder.feed(encoder.encode(Pair(0)))
    assert decoder.decode(Telling) == Telling(0)


def test_missing_fields_have_defaults_or_zeros(backend: Backend) -> None:
    decoder = gob.Decoder(backend=backend)
    encoder = gob.Encoder(backend=backend)
    decoder.feed(encoder.encode(Part([1])))
    assert decoder.decode(Record) == Record([1], 3)
    decoder.feed(encoder.encode(Pair(1)))
    zero_time = datetime(1, 1, 1, tzinfo=UTC)
    found = decoder.decode(Zeros)
    assert found == Zeros(1, "", b"", [], {}, None, Frozen(a=0), zero_time, ("", ""))
