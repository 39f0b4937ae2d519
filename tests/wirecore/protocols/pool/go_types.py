"""The Go types of the recorded JSON, where a nil slice or map is null: None in the program."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from tests.wirecore.gob import go_types
from wirecore import gob


@dataclass
class Inner:
    name: str
    tags: list[str] | None
    p: int | None


@dataclass
class Rich:
    s: str
    i: int
    i8: go_types.Int8
    i64: go_types.Int64
    u: go_types.Uint
    u8: go_types.Uint8
    u64: go_types.Uint64
    f: float
    f32: go_types.Float32
    b: bool
    bytes_: bytes
    ints: list[int] | None
    strs: list[str] | None
    grid: list[list[float]] | None
    m: dict[str, int] | None
    mi: Annotated[dict[int, str] | None, gob.Field("MI")]
    ms: Annotated[dict[str, Inner] | None, gob.Field("MS")]
    in_: Inner
    ptr: Inner | None
    p_int: int | None
    t: datetime
    d: go_types.Duration
    arr: Annotated[list[int], gob.Array(3)]
    any: Any


@dataclass
class Args:
    """What the recorded service takes."""

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


TYPES: dict[str, Any] = {
    **{each.__name__: each for each in (Args, Blob, Quotient, Rich)},
    "interface{}": Any,
    "map[string]interface{}": dict[str, Any],
    "nil": Any,
}


def annotation_of(go_type: str) -> Any:
    """The annotation for a Go type as the vectors write it."""
    name = go_type.partition("=")[0].removeprefix("*")
    return TYPES[name] if name in TYPES else go_types.annotation_of(go_type)
