"""Plans for reading: what of a type on the wire goes where in a type of the program.

Go's rules: fields match by name, those that the program hasn't are passed over; kinds aren't
converted; pointers don't count. The texts of errors are Go's.

A field's default in the program is for senders that don't have the field. One that has it, and
sends none, has left out a zero, as all in Go do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from wirecore.errors import GobValueError, printable
from wirecore.gob.types import GobType, zero_of
from wirecore.gob.wire import WireTypes
from wirecore.gob_rules import MADE, MAX_INT, Kind, Make

if TYPE_CHECKING:
    from wirecore._backend import Backend
    from wirecore.gob.registry import Registry
    from wirecore_py.gob_reader import ReadPlan

_BASIC_TEXTS: Final = {
    Kind.BOOL: "bool",
    Kind.INT: "int",
    Kind.UINT: "uint",
    Kind.FLOAT: "float64",
    Kind.STRING: "string",
    Kind.COMPLEX: "complex128",
}

#: What a struct's field is, read without a type, where it isn't sent.
_ZEROS: Final[dict[Kind, Any]] = {
    Kind.BOOL: False,
    Kind.INT: 0,
    Kind.UINT: 0,
    Kind.FLOAT: 0.0,
    Kind.BYTES: b"",
    Kind.STRING: "",
    Kind.COMPLEX: 0j,
}

#: A type on the wire, and the one that it is read as.
_Pair: TypeAlias = tuple[int, GobType]


class Planner:
    """Makes the plans of one stream, each once."""

    def __init__(self, backend: Backend, types: WireTypes, registry: Registry) -> None:
        self._plan = backend.gob_reader.ReadPlan
        # Reads structs of which nothing is sent; how deep these are is the program's matter.
        self._unsent = backend.gob_reader.ValueReader(_no_interface, MAX_INT, MAX_INT)
        self._types = types
        self._registry = registry
        self._plain: dict[tuple[int, bool], ReadPlan] = {}
        self._structs: dict[_Pair, ReadPlan] = {}
        #: What :meth:`top` has found, and why it has found nothing.
        self.plans: dict[tuple[int, GobType | None], ReadPlan] = {}
        self._refusals: dict[tuple[int, GobType | None], str] = {}

    def top(self, number: int, wanted: GobType | None) -> ReadPlan:
        """The plan for a value of the type *number* that is to be *wanted*; None: plain values.

        Raises :class:`~wirecore.errors.GobValueError` where the one can't be read as the other,
        and GobStreamError where the stream hasn't defined all of it.
        """
        pair = number, wanted
        found = self.plans.get(pair)
        if found is not None:
            return found
        if pair in self._refusals:
            raise GobValueError(self._refusals[pair])
        self._types.check(number)
        try:
            found = self.plain(number) if wanted is None else self._make_top(number, wanted)
        except GobValueError as error:
            self._refusals[pair] = str(error)
            raise
        self.plans[pair] = found
        return found

    def resolve(self, name: bytes, number: int, strict: bool) -> ReadPlan:
        """The plan for what an interface holds: see ``wirecore_py.gob_reader.Resolve``."""
        if not name:
            return self.top(number, None)
        text = name.decode("utf-8", "surrogateescape")
        wanted = self._registry.find(text)
        if wanted is None and strict:
            raise GobValueError(f'gob: name not registered for interface: "{printable(text)}"')
        return self.top(number, wanted)

    # --- plain values ---

    def plain(self, number: int, frozen: bool = False) -> ReadPlan:
        """The plan for a value without a type in the program; *frozen*: it must be hashable."""
        waiting: list[tuple[int, bool, ReadPlan]] = []
        found = self._find_plain(number, frozen, waiting)
        while waiting:
            self._fill_plain(*waiting.pop(), waiting)
        return found

    def _find_plain(
        self, number: int, frozen: bool, waiting: list[tuple[int, bool, ReadPlan]]
    ) -> ReadPlan:
        found = self._plain.get((number, frozen))
        if found is None:
            wire = self._types[number]
            found = self._plan(wire.kind, printable(wire.name))
            found.text = {Kind.BYTES: "[]uint8", Kind.STRING: "string"}.get(wire.kind, "")
            self._plain[number, frozen] = found
            waiting.append((number, frozen, found))
        return found

    def _fill_plain(
        self,
        number: int,
        frozen: bool,
        plan: ReadPlan,
        waiting: list[tuple[int, bool, ReadPlan]],
    ) -> None:
        wire = self._types[number]
        plan.frozen = frozen
        plan.size = wire.size
        if wire.key:
            plan.key = self._find_plain(wire.key, True, waiting)
        if wire.elem:
            plan.elem = self._find_plain(wire.elem, frozen, waiting)
            plan.text = _BASIC_TEXTS.get(self._types[wire.elem].kind, "")
        if wire.kind != Kind.STRUCT:
            return
        plan.make = Make.PAIRS if frozen else Make.DICT
        for at, (name, inner) in enumerate(wire.fields):
            plan.fields.append(self._find_plain(inner, frozen, waiting))
            plan.slots.append(at)
            plan.names.append(name)
            kind = self._types[inner].kind
            if kind in (Kind.SLICE, Kind.MAP) and not frozen:
                plan.template.append(MADE)
                plan.factories.append((at, list if kind == Kind.SLICE else dict))
            else:
                plan.template.append(() if kind == Kind.SLICE else _ZEROS.get(kind))

    # --- values with a type ---

    def _make_top(self, number: int, wanted: GobType) -> ReadPlan:
        base = wanted.base
        if base.kind != Kind.STRUCT and not self._fits(number, base):
            text = base.text
            remote = self._types.describe(number)
            if base.kind == Kind.INTERFACE:
                raise GobValueError(
                    f"gob: local interface type *{text} can only be decoded from remote interface "
                    f"type; received concrete type {remote}"
                )
            raise GobValueError(
                f"gob: decoding into local type *{text}, received remote type {remote}"
            )
        begun: list[_Pair] = []
        known = set(self._structs)
        try:
            plan = self._typed(number, base, f"*{base.text}", begun)
            while begun:
                self._fill_struct(*begun.pop(), begun)
        except GobValueError:
            for pair in set(self._structs) - known:
                del self._structs[pair]
            raise
        wire = self._types[number]
        if base.kind == Kind.STRUCT and base.fields and wire.fields and max(plan.slots) < 0:
            raise GobValueError(
                f"gob: type mismatch: no fields matched compiling decoder for {base.name}"
            )
        return plan

    def _fits(self, number: int, wanted: GobType) -> bool:
        """Whether the two are of one kind. Those of structs' fields are looked at later."""
        wanted = wanted.base
        wire = self._types[number]
        if wanted.kind == Kind.STRUCT:
            return wire.kind != Kind.OPAQUE
        if wire.kind != wanted.kind:
            return False
        if wanted.kind == Kind.OPAQUE:
            return wire.member == wanted.member
        if wanted.kind == Kind.ARRAY and wire.size != wanted.size:
            return False
        if wanted.key is not None and not self._fits(wire.key, wanted.key):
            return False
        return wanted.elem is None or self._fits(wire.elem, wanted.elem)

    def _typed(self, number: int, wanted: GobType, label: str, begun: list[_Pair]) -> ReadPlan:
        wanted = wanted.base
        kind = wanted.kind
        if kind == Kind.STRUCT:
            return self._find_struct(number, wanted, begun)
        plan = self._plan(kind, label)
        wire = self._types[number]
        plan.strict = True
        plan.frozen = wanted.frozen
        plan.size = wanted.size
        plan.single = wanted.single
        plan.text = wanted.text
        if kind in (Kind.INT, Kind.UINT):
            plan.low, plan.high = wanted.bounds
        elif kind == Kind.OPAQUE:
            plan.maker = wanted.decode
        elif kind == Kind.MAP:
            assert wanted.key is not None
            assert wanted.elem is not None
            plan.key = self._typed(wire.key, wanted.key, _within("key", wanted.key, label), begun)
            elem_label = _within("element", wanted.elem, label)
            plan.elem = self._typed(wire.elem, wanted.elem, elem_label, begun)
        elif wanted.elem is not None:
            plan.text = wanted.elem.basic
            plan.elem = self._typed(wire.elem, wanted.elem, f"element of {label}", begun)
        return plan

    def _find_struct(self, number: int, wanted: GobType, begun: list[_Pair]) -> ReadPlan:
        found = self._structs.get((number, wanted))
        if found is None:
            found = self._plan(Kind.STRUCT, wanted.text)
            self._structs[number, wanted] = found
            begun.append((number, wanted))
        return found

    def _fill_struct(self, number: int, wanted: GobType, begun: list[_Pair]) -> None:
        plan = self._structs[number, wanted]
        wire = self._types[number]
        if wire.kind != Kind.STRUCT:
            raise GobValueError(
                f"gob: type mismatch in decoder: want struct type {wanted.text}; got non-struct"
            )
        plan.make = wanted.make
        plan.maker = wanted.owner
        factories: dict[int, Callable[[], Any]] = {}
        for at, field in enumerate(wanted.fields):
            plan.names.append(field.attribute)
            plan.template.append(field.default)
            if field.factory is not None:
                factories[at] = field.factory
        places = {field.name: at for at, field in enumerate(wanted.fields)}
        for name, inner in wire.fields:
            at = places.get(name, -1)
            plan.slots.append(at)
            if at < 0:
                plan.fields.append(self.plain(inner))
                continue
            local = wanted.fields[at].type
            if not self._fits(inner, local):
                raise GobValueError(
                    f"gob: wrong type ({local.text}) for received field "
                    f"{printable(wire.name)}.{name}"
                )
            found = self._typed(inner, local, name, begun)
            plan.fields.append(found)
            plan.template[at], factory = self._zero(local, found)
            factories.pop(at, None)
            if factory is not None:
                factories[at] = factory
        plan.factories = list(factories.items())

    def _zero(self, wanted: GobType, plan: ReadPlan) -> tuple[Any, Callable[[], Any] | None]:
        """What the sender left out, which *plan* would have read: see ``zero_of``."""
        if wanted.kind == Kind.STRUCT:
            return MADE, partial(self._unsent.read, plan, _NO_FIELDS, 0, len(_NO_FIELDS))
        if wanted.kind == Kind.ARRAY:
            assert wanted.elem is not None
            assert plan.elem is not None
            value, factory = self._zero(wanted.elem, plan.elem)
            make = tuple if wanted.frozen else list
            size = wanted.size
            return MADE, lambda: make(factory() if factory else value for _ in range(size))
        return zero_of(wanted)


#: A struct's value with all its fields left out.
_NO_FIELDS: Final = b"\0"


def _no_interface(name: bytes, number: int, strict: bool) -> ReadPlan:
    """There is none in a struct of which nothing is sent."""
    raise AssertionError(name)


def _within(what: str, wanted: GobType, label: str) -> str:
    """What Go calls a map's key or element: a number has the map's own name."""
    if wanted.base.kind in (Kind.SLICE, Kind.ARRAY, Kind.MAP):
        return f"{what} of {label}"
    return label
