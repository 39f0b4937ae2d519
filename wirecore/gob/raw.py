"""Values that keep their types: taken from one stream as they are, and put into another."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import NamedTuple

from wirecore.errors import kind_of
from wirecore.gob.definitions import TypeSet, collect
from wirecore.gob.wire import WireTypes
from wirecore.gob_rules import encode_int, encode_uint

#: What of *places* belongs to one interface: see Scanner.
_PLACE = 4


class Raw:
    """A value with its types, as a stream of its own: what ``dumps`` makes and ``loads`` reads.

    It is an annotation, too, which stands alone: ``decoder.decode(gob.Raw)`` takes the next value
    as it is, without knowing its types, and ``encoder.encode(raw, gob.Raw)`` sends it as it was:
    numbers of the same kinds, structs with the same names, what is in interfaces under its names,
    and what encodes itself as the same bytes. Names in interfaces needn't be registered.

    *data*: the bytes. They are looked at when they are encoded or read. Raises TypeError where
    they are none.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"data must be bytes, not {kind_of(data)}")
        self.data = data

    def __eq__(self, other: object) -> bool:
        return self.data == other.data if isinstance(other, Raw) else NotImplemented

    def __hash__(self) -> int:
        return hash((Raw, self.data))

    def __repr__(self) -> str:
        return f"<Raw, {len(self.data)} bytes>"


class Parts(NamedTuple):
    """A value of a stream: *number* is its type's id; *places* are those of the ids within."""

    types: WireTypes
    number: int
    value: bytes
    places: array[int]

    @property
    def numbers(self) -> list[int]:
        """The ids of all types in it that aren't only parts of others, each once."""
        return list(dict.fromkeys((self.number, *self.places[1::_PLACE])))

    def collect(self) -> TypeSet:
        """All that is to be defined for it. Raises GobStreamError where not all is."""
        return collect(self.types, self.numbers)

    def write(self, number_of: Callable[[int], int]) -> bytes:
        """The message of the value, where types have other ids."""
        pieces: list[bytes] = [encode_int(number_of(self.number))]
        size = len(pieces[0])
        at = 0
        around: list[tuple[int, int, int]] = []  # where it ends, its length's place, what was then

        def copy_to(end: int) -> None:
            nonlocal at, size
            while around and around[-1][0] <= end:
                inner_end, place, before = around.pop()
                pieces.append(self.value[at:inner_end])
                size += inner_end - at
                at = inner_end
                # Go passes over a value by its length: it must count the ids as they are now.
                pieces[place] = encode_uint(size - before)
                size += len(pieces[place])
            pieces.append(self.value[at:end])
            size += end - at
            at = end

        places = self.places
        for first in range(0, len(places), _PLACE):
            begin, number, inside, end = places[first : first + _PLACE]
            copy_to(begin)
            pieces += encode_int(number_of(number)), b""
            size += len(pieces[-2])
            around.append((end, len(pieces) - 1, size))
            at = inside
        copy_to(len(self.value))
        return encode_uint(size) + b"".join(pieces)


def make_raw(parts: Parts) -> Raw:
    """The value as a stream of its own. Raises GobStreamError where not all is defined."""
    needed = parts.collect()
    return Raw(needed.write() + parts.write(needed.numbers.__getitem__))
