"""Where a value ends that holds interfaces, and the definitions within it.

The value in an interface may bring the definition of its type. That stands in the middle of the
value, and where it ends the message may end too: the value goes on in the next one. A scanner
walks along such a value, however many messages it takes and whatever it will be read as, and
puts it together without the definitions.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Final

from wirecore import gob_rules as rules
from wirecore.errors import GobStreamError, GobStreamLimitExceeded
from wirecore.gob.cursor import Cursor
from wirecore.gob.limits import Limits
from wirecore.gob.wire import WireType, WireTypes
from wirecore.gob_rules import Kind

#: How deep a value may be nested that is only passed over: Go's own figure.
_MAX_DEPTH: Final = 10_000


@dataclass(slots=True)
class _Level:
    """A value that is being walked along: *left* elements to come, or *field* the last one."""

    type: WireType
    left: int = 0
    field: int = -1


class Scanner:
    """Walks along a value of the type *number*, from *at* to *end* of *message* and beyond.

    *places*: takes for each interface that holds something four numbers, in the order in which
    they begin: where the id of the type is in the value, that id, where what it holds is, and
    where that ends.
    """

    def __init__(
        self,
        types: WireTypes,
        limits: Limits,
        number: int,
        message: bytes,
        at: int,
        end: int,
        *,
        places: array[int] | None = None,
    ) -> None:
        self._types = types
        self._limits = limits
        self._number = number
        self._cursor = Cursor(message, at, end)
        self._kept = at  # from here on the message is part of the value
        self._value = bytearray()
        self._size = end - at
        self._levels: list[_Level] = []
        self._before_id = False
        self._begun = False
        self._places = places
        self._inside: list[tuple[int, int]] = []  # of interfaces: levels around, and its place
        self._given: int | None = None  # the id that the message begins with, already read

    @property
    def value(self) -> bytes:
        """The whole value without the definitions, when it has ended."""
        return bytes(self._value)

    def take(self, number: int, message: bytes, at: int, end: int) -> None:
        """Go on in the next message of the stream, at *at*, behind the id *number*.

        Raises GobStreamLimitExceeded where all of the value's messages are larger than one may be.
        """
        self._size += end - at
        if self._size > self._limits.max_message_size:
            bound = self._limits.max_message_size
            raise GobStreamLimitExceeded("max_message_size", self._size, bound)
        self._cursor = Cursor(message, at, end)
        self._kept = at
        self._given = number

    def run(self) -> bool:
        """Walk to the end: True; or, False, to where the next message is needed.

        Raises :class:`~wirecore.errors.GobStreamError` where the bytes aren't such a value.
        """
        if not self._begun:
            self._begun = True
            self._enter_top(self._number)
        while self._levels or self._before_id:
            if self._before_id and not self._identify():
                self._keep(self._cursor.end)
                return False
            if self._levels:
                self._step(self._levels[-1])
            if self._inside:
                self._leave()
        self._keep(self._cursor.end)
        return True

    def _keep(self, end: int) -> None:
        self._value += self._cursor.data[self._kept : end]

    @property
    def _here(self) -> int:
        """How far into the value this is."""
        return len(self._value) + self._cursor.at - self._kept

    def _leave(self) -> None:
        """Note where those interfaces end that have."""
        assert self._places is not None
        while self._inside and not self._before_id and len(self._levels) <= self._inside[-1][0]:
            self._places[self._inside.pop()[1]] = self._here

    def _step(self, level: _Level) -> None:
        """Walk on by one element or field."""
        kind = level.type.kind
        if kind == Kind.STRUCT:
            fields = level.type.fields
            level.field = self._cursor.delta(level.field, len(fields))
            if level.field < 0:
                self._levels.pop()
            else:
                self._enter(fields[level.field][1])
        elif not level.left:
            self._levels.pop()
        else:
            if not self._cursor.left:
                raise GobStreamError(rules.EOF)
            level.left -= 1
            # A map's keys come first, and so have an odd number left.
            is_key = kind == Kind.MAP and level.left % 2 == 1
            self._enter(level.type.key if is_key else level.type.elem)

    def _enter_top(self, number: int) -> None:
        if self._types[number].kind != Kind.STRUCT and self._cursor.uint():
            raise GobStreamError(rules.BAD_DELTA)
        self._enter(number)

    def _enter(self, number: int) -> None:
        """Pass a value without elements, or begin one that has some."""
        found = self._types[number]
        cursor = self._cursor
        if found.kind in (Kind.BOOL, Kind.INT, Kind.UINT, Kind.FLOAT):
            cursor.uint()
        elif found.kind == Kind.COMPLEX:
            cursor.uint()
            cursor.uint()
        elif found.kind in (Kind.BYTES, Kind.STRING, Kind.OPAQUE):
            cursor.span()
        elif found.kind == Kind.INTERFACE:
            self._before_id = bool(cursor.span())
        else:
            if len(self._levels) >= _MAX_DEPTH:
                raise GobStreamError(rules.BAD_NESTING)
            self._levels.append(_Level(found, self._count(found)))

    def _count(self, found: WireType) -> int:
        if found.kind == Kind.STRUCT:
            return 0
        count = self._cursor.uint()
        if found.kind == Kind.ARRAY and count != found.size:
            raise GobStreamError(rules.BAD_ARRAY)
        return 2 * count if found.kind == Kind.MAP else count

    def _identify(self) -> bool:
        """Find which type is in an interface, and define it where that is said first.

        False: the message ends before.
        """
        cursor = self._cursor
        while cursor.left or self._given is not None:
            begin = cursor.at
            before = self._here
            if self._given is None:
                number = cursor.signed()
            else:
                number, self._given = self._given, None
                if number >= 0:
                    self._value += rules.encode_int(number)
            if number >= 0:
                cursor.uint()  # how many bytes the value has: true only where it defines nothing
                self._before_id = False
                if self._places is not None:
                    self._places.extend((before, number, self._here, 0))
                    self._inside.append((len(self._levels), len(self._places) - 1))
                self._enter_top(number)
                return True
            self._keep(begin)
            self._types.define(-number, cursor)
            if cursor.left:
                cursor.uint()  # the length of what would else be the next message
            self._kept = cursor.at
        return False
