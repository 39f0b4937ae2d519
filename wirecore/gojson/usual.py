"""Plans for the faster way of the compiled modules: values that need no thought."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from wirecore.errors import InvalidGobType
from wirecore.gob.registry import Named
from wirecore.gob.schema import gob_type
from wirecore.gob.types import GobType, make_struct
from wirecore.gob_rules import Kind, Make
from wirecore.gojson.plans import forget
from wirecore.gojson.raw import RawJson
from wirecore.gojson.text import finish, quote

if TYPE_CHECKING:
    from wirecore._backend import Backend
    from wirecore_py.json_reader import JsonPlan

#: Stands among the kinds of plans for what they have no number of.
_POINTER: Final = 14

_attributes = attrgetter("attribute")


class _Unusual(Exception):
    """A type whose values always go the long way. Never leaves this module."""


class UsualTypes:
    """Finds the plans of a *backend*, each once."""

    def __init__(self, backend: Backend) -> None:
        self._new = backend.json_reader.JsonPlan
        self._key = f"json, usual, {backend.name}"
        self._known: dict[Any, JsonPlan | None] = {}

    def plan_of(self, annotation: Any) -> JsonPlan | None:
        """The plan for *annotation*; None: there is none."""
        try:
            return self._known[annotation]
        except KeyError:
            found = self._known[annotation] = self._find(annotation)
            return found
        except TypeError:  # an annotation that isn't hashable
            return None

    def _find(self, annotation: Any) -> JsonPlan | None:
        if isinstance(annotation, type) and issubclass(annotation, Named | RawJson):
            return None
        try:
            return self._make(gob_type(annotation))
        except (InvalidGobType, _Unusual):
            return None

    def _make(self, wanted: GobType) -> JsonPlan:
        kind = wanted.kind
        if kind == Kind.STRUCT:
            return self._struct(wanted)
        plan = self._new(_POINTER if kind == Kind.POINTER else kind)
        plan.frozen = wanted.frozen
        if kind in (Kind.INT, Kind.UINT):
            plan.low, plan.high = wanted.bounds
        elif kind in (Kind.SLICE, Kind.MAP, Kind.POINTER):
            if wanted.key is not None and wanted.key.kind != Kind.STRING:
                raise _Unusual
            assert wanted.elem is not None
            plan.elem = self._make(wanted.elem)
        elif kind not in (Kind.BOOL, Kind.FLOAT, Kind.STRING, Kind.INTERFACE) or wanted.single:
            raise _Unusual
        return plan

    def _struct(self, wanted: GobType) -> JsonPlan:
        """The plan of a struct, of which there is one: fields may be of its own type."""
        found: JsonPlan | None = wanted.plans.get(self._key)
        if found is not None:
            return found
        plan = wanted.plans[self._key] = self._new(Kind.STRUCT)
        plan.owner = wanted.owner
        plan.build = _builder(wanted)
        try:
            for at, field in enumerate(wanted.fields):
                plan.fields.append(self._make(field.type))
                plan.names.append(field.attribute)
                plan.heads.append(finish(f"{quote(field.json_name)}:"))
                plan.places[field.json_name] = at
                plan.template.append(field.default)
                plan.factories.append(field.factory)
        except BaseException:
            forget(wanted, self._key)
            raise
        return plan


def _builder(wanted: GobType) -> Callable[..., Any] | None:
    """What makes a struct of the values of its fields; None: they are set, and that is all."""
    if wanted.make == Make.ATTRIBUTES:
        return None
    assert wanted.owner is not None
    if wanted.make == Make.POSITIONS:
        return wanted.owner
    names = list(map(_attributes, wanted.fields))
    if wanted.make == Make.KEYWORDS and _parameters(wanted.owner) == names:
        return wanted.owner  # which takes them in this order, too
    return lambda *values: make_struct(wanted, dict(zip(names, values, strict=True)))


def _parameters(owner: type) -> list[str] | None:
    """What *owner* is called with, where that may go by position alone."""
    try:
        parameters = inspect.signature(owner).parameters.values()
    except (TypeError, ValueError):  # there is none that could be read
        return None
    if any(each.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD for each in parameters):
        return None
    return [each.name for each in parameters]
