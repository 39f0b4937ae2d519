"""Arith and Echo, the Go peers' services, as ours; and what to call theirs with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import pytest
import trio
import trio.testing

from wirecore import gob
from wirecore.errors import InvalidValue, RpcError
from wirecore.gob.opaque import ZERO_TIME
from wirecore_trio import pool


@dataclass
class Args:
    """What Arith takes."""

    a: int = 0
    b: int = 0


@dataclass
class Quotient:
    """What Divide gives."""

    quo: int = 0
    rem: int = 0


@dataclass
class Point:
    """The peers' Point."""

    x: int = 0
    y: int = 0


@dataclass
class Tree:
    """One of its own type is in it."""

    value: str = ""
    left: Tree | None = None
    right: Tree | None = None


@dataclass
class Blob:
    """Bytes in a struct."""

    data: bytes = b""


@dataclass
class Box:
    """Holds anything."""

    v: Any = None


Float32 = Annotated[float, gob.FLOAT32]
Complex64 = Annotated[complex, gob.COMPLEX64]
Celsius = Annotated[float, gob.Name("main.Celsius")]
Three = Annotated[list[Annotated[int, gob.INT32]], gob.Array(3)]
WIDTHS = {
    name: Annotated[int, getattr(gob, name.upper())]
    for name in ("Int8", "Int16", "Int32", "Int64", "Uint", "Uint8", "Uint16", "Uint32", "Uint64")
}


@dataclass
class Rich:
    """A field of each kind that both codecs know."""

    b: bool = False
    i: int = 0
    i8: Annotated[int, gob.INT8] = 0
    i64: Annotated[int, gob.INT64] = 0
    u: Annotated[int, gob.UINT] = 0
    u8: Annotated[int, gob.UINT8] = 0
    u64: Annotated[int, gob.UINT64] = 0
    f: float = 0.0
    f32: Float32 = 0.0
    s: str = ""
    bytes_: bytes = b""
    ints: list[int] = field(default_factory=list)
    arr: Three = field(default_factory=lambda: [0, 0, 0])
    m: dict[str, int] = field(default_factory=dict)
    deep: dict[str, list[Point]] = field(default_factory=dict)
    in_: Point = field(default_factory=Point)
    p: Point | None = None
    subs: list[Tree | None] = field(default_factory=list)
    t: datetime = ZERO_TIME
    any: Any = None
    tag: Annotated[str, gob.Field(json="a_tag")] = ""


#: The type that each method of Echo takes and gives back.
KINDS: dict[str, Any] = {
    "Bool": bool,
    "Int": int,
    **WIDTHS,
    "Float": float,
    "Float32": Float32,
    "Say": str,
    "Bytes": bytes,
    "Blob": Blob,
    "Ints": list[int],
    "Strings": list[str],
    "Array": Three,
    "Map": dict[str, int],
    "Time": datetime,
    "Point": Point,
    "Tree": Tree,
    "Rich": Rich,
}
#: What only gob knows.
GOB_KINDS: dict[str, Any] = {
    "Complex": complex,
    "Complex64": Complex64,
    "Box": Box,
    "Any": Annotated[Any, gob.Name("")],  # Any alone would be the type of what it is given
}

#: Pings that find out within 0.3 s who is gone without a word.
WATCHFUL: dict[str, Any] = {"ping_interval": 0.1, "max_pings": 2}

_IST = timezone(timedelta(hours=5, minutes=30))

#: What to call Go's Echo with; it gives back the same.
VALUES: dict[str, list[Any]] = {
    "Bool": [True, False],
    "Int": [0, -1, 2**63 - 1, -(2**63)],
    "Int8": [-128, 127],
    "Int16": [-(2**15), 2**15 - 1],
    "Int32": [-(2**31), 2**31 - 1],
    "Int64": [-(2**63), 2**63 - 1],
    "Uint": [0, 2**64 - 1],
    "Uint8": [255],
    "Uint16": [2**16 - 1],
    "Uint32": [2**32 - 1],
    "Uint64": [2**64 - 1],
    "Float": [0.0, 0.1, -2.5, 1e300, 5e-324],
    "Float32": [1.5, -0.25],
    "Say": ["", "plain", "é, ✓, 🎈 <&> \u2028", "long " * 3000],
    "Bytes": [b"", bytes(range(256))],
    "Blob": [Blob(b"\0\1"), Blob()],
    "Ints": [[1, -2, 3], []],
    "Strings": [["a", "", "c"]],
    "Array": [[1, 0, -3]],
    "Map": [{"one": 1, "two": 2}, {}],
    "Time": [datetime(2024, 2, 29, 12, 34, 56, 789_000, tzinfo=_IST)],
    "Point": [Point(1, -2), Point()],
    "Tree": [Tree("root", Tree("leaf"), Tree("", Tree("deep")))],
    "Rich": [
        Rich(),  # whose nil slices and maps are null in JSON
        Rich(
            True, -5, -8, -(2**63), 5, 8, 2**64 - 1, 0.5, 0.25, "text", b"\0\1", [1, 2], [7, 8, 9],
            {"a": 1}, {"b": [Point(1, 2)]}, Point(3, 4), Point(5, 6), [Tree("sub")],
            datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC), "held", "tagged",
        ),
    ],
}  # fmt: skip

#: What only gob knows; what stands in an interface is a type of :func:`registry`.
GOB_VALUES: dict[str, list[Any]] = {
    "Float": [float("inf"), float("-inf")],
    "Complex": [1.5 - 2j],
    "Complex64": [0.5 + 3j],
    "Box": [Box(Point(1, 2)), Box("text"), Box(7), Box()],
    "Any": [
        Point(1, 2),
        Tree("root"),
        datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC),
        [Point(1, 2)],
        gob.Named("peer.AnyMap", {"a": 1.5, "b": "text", "c": True}),
    ],
}

#: What a call without types gives: method, argument, and the result by gob and by JSON.
PLAIN: list[tuple[str, Any, Any, Any]] = [
    ("Say", "plain", "plain", "plain"),
    ("Int16", -300, -300, -300),
    ("Float", 0.5, 0.5, 0.5),
    ("Ints", [1, 2], [1, 2], [1, 2]),
    ("Map", {"a": 1}, {"a": 1}, {"a": 1}),
    ("Bytes", b"\0\1", b"\0\1", "AAE="),
    ("Point", Point(1, 2), {"X": 1, "Y": 2}, {"X": 1, "Y": 2}),
]

#: What a service without types can give back by gob: it can't tell uint from int, nor a struct
#: from a map, an array from a slice, a time from bytes.
PLAIN_IN_GOB = (
    "Bool Int Int8 Int16 Int32 Int64 Float Float32 Say Bytes Ints Strings Map Complex".split()  # noqa: SIM905
)


def registry() -> gob.Registry:
    """The names of ``values.go`` for types in interfaces."""
    names = gob.Registry()
    for name, kind in {
        "Point": Point,
        "Tree": Tree,
        "Celsius": Celsius,
        "Time": datetime,
        "Points": list[Point],
        "Anys": list[Any],
        "AnyMap": dict[str, Any],
    }.items():
        names.register(f"peer.{name}", kind)
    return names


def codec_named(name: str) -> pool.Gob | pool.Json:
    """The codec "gob", with those names, or "json"."""
    return pool.Gob(registry=registry()) if name == "gob" else pool.Json()


class Arith:
    """The service of net/rpc's own documentation."""

    @pool.exported(inline=True)
    def multiply(self, args: Args) -> int:
        return args.a * args.b

    @pool.exported
    async def divide(self, args: Args) -> Quotient:
        if not args.b:
            raise RpcError("divide by zero")
        return Quotient(*divmod(args.a, args.b))


class _Echo:
    """What isn't only given back."""

    @pool.exported
    def fail(self, text: str) -> str:
        if text:
            raise RpcError(text)
        return text

    @pool.exported
    async def sleep(self, milliseconds: int) -> int:
        await trio.sleep(milliseconds / 1000)
        return milliseconds

    @pool.exported
    async def nothing(self, _: str) -> None: ...


def _again(value: Any) -> Any:
    """*value* as it is sent back: what stands in an interface comes without its name."""
    if isinstance(value, Box) and isinstance(value.v, float):
        return Box(gob.Named("peer.Celsius", value.v))
    mixed = isinstance(value, dict) and len(set(map(type, value.values()))) > 1
    return gob.Named("peer.AnyMap", value) if mixed else value


def echo(codec: str, kind: Any = None) -> Any:
    """The service Echo; *kind*: what each method is said to take and give, else its own."""

    def back(kind: Any) -> Any:
        def give_back(_: Any, value: Any) -> Any:
            return value if codec == "json" else _again(value)

        give_back.__annotations__ = {"value": kind, "return": kind}
        return give_back

    kinds = KINDS | GOB_KINDS if codec == "gob" else KINDS
    methods = {
        f"echo_{name}": pool.exported(name=name, inline=True)(back(kind or each))
        for name, each in kinds.items()
    }
    return type("Echo", (_Echo,), methods)()


async def call_everything(call: Callable[..., Awaitable[Any]], codec: str) -> None:
    """Send Go's Echo every kind of value by *call*, and see it come back: with types, without."""
    told = [(KINDS, VALUES)]
    if codec == "gob":
        told.append((KINDS | GOB_KINDS, GOB_VALUES))
    for kinds, table in told:
        for method, values in table.items():
            kind = kinds[method]
            for value in values:
                expected = value.value if isinstance(value, gob.Named) else value
                assert await call(f"Echo.{method}", value, kind, argument_type=kind) == expected
    for method, value, of_gob, of_json in PLAIN:
        assert await call(f"Echo.{method}", value) == (of_gob if codec == "gob" else of_json)


async def check_failures(call: Callable[..., Awaitable[Any]], codec: str) -> None:
    """Make calls of Go's by *call* that fail, and see the connection live on."""
    misfit = "gob: type mismatch" if codec == "gob" else "json: cannot unmarshal"
    for method, argument, text in [
        ("Arith.Divide", Args(1, 0), "^divide by zero$"),
        ("Echo.Fail", "no such thing", "^no such thing$"),
        ("Arith.NoSuch", "x", "^rpc: can't find method Arith.NoSuch$"),
        ("NoService.Method", "x", "^rpc: can't find service NoService.Method$"),
        ("nodot", "x", "^rpc: service/method request ill-formed: nodot$"),
        ("Arith.Multiply", "no struct", misfit),
    ]:
        with pytest.raises(RpcError, match=text):
            await call(method, argument, int)
    with pytest.raises(InvalidValue):
        await call("Echo.Say", "no number", int)
    assert await call("Arith.Divide", Args(17, 5), Quotient) == Quotient(3, 2)


async def check_order(call: Callable[..., Awaitable[Any]]) -> None:
    """Have Go answer two calls in the other order."""
    answered = []

    async def sleep(milliseconds: int) -> None:
        answered.append(await call("Echo.Sleep", milliseconds, int))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleep, 150)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(sleep, 0)
    assert answered == [0, 150]
