"""The ids of types in a stream that we write, and the definitions that go with them.

Ids and names are given out as Go gives them: a program in Go that begins with the same id, and
uses the same types in the same order, writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

from wirecore.errors import InvalidOption
from wirecore.gob.definitions import TypeSet, write_definition
from wirecore.gob.types import GobType
from wirecore.gob.wire import WireType
from wirecore.gob_rules import FIRST_TYPE_ID, Kind

#: Members of Go's wireType; what is opaque has one of its own.
_MEMBERS: Final = {Kind.ARRAY: 1, Kind.SLICE: 2, Kind.STRUCT: 3, Kind.MAP: 4}


@dataclass(slots=True)
class _Entry:
    """A type that has an id, or will have one: *id* is 0 while what it is made of is looked at."""

    id: int
    name: str = ""
    elem: _Entry | None = None
    key: _Entry | None = None
    fields: list[tuple[str, int]] = field(default_factory=list)


_BASIC: Final = {kind: _Entry(int(kind)) for kind in Kind if kind <= Kind.INTERFACE}


class TypeIds:
    """Ids of types, given out in the order of their first use, from *first* on.

    Encoders may share one, as all of a Go process do; each has its own by default. Raises
    :class:`~wirecore.errors.InvalidOption` for a *first* below 64, where Go's own ids are.
    """

    def __init__(self, first: int = FIRST_TYPE_ID + 1) -> None:
        if first < FIRST_TYPE_ID:
            raise InvalidOption(f"the first id of a type must be at least {FIRST_TYPE_ID}")
        self._next = first
        self._entries: dict[Hashable, _Entry] = {}
        self._sets: dict[tuple[WireType, ...], int] = {}

    def id_of(self, wanted: GobType) -> int:
        """The id of a type, pointers to which have the same."""
        base = wanted.base
        return self._find(base, "" if wanted is not base and _is_opaque(base) else base.name).id

    def define(self, wanted: GobType) -> bytes:
        """The definition of a type, as a message without its length."""
        base = wanted.base
        number = self.id_of(wanted)
        entry = self._entries[base.identity]
        if _is_opaque(base) and wanted is not base:
            # In Go a pointer to such a type has a description of its own, which has no name.
            entry = self._entries.setdefault(("pointer", base.identity), _Entry(0))
            self._number(entry)
        return _definition(number, base, entry)

    def first_of(self, needed: TypeSet) -> int:
        """The id of the first type of a set, the others of which have those after it."""
        found = self._sets.get(needed.types)
        if found is None:
            found = self._sets[needed.types] = self._next
            self._next += len(needed.types)
        return found

    def _number(self, entry: _Entry) -> None:
        if entry.id == 0:
            entry.id = self._next
            self._next += 1

    def _find(self, wanted: GobType, name: str) -> _Entry:
        """The entry of a type without pointers; *name* is its name, if it is a new one."""
        if wanted.kind in _BASIC:
            return _BASIC[wanted.kind]
        found = self._entries.get(wanted.identity)
        if found is None:
            found = self._entries[wanted.identity] = _Entry(0, name)
            self._fill(wanted, found)
            self._number(found)
        return found

    def _fill(self, wanted: GobType, entry: _Entry) -> None:
        if wanted.kind == Kind.STRUCT:
            self._number(entry)
            for each in wanted.fields:
                base = each.type.base
                inner = self._find(base, base.name or base.text)
                self._number(inner)
                entry.fields.append((each.name, inner.id))
        elif wanted.elem is not None:
            if wanted.key is not None:
                entry.key = self._find(wanted.key.base, "")
            # Go gives the name of an element only where it is one of a slice, and no pointer.
            name = wanted.elem.name if wanted.kind == Kind.SLICE else ""
            entry.elem = self._find(wanted.elem.base, name)
            self._number(entry)
            self._number(entry.elem)


def _is_opaque(base: GobType) -> bool:
    return base.kind == Kind.OPAQUE


def _definition(number: int, base: GobType, entry: _Entry) -> bytes:
    found = WireType(
        base.kind,
        _MEMBERS.get(base.kind, base.member),
        entry.name,
        0 if entry.elem is None else entry.elem.id,
        0 if entry.key is None else entry.key.id,
        base.size,
        tuple(entry.fields),
    )
    return write_definition(number, found, entry.id)
