"""Types that are read from JSON and written as JSON, and values of them alone, without a call."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from wirecore import gob
from wirecore.errors import JsonValueError
from wirecore.gob.opaque import ZERO_TIME
from wirecore.protocols.pool import NEED_DATA, JsonCalling, JsonServing

Int8 = Annotated[int, gob.INT8]
Int16 = Annotated[int, gob.INT16]
Uint = Annotated[int, gob.UINT]
Uint8 = Annotated[int, gob.UINT8]
Uint64 = Annotated[int, gob.UINT64]
Float32 = Annotated[float, gob.FLOAT32]
Celsius = Annotated[float, gob.Name("Celsius")]
Three = Annotated[list[int], gob.Array(3)]
Four = Annotated[list[Uint8], gob.Array(4)]
Shout = Annotated[bytes, gob.TEXT_MARSHALER]
Sealed = Annotated[bytes, gob.GOB_ENCODER]


@dataclass
class Point:
    x: int = 0
    y: int = 0


@dataclass
class Line:
    from_: Point = field(default_factory=Point)
    to: Point | None = None
    tags: list[str] | None = None
    by: dict[str, Point] | None = None
    ends: tuple[Point, Point] = field(default_factory=lambda: (Point(), Point()))


class Node(NamedTuple):
    """One of its own type is in it, in two ways."""

    name: str = ""
    next: Node | None = None
    subs: list[Node] | None = None


@dataclass
class Bag:
    any: Any = None
    many: list[Any] | None = None
    by: dict[str, Any] | None = None


@dataclass(frozen=True)
class Version:
    """A Go type that marshals itself as a text; its zero is no call without arguments."""

    major: int
    minor: int

    def marshal_text(self) -> bytes:
        return b"%d.%d" % (self.major, self.minor)

    @classmethod
    def unmarshal_text(cls, data: bytes) -> Version:
        if data == b"x":
            raise JsonValueError("no version")
        major, minor = data.split(b".")
        return cls(int(major), int(minor))

    @classmethod
    def gob_zero(cls) -> Version:
        return cls(0, 0)


@dataclass
class Release:
    v: Version
    p: Version | None = None
    all: list[Version] | None = None
    by: dict[Version, str] | None = None
    at: datetime = ZERO_TIME
    made: datetime | None = None


@dataclass
class Tagged:
    """JSON has other names for its fields than Go: two of them differ in case alone."""

    user_id: Annotated[int, gob.Field("ID", json="id")]
    shout: Annotated[str, gob.Field(json="ID")] = ""
    first_name: Annotated[str, gob.Field(json="first-name")] = "?"
    place: Point | None = field(default=None, metadata={"gob": "At", "json": "größe/m"})


@dataclass
class Settings:
    """Its defaults are what a null leaves."""

    name: str = "default"
    level: Int8 = 3
    ratio: Float32 = 0.5
    on: bool = True
    at: datetime = ZERO_TIME
    place: Point = field(default_factory=lambda: Point(1, 2))
    pair: tuple[int, int] = (1, 2)
    maybe: int | None = 7
    tags: list[str] = field(default_factory=lambda: ["x"])
    counts: dict[str, int] = field(default_factory=lambda: {"x": 1})
    data: bytes = b"x"
    any: Any = "x"


def read(text: str, annotation: Any) -> Any:
    """What a service gets of an argument."""
    serving = JsonServing()
    serving.feed(b'{"params":[' + text.encode() + b"]}")
    assert serving.next_request() is not NEED_DATA
    return serving.argument(annotation)


def written(value: Any, annotation: Any = Any) -> str:
    """A value's JSON: an argument's, which may be null."""
    (message,) = JsonCalling().encode_request(0, "", value, annotation)
    return message.removeprefix(b'{"method":"","params":[').removesuffix(b'],"id":0}\n').decode()
