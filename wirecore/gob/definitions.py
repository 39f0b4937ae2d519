"""Types as they are defined on the wire, and those that a value needs as one set of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from wirecore.gob.wire import WireType, WireTypes
from wirecore.gob_rules import FIRST_TYPE_ID, Kind, encode_int, encode_uint

#: The id of the first type in a set of its own.
FIRST_OF_SET: Final = FIRST_TYPE_ID + 1

_END: Final = b"\0"
#: A field right behind the last one.
_NEXT: Final = b"\1"


def write_definition(number: int, found: WireType, described: int) -> bytes:
    """The definition of *found*, whose id is *number*, as a message without its length.

    It is Go's wireType, of which one member is set. *described*: the id that stands within; it
    is the same but for pointers to what encodes itself, and no reader looks at it.
    """
    common = (_NEXT + _text(found.name) + _NEXT if found.name else b"\2") + encode_int(described)
    body = _NEXT + common + _END
    elem = _NEXT + encode_int(found.elem)
    if found.kind == Kind.STRUCT:
        if found.fields:
            body += _NEXT + encode_uint(len(found.fields))
        for name, inner in found.fields:
            body += _NEXT + _text(name) + _NEXT + encode_int(inner) + _END
    elif found.kind == Kind.ARRAY:
        body += elem + (_NEXT + encode_int(found.size) if found.size else b"")
    elif found.kind == Kind.MAP:
        body += _NEXT + encode_int(found.key) + elem
    elif found.kind == Kind.SLICE:
        body += elem
    return encode_int(-number) + encode_uint(found.member) + body + _END + _END


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return encode_uint(len(data)) + data


@dataclass(frozen=True, slots=True)
class TypeSet:
    """Types with all that they are made of, numbered as they are met.

    Two that are alike have the same *types*, whatever their ids were on their streams. *numbers*:
    of each type that was asked for its id here, where the first of the set has FIRST_OF_SET.
    """

    types: tuple[WireType, ...]
    numbers: dict[int, int]

    def write(self, first: int = FIRST_OF_SET) -> bytes:
        """All definitions as messages, where the first type of the set has the id *first*."""
        made: list[bytes] = []
        for at, each in enumerate(self.types):
            moved = _moved(each, first - FIRST_OF_SET)
            message = write_definition(first + at, moved, first + at)
            made += encode_uint(len(message)), message
        return b"".join(made)


def _moved(found: WireType, by: int) -> WireType:
    return _renumbered(found, lambda number: number + by if number >= FIRST_OF_SET else number)


def _renumbered(found: WireType, number_of: Callable[[int], int]) -> WireType:
    """The same type, with other ids for those that it is made of."""
    return replace(
        found,
        elem=number_of(found.elem),
        key=number_of(found.key),
        fields=tuple([(name, number_of(number)) for name, number in found.fields]),
    )


def collect(types: WireTypes, wanted: Iterable[int]) -> TypeSet:
    """The set of the types *wanted*, which are ids of *types*.

    Raises :class:`~wirecore.errors.GobStreamError` where not all that they need is defined.
    """
    numbers: dict[int, int] = {}
    met: list[int] = []

    def number_of(inner: int) -> int:
        if inner < FIRST_TYPE_ID:
            return inner
        known = numbers.get(inner)
        if known is None:
            known = numbers[inner] = FIRST_OF_SET + len(met)
            met.append(inner)
        return known

    roots: dict[int, int] = {}
    for number in wanted:
        types.check(number)
        roots[number] = number_of(number)
    made: list[WireType] = []
    for number in met:  # which grows
        made.append(_renumbered(types[number], number_of))
    return TypeSet(tuple(made), roots)
