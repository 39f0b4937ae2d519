"""What ``Annotated`` may say of a type: how wide a number is, what Go calls it, how it travels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wirecore.errors import InvalidOption
from wirecore.gob_rules import Kind

#: The longest array that may be declared: more than any message holds.
_MAX_ARRAY: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Width:
    """A number's Go type. Use the constants: ``Annotated[int, gob.UINT8]``."""

    kind: Kind
    bits: int
    text: str


#: Go's types of numbers, for ``Annotated[int, gob.UINT8]`` and the like.
INT: Final = Width(Kind.INT, 64, "int")
INT8: Final = Width(Kind.INT, 8, "int8")
INT16: Final = Width(Kind.INT, 16, "int16")
INT32: Final = Width(Kind.INT, 32, "int32")
INT64: Final = Width(Kind.INT, 64, "int64")
UINT: Final = Width(Kind.UINT, 64, "uint")
UINT8: Final = Width(Kind.UINT, 8, "uint8")
UINT16: Final = Width(Kind.UINT, 16, "uint16")
UINT32: Final = Width(Kind.UINT, 32, "uint32")
UINT64: Final = Width(Kind.UINT, 64, "uint64")
UINTPTR: Final = Width(Kind.UINT, 64, "uintptr")
FLOAT32: Final = Width(Kind.FLOAT, 32, "float32")
FLOAT64: Final = Width(Kind.FLOAT, 64, "float64")
COMPLEX64: Final = Width(Kind.COMPLEX, 64, "complex64")
COMPLEX128: Final = Width(Kind.COMPLEX, 128, "complex128")


@dataclass(frozen=True, slots=True)
class Array:
    """Of a list or tuple: a Go array of *size* elements, ``Annotated[list[int], gob.Array(3)]``.

    Raises :class:`~wirecore.errors.InvalidOption` for a *size* below 0 or above 2**40.
    """

    size: int

    def __post_init__(self) -> None:
        if not 0 <= self.size <= _MAX_ARRAY:
            raise InvalidOption(f"an array has 0 to {_MAX_ARRAY} elements, not {self.size}")


@dataclass(frozen=True, slots=True)
class Name:
    """What Go calls the type, with its package: ``gob.Name("weather.Celsius")``.

    Without a package it is taken to be of ``main``; "" makes a type that has no name in Go. Names
    are sent, and tell readers of a stream what they look at; nothing is matched by them.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """What Go calls the struct's field: ``Annotated[int, gob.Field("ID")]``.

    *json*: what JSON calls it, as a tag ``json:"id"`` says in Go. Either may be None: *name* is
    then made of the attribute, *json* the same as *name*. In dataclasses
    ``field(metadata={"gob": "ID", "json": "id"})`` says the same.
    """

    name: str | None = None
    json: str | None = None


@dataclass(frozen=True, slots=True)
class Opaque:
    """Of bytes: what a Go type that encodes itself makes of its value.

    ``Annotated[bytes, gob.GOB_ENCODER]``, or one of the two others. A class may have a pair of
    methods instead, see :mod:`wirecore.gob.opaque`.
    """

    #: Which member of Go's wireType defines it, from 5 on.
    member: int


#: How a type of Go's encodes itself: by which pair of its methods.
GOB_ENCODER: Final = Opaque(5)
BINARY_MARSHALER: Final = Opaque(6)
TEXT_MARSHALER: Final = Opaque(7)
