"""A type of the program as gob sees it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wirecore.gob_rules import MADE, MAX_INT, MAX_UINT, MIN_INT, Kind, Make


@dataclass(frozen=True, slots=True)
class StructField:
    """A field that travels: what it is called in the program, in Go and in JSON, and its type.

    *default* is what it has where the sender's type has no such field: a value, or MADE, and then
    *factory* makes it.
    """

    attribute: str
    name: str
    json_name: str
    type: GobType
    default: Any
    factory: Callable[[], Any] | None


@dataclass(eq=False, slots=True)
class GobType:
    """A type: *kind*, and what that kind needs. Two are the same in Go where *identity* is."""

    kind: Kind
    #: Go's name without and with package ("" and a literal, where it has none).
    name: str
    text: str
    identity: Hashable
    #: Of numbers; the text of the bare kind, as an array of such numbers is called.
    bits: int = 64
    basic: str = ""
    elem: GobType | None = None
    key: GobType | None = None
    #: Of an array.
    size: int = 0
    #: The program wants a tuple, not a list.
    frozen: bool = False
    #: Of a struct, or of what is opaque: its class, and how one is made.
    owner: type | None = None
    make: Make = Make.ATTRIBUTES
    fields: tuple[StructField, ...] = ()
    #: Of what is opaque: the member of Go's wireType, and the two directions.
    member: int = 0
    encode: Callable[[Any], bytes] | None = None
    decode: Callable[[bytes], Any] | None = None
    is_zero: Callable[[Any], bool] | None = None
    zero: Callable[[], Any] | None = None
    #: The plans made for it: by backend, and what they are for.
    plans: dict[Hashable, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<GobType {self.text}>"

    @property
    def base(self) -> GobType:
        """The type without pointers: they are transparent."""
        found = self
        while found.kind == Kind.POINTER:
            assert found.elem is not None
            found = found.elem
        return found

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest int or uint."""
        if self.kind == Kind.INT:
            return MIN_INT >> (64 - self.bits), MAX_INT >> (64 - self.bits)
        return 0, MAX_UINT >> (64 - self.bits)

    @property
    def single(self) -> bool:
        """Whether a float, or the parts of a complex, have 32 bits."""
        return (self.kind, self.bits) in ((Kind.FLOAT, 32), (Kind.COMPLEX, 64))


_NOTHING: Final[Mapping[str, Any]] = {}

_SCALAR_ZEROS: Final[dict[Kind, Any]] = {
    Kind.POINTER: None,
    Kind.BOOL: False,
    Kind.INT: 0,
    Kind.UINT: 0,
    Kind.FLOAT: 0.0,
    Kind.BYTES: b"",
    Kind.STRING: "",
    Kind.COMPLEX: 0j,
    Kind.INTERFACE: None,
}


def zero_of(found: GobType) -> tuple[Any, Callable[[], Any] | None]:
    """A type's zero: the value itself, or MADE and what makes it."""
    kind = found.kind
    if kind in _SCALAR_ZEROS:
        return _SCALAR_ZEROS[kind], None
    if kind == Kind.SLICE:
        return ((), None) if found.frozen else (MADE, list)
    if kind == Kind.MAP:
        return MADE, dict
    if kind == Kind.OPAQUE:
        return (b"", None) if found.zero is None else (MADE, found.zero)
    return MADE, lambda: make_zero(found)


def make_zero(found: GobType) -> Any:
    """A type's zero."""
    if found.kind == Kind.ARRAY:
        assert found.elem is not None
        elements = [make_zero(found.elem) for _ in range(found.size)]
        return tuple(elements) if found.frozen else elements
    if found.kind == Kind.STRUCT:
        return make_struct(found)
    value, factory = zero_of(found)
    return value if factory is None else factory()


def make_struct(found: GobType, given: Mapping[str, Any] = _NOTHING) -> Any:
    """A struct of what is *given* of its attributes; nothing was sent of the others."""
    owner: Any = found.owner
    values = {
        field.attribute: given[field.attribute]
        if field.attribute in given
        else field.default
        if field.factory is None
        else field.factory()
        for field in found.fields
    }
    if found.make == Make.POSITIONS:
        return owner(*values.values())
    if found.make == Make.KEYWORDS:
        return owner(**values)
    made = object.__new__(owner)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made
