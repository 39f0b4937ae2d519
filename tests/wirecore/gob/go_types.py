"""The Go types of tests/vectors/pool-gob.json as types of the program, and its JSON as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from datetime import datetime
from struct import unpack
from typing import Annotated, Any, ClassVar

from wirecore import gob
from wirecore.gob.schema import gob_type
from wirecore.gob.types import GobType
from wirecore.gob_rules import Kind

Int8 = Annotated[int, gob.INT8]
Int16 = Annotated[int, gob.INT16]
Int32 = Annotated[int, gob.INT32]
Int64 = Annotated[int, gob.INT64]
Uint = Annotated[int, gob.UINT]
Uint8 = Annotated[int, gob.UINT8]
Uint16 = Annotated[int, gob.UINT16]
Uint32 = Annotated[int, gob.UINT32]
Uint64 = Annotated[int, gob.UINT64]
Uintptr = Annotated[int, gob.UINTPTR]
Float32 = Annotated[float, gob.FLOAT32]
Complex64 = Annotated[complex, gob.COMPLEX64]

Celsius = Annotated[float, gob.Name("Celsius")]
Duration = Annotated[int, gob.INT64, gob.Name("time.Duration")]
Month = Annotated[int, gob.Name("Month")]
Names = Annotated[list[str], gob.Name("Names")]
AnyList = list[Any]
IntMap = dict[str, int]
AnyMap = dict[str, Any]
Shape = Annotated[Any, gob.Name("Shape")]


@dataclass(frozen=True)
class Point:
    x: int
    y: int


@dataclass
class GE:
    """A Go type that encodes itself: [2]byte."""

    data: bytes = bytes(2)

    def gob_encode(self) -> bytes:
        return self.data

    @classmethod
    def gob_decode(cls, data: bytes) -> GE:
        return cls(data)

    def gob_is_zero(self) -> bool:
        return self.data == bytes(2)


@dataclass
class BM:
    """A Go type that marshals itself: a text between brackets."""

    text: str = ""

    def marshal_binary(self) -> bytes:
        return f"<{self.text}>".encode()

    @classmethod
    def unmarshal_binary(cls, data: bytes) -> BM:
        return cls(data.decode()[1:-1])

    def gob_is_zero(self) -> bool:
        return not self.text


@dataclass
class BigInt:
    """math/big's Int, its bytes as they are."""

    __gob_name__: ClassVar[str] = "big.Int"
    data: bytes = b""

    def gob_encode(self) -> bytes:
        return self.data

    @classmethod
    def gob_decode(cls, data: bytes) -> BigInt:
        return cls(data)


@dataclass
class URL:
    """net/url's URL."""

    __gob_name__: ClassVar[str] = "url.URL"
    text: str = ""

    def marshal_binary(self) -> bytes:
        return self.text.encode()

    @classmethod
    def unmarshal_binary(cls, data: bytes) -> URL:
        return cls(data.decode())


@dataclass
class Userinfo:
    """What Go defines beside URL: that is a struct with a field of this type."""

    __gob_name__: ClassVar[str] = "url.Userinfo"


@dataclass
class Node:
    v: int
    next: Node | None = None


@dataclass
class Tree:
    left: Tree | None
    right: Tree | None
    value: str


@dataclass
class Mutual:
    name: str
    subs: list[Mutual | None]
    by_id: Annotated[dict[int, Mutual | None] | None, gob.Field("ByID")]


@dataclass
class Inner:
    __gob_name__: ClassVar[str] = "svc.Inner"
    name: str
    tags: list[str]
    p: int | None


@dataclass
class Rich:
    s: str
    i: int
    i8: Int8
    i64: Int64
    u: Uint
    u8: Uint8
    u64: Uint64
    f: float
    f32: Float32
    b: bool
    bytes_: bytes
    ints: list[int]
    strs: list[str]
    grid: list[list[float]]
    m: dict[str, int] | None
    mi: Annotated[dict[int, str] | None, gob.Field("MI")]
    ms: Annotated[dict[str, Inner] | None, gob.Field("MS")]
    in_: Inner
    ptr: Inner | None
    p_int: int | None
    t: datetime
    d: Duration
    arr: Annotated[list[int], gob.Array(3)]
    any: Any


@dataclass
class Vals:
    i: int
    i8: Int8
    i16: Int16
    i32: Int32
    i64: Int64
    u: Uint
    u8: Uint8
    u16: Uint16
    u32: Uint32
    u64: Uint64
    up: Uintptr
    f32: Float32
    f64: float
    c: complex
    b: bool
    s: str
    bs: bytes


@dataclass
class Byte4:
    a: Annotated[list[Uint8], gob.Array(4)]
    b: bytes
    c: tuple[bool, bool]


@dataclass
class L2:
    __gob_name__: ClassVar[str] = ""
    l3: list[dict[str, Point]]


@dataclass
class L1:
    __gob_name__: ClassVar[str] = ""
    l2: L2


@dataclass
class Deep:
    l1: L1


@dataclass
class Embedded:
    point: Point
    label: str


@dataclass
class Empty:
    pass


@dataclass
class Nothing:
    __gob_name__: ClassVar[str] = ""


@dataclass
class Holder:
    e: Empty
    n: int


@dataclass
class Iface:
    before: int
    v: Any
    after: int


@dataclass
class IfaceMap:
    m: dict[str, Any]


@dataclass
class Shapes:
    list_: list[Shape]


@dataclass
class Square:
    side: float


@dataclass
class Circle:
    r: float


@dataclass
class Ptrs:
    i: int | None
    s: str | None
    pp: Annotated[int | None, gob.Field("PP")]
    p: Point | None
    n: Point | None


@dataclass
class HasGE:
    g: GE
    p: GE | None
    t: datetime
    d: Duration
    b: BM
    bi: Annotated[BigInt | None, gob.Field("BI")]


@dataclass
class Mixed:
    exported: int
    last: str
    _unexported: int = 0


@dataclass
class Request:
    service_method: str
    seq: Uint64


@dataclass
class Response:
    service_method: str
    seq: Uint64
    error: str


@dataclass
class Args:
    a: int
    b: int


@dataclass
class ServiceArgs:
    __gob_name__: ClassVar[str] = "svc.Args"
    a: int
    b: int


@dataclass
class Quotient:
    quo: int
    rem: int


@dataclass
class Blob:
    data: bytes


@dataclass
class Box:
    v: Any


@dataclass
class AB:
    __gob_name__: ClassVar[str] = ""
    a: int
    b: list[str]


@dataclass
class ABC:
    __gob_name__: ClassVar[str] = ""
    a: int
    b: int
    c: int


@dataclass
class Three:
    __gob_name__: ClassVar[str] = "XYZ"
    x: int
    y: int
    z: int = 9


def struct(name: str, **fields: Any) -> type:
    """A dataclass with these Go fields."""
    named = [
        (attribute.lower(), kind, field(metadata={"gob": attribute}))
        for attribute, kind in fields.items()
    ]
    return make_dataclass(name, named, namespace={"__module__": __name__})


#: Go's NaN is another one than Python's.
GO_NAN: float = unpack(">d", bytes.fromhex("7ff8000000000001"))[0]

#: By the Go type as the vectors write it, up to "=".
TYPES: dict[str, Any] = {
    "bool": bool, "int": int, "int8": Int8, "int16": Int16, "int32": Int32, "int64": Int64,
    "uint": Uint, "uint8": Uint8, "uint16": Uint16, "uint32": Uint32, "uint64": Uint64,
    "uintptr": Uintptr, "float32": Float32, "float64": float, "complex64": Complex64,
    "complex128": complex, "string": str, "time.Time": datetime,
    "[2]Point": Annotated[list[Point], gob.Array(2)], "[3]int": tuple[int, int, int],
    "[4]uint8": Annotated[list[Uint8], gob.Array(4)], "[]*Point": list[Point | None],
    "[]Point": list[Point], "[][]int": list[list[int]], "[][]uint8": list[bytes],
    "[]bool": list[bool], "[]float64": list[float], "[]int": list[int], "[]int32": list[Int32],
    "[]string": list[str], "[]uint8": bytes, "map[int]string": dict[int, str],
    "map[string]int": dict[str, int],
    "map[string]map[string][]int": dict[str, dict[str, list[int]]],
    "main.BM(BinaryMarshaler)": BM, "main.GE(GobEncoder)": GE,
    "*big.Int(GobEncoder)": BigInt | None, "*url.URL(BinaryMarshaler)": URL | None,
    "struct{A int; B []string}": AB, "struct{A int; B int; C int}": ABC, "struct{}": Nothing,
    "KeyStruct": Annotated[dict[Point, str], gob.Name("KeyStruct")],
    "Celsius": Celsius, "Duration": Duration, "Month": Month, "Names": Names,
    "Gap": struct("Gap", A=int, B=int, C=int, D=int, E=int, F=str),
    "Many": struct("Many", **{f"F{number:02}": int for number in range(1, 11)}),
    "A2": struct("A2", A=tuple[int, int]), "A3": struct("A3", A=tuple[int, int, int]),
    "Bs": struct("Bs", V=bytes), "Str": struct("Str", V=str), "F32": struct("F32", F=Float32),
    "MS": struct("MS", M=dict[str, str]), "Other": struct("Other", Q=str),
    "X8": struct("X8", X=Int8), "XF": struct("XF", X=float), "XOnly": struct("XOnly", X=int),
    "X8Only": struct("X8Only", X=int), "F64": struct("F64", F=float),
    "S": struct("S", A=list[int]), "I8s": struct("I8s", V=list[Int8]),
    "MI": struct("MI", M=dict[str, int]),
    "XP": struct("XP", X=int | None), "XStr": struct("XStr", X=str), "XU": struct("XU", X=Uint),
    "YX": struct("YX", Y=int, X=int), "XYZ": Three, "U8s": struct("U8s", V=bytes),
    **{each.__name__: each for each in (
        Args, Blob, Box, Byte4, Deep, Embedded, Empty, HasGE, Holder, Iface, IfaceMap, Mixed,
        Mutual, Node, Point, Ptrs, Quotient, Request, Response, Rich, Shapes, Tree, Vals,
    )},
}  # fmt: skip


def annotation_of(go_type: str) -> Any:
    """The annotation for a Go type as the vectors write it."""
    if go_type in TYPES:
        return TYPES[go_type]
    name = go_type.partition("=")[0]
    return TYPES[name] if name in TYPES else TYPES[name.removeprefix("*")]


def registry() -> gob.Registry:
    """The names that the vectors' program had registered."""
    made = gob.Registry()
    for name, kind in (
        ("Point", Point), ("Inner", Inner), ("Tree", Tree | None), ("IntMap", IntMap),
        ("Names", Names), ("Celsius", Celsius), ("TimeValue", datetime), ("GE", GE),
        ("AnyList", AnyList), ("AnyMap", AnyMap), ("Square", Square),
    ):  # fmt: skip
        made.register(f"example.{name}", kind)
    made.register("*example.Circle", Circle)
    return made


def from_json(value: Any, kind: GobType, names: gob.Registry) -> Any:
    """What *value* of the vectors is in the program, for encoding."""
    if value is None and kind is not kind.base:
        return None
    kind = kind.base
    if kind.kind == Kind.INTERFACE:
        if value is None:
            return None
        inner = names.find(value["interface"])
        assert inner is not None
        return gob.Named(value["interface"], from_json(value["value"], inner, names))
    if kind.kind == Kind.STRUCT:
        fields = {each.name: each for each in kind.fields}
        made: Callable[..., Any] = kind.owner  # type: ignore[assignment]
        return made(
            **{
                fields[name].attribute: from_json(inner, fields[name].type, names)
                for name, inner in value.items()
                if name in fields
            }
        )
    if isinstance(value, list):
        assert kind.elem is not None
        found = [from_json(each, kind.elem, names) for each in value]
        return tuple(found) if kind.frozen else found
    if kind.kind == Kind.OPAQUE and value is not None:
        return _opaque(value, kind)
    if not isinstance(value, dict):
        if kind.kind == Kind.BYTES and value is None:
            return b""
        if kind.kind == Kind.SLICE and value is None:
            return () if kind.frozen else []
        return float(value) if kind.kind == Kind.FLOAT else value
    return _marked(value, kind, names)


def _opaque(value: dict[str, str], kind: GobType) -> Any:
    if "time" in value:
        whole, dot, rest = value["time"].partition(".")
        if dot:
            digits = len(rest) - len(rest.lstrip("0123456789"))
            whole += "." + rest[:digits].ljust(6, "0")[:6] + rest[digits:]
        if whole == "1900-01-01T00:00:00+01:00":
            whole += ":17"  # RFC 3339 has no seconds there
        return datetime.fromisoformat(whole)
    assert kind.decode is not None
    return kind.decode(bytes.fromhex(next(iter(value.values()))))


def _marked(value: dict[str, Any], kind: GobType, names: gob.Registry) -> Any:
    if "int" in value:
        return int(value["int"])
    if "float" in value:
        return GO_NAN if value["float"] == "NaN" else float(value["float"])
    if "complex" in value:
        return complex(*value["complex"])
    if "bytes" in value:
        return bytes.fromhex(value["bytes"])
    if "string_hex" in value:
        return bytes.fromhex(value["string_hex"]).decode("utf-8", "surrogateescape")
    assert kind.key is not None
    assert kind.elem is not None
    return {
        from_json(key, kind.key, names): from_json(elem, kind.elem, names)
        for key, elem in value["map"]
    }


def as_read(value: Any) -> Any:
    """*value* as it is read: what goes into an interface has no name, and no pointer a zero."""
    if isinstance(value, gob.Named):
        return as_read(value.value)
    if isinstance(value, list | tuple):
        return type(value)(as_read(each) for each in value)
    if isinstance(value, dict):
        return {key: as_read(each) for key, each in value.items()}
    if not hasattr(value, "__dataclass_fields__") or isinstance(value, Point):
        return value
    made = object.__new__(type(value))
    pointers = {
        each.attribute
        for each in gob_type(type(value)).fields
        if each.type.kind == Kind.POINTER and each.type.base.kind != Kind.STRUCT
    }
    for name, inner in vars(value).items():
        made.__dict__[name] = (as_read(inner) or None) if name in pointers else as_read(inner)
    return made
