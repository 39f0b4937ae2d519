"""The types that a stream has defined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wirecore import gob_rules as rules
from wirecore.errors import GobStreamError, GobStreamLimitExceeded, printable
from wirecore.gob.cursor import Cursor
from wirecore.gob.limits import Limits
from wirecore.gob_rules import Kind

_KINDS: Final = (Kind.ARRAY, Kind.SLICE, Kind.STRUCT, Kind.MAP, *(Kind.OPAQUE,) * 3)

_BASIC_NAMES: Final = {
    Kind.BOOL: "bool",
    Kind.INT: "int",
    Kind.UINT: "uint",
    Kind.FLOAT: "float",
    Kind.BYTES: "bytes",
    Kind.STRING: "string",
    Kind.COMPLEX: "complex",
    Kind.INTERFACE: "interface",
}

#: Types told of in one error's text.
_TOLD: Final = 40


@dataclass(slots=True, unsafe_hash=True)
class WireType:
    """A type: *member* is that of Go's wireType, *elem*, *key* and those of *fields* are ids."""

    kind: Kind
    member: int = 0
    name: str = ""
    elem: int = 0
    key: int = 0
    size: int = 0
    fields: tuple[tuple[str, int], ...] = ()

    @property
    def inner(self) -> list[int]:
        """The ids of the types that it is made of."""
        if self.kind == Kind.STRUCT:
            return [number for _, number in self.fields]
        return [number for number in (self.key, self.elem) if number]


#: Types that are never defined.
_BASIC: Final = {int(kind): WireType(kind) for kind in _BASIC_NAMES}


class WireTypes:
    """The types of one stream, by id."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._types = dict(_BASIC)
        self._fields = 0
        self._users: dict[int, list[int]] = {}  # of each id those whose types are made of it
        self._open = {int(Kind.INTERFACE)}
        self._complete = set(_BASIC)

    def __getitem__(self, number: int) -> WireType:
        found = self._types.get(number)
        if found is None:
            raise GobStreamError(rules.BAD_TYPE)
        return found

    def define(self, number: int, cursor: Cursor) -> None:
        """Take in the definition of *number*, which stands at *cursor*.

        Raises :class:`~wirecore.errors.GobStreamError` for a number that is Go's own or has a
        type already, for what is no definition, and for more than the limits allow.
        """
        if not rules.FIRST_TYPE_ID <= number <= rules.LAST_TYPE_ID or number in self._types:
            raise GobStreamError(rules.DUPLICATE_TYPE)
        defined = len(self._types) - len(_BASIC)
        if defined >= self._limits.max_types:
            raise GobStreamLimitExceeded("max_types", defined + 1, self._limits.max_types)
        found = self._read(cursor)
        self._types[number] = found
        for inner in found.inner:
            self._users.setdefault(inner, []).append(number)
        if any(inner in self._open for inner in found.inner):
            self._mark_open(number)

    def _mark_open(self, number: int) -> None:
        waiting = [number]
        while waiting:
            found = waiting.pop()
            if found not in self._open:
                self._open.add(found)
                waiting += self._users.get(found, [])

    def may_go_on(self, number: int) -> bool:
        """Whether values of the type may hold interfaces, and so go on in further messages."""
        return number in self._open

    def check(self, number: int) -> None:
        """Raise GobStreamError unless the type and all that it is made of are defined."""
        if number in self._complete:
            return
        seen = {number}
        waiting = [number]
        while waiting:
            for inner in self[waiting.pop()].inner:
                if inner not in seen and inner not in self._complete:
                    seen.add(inner)
                    waiting.append(inner)
        self._complete |= seen

    # --- definitions ---

    def _read(self, cursor: Cursor) -> WireType:
        member = cursor.delta(-1, len(_KINDS))
        if member < 0:
            raise GobStreamError(rules.BAD_TYPE)
        found = WireType(_KINDS[member], member + 1)
        number = -1
        fields = 1 if found.kind == Kind.OPAQUE else 3 if found.kind in _THREE else 2
        while (number := cursor.delta(number, fields)) >= 0:
            if number == 0:
                found.name = self._read_common(cursor)
            elif found.kind == Kind.STRUCT:
                found.fields = self._read_fields(cursor)
            elif found.kind == Kind.MAP and number == 1:
                found.key = cursor.signed()
            elif found.kind == Kind.ARRAY and number == 2:
                found.size = cursor.signed()
            else:
                found.elem = cursor.signed()
        # Go's type has a member for each kind, of which one is set.
        if cursor.delta(member, len(_KINDS)) >= 0 or found.size < 0:
            raise GobStreamError(rules.BAD_TYPE)
        needed = {Kind.ARRAY: 1, Kind.SLICE: 1, Kind.MAP: 2}.get(found.kind)
        if needed is not None and (len(found.inner) != needed or min(found.inner) < 0):
            raise GobStreamError(rules.BAD_TYPE)
        return found

    def _read_common(self, cursor: Cursor) -> str:
        name = ""
        number = -1
        while (number := cursor.delta(number, 2)) >= 0:
            if number == 0:
                name = self._read_name(cursor)
            else:
                cursor.signed()
        return name

    def _read_name(self, cursor: Cursor) -> str:
        name = cursor.span()
        if len(name) > self._limits.max_name:
            raise GobStreamLimitExceeded("max_name", len(name), self._limits.max_name)
        return name.decode("utf-8", "surrogateescape")

    def _read_fields(self, cursor: Cursor) -> tuple[tuple[str, int], ...]:
        count = cursor.uint()
        if count > cursor.left:
            raise GobStreamError(rules.too_many(count))
        self._fields += count
        if self._fields > self._limits.max_fields:
            raise GobStreamLimitExceeded("max_fields", self._fields, self._limits.max_fields)
        fields: dict[str, int] = {}
        for _ in range(count):
            name, kind = "", 0
            number = -1
            while (number := cursor.delta(number, 2)) >= 0:
                if number == 0:
                    name = self._read_name(cursor)
                else:
                    kind = cursor.signed()
            if not name:
                raise GobStreamError("gob: empty name for remote field")
            if kind <= 0 or name in fields:
                raise GobStreamError(rules.BAD_TYPE)
            fields[name] = kind
        return tuple(fields.items())

    # --- errors' texts ---

    def describe(self, number: int) -> str:
        """The type as Go shows it; what is very large is cut off."""
        return printable(self._describe(number, set(), [_TOLD]))

    def _describe(self, number: int, seen: set[int], left: list[int]) -> str:
        found = self[number]
        if number in _BASIC:
            return _BASIC_NAMES[found.kind]
        if number in seen or found.kind == Kind.OPAQUE:
            return found.name
        seen.add(number)
        left[0] -= 1
        if left[0] < 0:
            return "..."
        if found.kind == Kind.STRUCT:
            shown = ""
            for name, inner in found.fields:
                if left[0] < 0:
                    break
                shown += f"{name} {self._describe(inner, seen, left)}; "
            return f"{found.name} = struct {{ {shown}}}"
        elem = self._describe(found.elem, seen, left)
        if found.kind == Kind.MAP:
            return f"map[{self._describe(found.key, seen, left)}]{elem}"
        return f"[{found.size}]{elem}" if found.kind == Kind.ARRAY else f"[]{elem}"


_THREE: Final = (Kind.ARRAY, Kind.MAP)
