"""Types that have all that gob can send, and values of them: those of tests/interop/go/gobpeer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Annotated, Any, ClassVar

from hypothesis import strategies as st

from wirecore import gob
from wirecore.gob.schema import gob_type
from wirecore.gob.types import GobType
from wirecore.gob_rules import Kind


@dataclass
class Widths:
    i: int = 0
    i8: Annotated[int, gob.INT8] = 0
    i16: Annotated[int, gob.INT16] = 0
    i32: Annotated[int, gob.INT32] = 0
    i64: Annotated[int, gob.INT64] = 0
    u: Annotated[int, gob.UINT] = 0
    u8: Annotated[int, gob.UINT8] = 0
    u16: Annotated[int, gob.UINT16] = 0
    u32: Annotated[int, gob.UINT32] = 0
    u64: Annotated[int, gob.UINT64] = 0
    up: Annotated[int, gob.UINTPTR] = 0
    f32: Annotated[float, gob.FLOAT32] = 0.0
    f64: float = 0.0
    c64: Annotated[complex, gob.COMPLEX64] = 0j
    c: complex = 0j
    b: bool = False
    s: str = ""
    bs: bytes = b""


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int


@dataclass
class Empty:
    pass


@dataclass
class Unnamed:
    __gob_name__: ClassVar[str] = ""


@dataclass
class Lists:
    ints: list[int]
    small: list[Annotated[int, gob.INT8]]
    texts: list[str]
    grid: list[list[float]]
    blobs: list[bytes]
    three: Annotated[list[Annotated[int, gob.INT32]], gob.Array(3)]
    bytes_: Annotated[list[Annotated[int, gob.UINT8]], gob.Array(4)]
    points: list[Point]
    empties: list[Unnamed]
    pairs: tuple[Point, Point]


@dataclass
class Maps:
    counts: dict[str, int]
    names: dict[Annotated[int, gob.INT32], str]
    places: dict[Point, str]
    deep: dict[str, dict[str, bytes]]
    lists: dict[bool, list[Point]]


@dataclass
class Tree:
    value: str
    left: Tree | None = None
    right: Tree | None = None


@dataclass
class Node:
    name: str
    subs: list[Node | None] = field(default_factory=list)
    by_id: Annotated[dict[int, Node | None], gob.Field("ByID")] = field(default_factory=dict)


@dataclass
class Pointers:
    i: int | None
    s: str | None
    p: Point | None
    t: datetime | None


@dataclass
class Times:
    at: datetime
    maybe: datetime | None
    all: list[datetime]
    zero: datetime


@dataclass
class Holder:
    before: int = 0
    v: Any = None
    all: list[Any] = field(default_factory=list)
    by_name: dict[str, Any] = field(default_factory=dict)
    after: int = 0


@dataclass
class Secret:
    """Encodes itself."""

    text: str = ""

    def gob_encode(self) -> bytes:
        return b"<" + self.text.encode("utf-8", "surrogateescape") + b">"

    @classmethod
    def gob_decode(cls, data: bytes) -> Secret:
        if data[:1] != b"<" or data[-1:] != b">" or len(data) < 2:
            raise ValueError("no secret")
        return cls(data[1:-1].decode("utf-8", "surrogateescape"))

    def gob_is_zero(self) -> bool:
        return not self.text


@dataclass
class Version:
    """Marshals itself."""

    major: int = 0
    minor: int = 0

    def marshal_binary(self) -> bytes:
        return bytes((self.major, self.minor))

    @classmethod
    def unmarshal_binary(cls, data: bytes) -> Version:
        major, minor = data
        return cls(major, minor)

    def gob_is_zero(self) -> bool:
        return self == Version()


@dataclass
class Selves:
    s: Secret
    v: Version
    p: Secret | None
    ss: list[Secret]


@dataclass
class Older:
    y: int
    z: int = 7
    gone: str = "still here"


Celsius = Annotated[float, gob.Name("Celsius")]
Names = Annotated[list[str], gob.Name("Names")]

#: By the names that the peer has for its types.
KINDS: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "uint8": Annotated[int, gob.UINT8],
    "float64": float,
    "complex": complex,
    "string": str,
    "bytes": bytes,
    "ints": list[int],
    "texts": list[str],
    "counts": dict[str, int],
    "time": datetime,
    "secret": Secret,
    "version": Version,
    "any": Any | None,
    **{
        kind.__name__: kind
        for kind in (
            Widths, Point, Lists, Maps, Tree, Node, Pointers, Times, Holder, Selves, Empty,
        )
    },
}  # fmt: skip


def registry() -> gob.Registry:
    """The names that the peer has registered."""
    made = gob.Registry()
    for name, kind in (
        ("Point", Point), ("Tree", Tree | None), ("Celsius", Celsius), ("Names", Names),
        ("Time", datetime), ("Secret", Secret), ("Anys", list[Any]), ("AnyMap", dict[str, Any]),
        ("Holder", Holder),
    ):  # fmt: skip
        made.register(f"peer.{name}", kind)
    return made


# --- values ---------------------------------------------------------------------------------

TEXTS = st.text(max_size=8) | st.binary(max_size=8).map(
    lambda data: data.decode("utf-8", "surrogateescape")
)
ZONES = st.sampled_from(
    [
        UTC,
        timezone(timedelta(hours=5, minutes=30)),
        timezone(timedelta(hours=-8)),
        timezone(timedelta(hours=1, seconds=17)),
    ]
)
TIMES = st.builds(
    lambda naive, zone: naive.replace(tzinfo=zone),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),
    ZONES,
) | st.just(datetime(1, 1, 1, tzinfo=UTC))

_LONGEST = 4


def values(annotation: Any, *, pairs: int = _LONGEST, depth: int = 3) -> st.SearchStrategy[Any]:
    """Values of a type; *pairs*: at most in a map, *depth*: of what is recursive."""
    return _values(gob_type(annotation), pairs, depth)


def _values(kind: GobType, pairs: int, depth: int) -> st.SearchStrategy[Any]:
    if kind.kind == Kind.POINTER:
        return _pointers(kind.base, pairs, depth)
    if kind.kind in _NUMBERS:
        return _numbers(kind)
    if kind.kind == Kind.INTERFACE:
        return _anything(pairs, depth - 1) if depth > 0 else st.none()
    if kind.kind == Kind.OPAQUE:
        return _opaque(kind)
    if kind.kind == Kind.STRUCT:
        assert kind.owner is not None
        fields = {each.attribute: _values(each.type, pairs, depth - 1) for each in kind.fields}
        return st.builds(kind.owner, **fields)
    assert kind.elem is not None
    if depth <= 0 and kind.kind != Kind.ARRAY:
        return st.builds(dict if kind.kind == Kind.MAP else list)
    if kind.kind == Kind.MAP:
        assert kind.key is not None
        keys = _values(kind.key, pairs, depth - 1)
        return st.dictionaries(keys, _values(kind.elem.base, pairs, depth - 1), max_size=pairs)
    size = (kind.size, kind.size) if kind.kind == Kind.ARRAY else (0, _LONGEST)
    # Go sends no nil pointers but in structs.
    elem = kind.elem.base
    found = st.lists(_values(elem, pairs, depth - 1), min_size=size[0], max_size=size[1])
    return found.map(tuple) if kind.frozen else found


_NUMBERS = (Kind.BOOL, Kind.INT, Kind.UINT, Kind.FLOAT, Kind.COMPLEX, Kind.STRING, Kind.BYTES)


def _numbers(kind: GobType) -> st.SearchStrategy[Any]:
    if kind.kind in (Kind.INT, Kind.UINT):
        return st.integers(*kind.bounds) | st.sampled_from([0, 1, *kind.bounds])
    if kind.kind == Kind.FLOAT:
        return st.floats(allow_nan=False, width=32 if kind.single else 64)
    if kind.kind == Kind.COMPLEX:
        return st.complex_numbers(allow_nan=False, width=64 if kind.single else 128)
    if kind.kind == Kind.STRING:
        return TEXTS
    return st.booleans() if kind.kind == Kind.BOOL else st.binary(max_size=8)


def _pointers(base: GobType, pairs: int, depth: int) -> st.SearchStrategy[Any]:
    """A pointer to zero isn't sent in a struct, unless to another struct or what encodes itself."""
    if depth <= 0:
        return st.none()
    found = _values(base, pairs, depth)
    if base.kind in _NUMBERS:
        found = found.filter(bool)
    return st.none() | found


def _opaque(kind: GobType) -> st.SearchStrategy[Any]:
    if kind.owner is datetime:
        return TIMES
    if kind.owner is Version:
        return st.builds(Version, st.integers(0, 255), st.integers(0, 255))
    return st.builds(Secret, TEXTS)


def _anything(pairs: int, depth: int) -> st.SearchStrategy[Any]:
    inner = _anything(pairs, depth - 1) if depth > 0 else st.none()
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        TEXTS,
        st.binary(max_size=4),
        st.lists(st.integers(-5, 5), min_size=1, max_size=3),
        TIMES,
        st.builds(Secret, TEXTS),
        st.builds(Point, st.integers(-3, 300), st.integers(-3, 300)),
        _values(gob_type(Tree), pairs, min(depth, 2)),
        st.builds(gob.Named, st.just("peer.Celsius"), st.floats(allow_nan=False)),
        st.builds(gob.Named, st.just("peer.Names"), st.lists(TEXTS, max_size=3)),
        st.builds(gob.Named, st.just("int8"), st.integers(-128, 127)),
        st.builds(gob.Named, st.just("uint64"), st.integers(0, 2**64 - 1)),
        st.builds(gob.Named, st.just("peer.Anys"), st.lists(inner, max_size=3)),
        st.builds(
            gob.Named,
            st.just("peer.AnyMap"),
            st.dictionaries(TEXTS, inner, max_size=min(3, pairs)),
        ),
        st.builds(
            Holder, st.integers(0, 3), inner, st.lists(inner, max_size=2), st.just({}), st.just(1)
        ),
    )


@cache
def _values_of(name: str, pairs: int) -> st.SearchStrategy[Any]:
    return values(KINDS[name], pairs=pairs)


@st.composite
def named_values(draw: st.DrawFn, pairs: int = _LONGEST) -> list[tuple[str, Any]]:
    """Values of all types, each with its type's name in KINDS; *pairs*: at most in a map."""
    names = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=8))
    return [(name, draw(_values_of(name, pairs))) for name in names]


def bare(value: Any) -> Any:
    """*value* as it is read: what goes into an interface has no name any more."""
    if isinstance(value, gob.Named):
        return bare(value.value)
    if isinstance(value, Holder):
        return Holder(
            value.before, bare(value.v), bare(value.all), bare(value.by_name), value.after
        )
    if isinstance(value, list):
        return [bare(each) for each in value]
    if isinstance(value, dict):
        return {key: bare(each) for key, each in value.items()}
    return value
