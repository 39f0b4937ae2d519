"""Plans for writing: how a value of a type is put into bytes. They hold for all streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecore.gob.types import GobType
from wirecore.gob_rules import Kind

if TYPE_CHECKING:
    from wirecore._backend import Backend
    from wirecore_py.gob_writer import WritePlan


def write_plan(backend: Backend, wanted: GobType) -> WritePlan:
    """The plan for a value of the type *wanted* that stands alone."""
    return _make(backend, wanted, wanted.base.text)


def _make(backend: Backend, wanted: GobType, label: str) -> WritePlan:
    base = wanted.base
    if base.kind == Kind.STRUCT:
        return _struct(backend, base, nullable=wanted is not base)
    plan = backend.gob_writer.WritePlan(base.kind, label)
    plan.nullable = wanted is not base
    plan.single = base.single
    plan.size = base.size
    if base.kind in (Kind.INT, Kind.UINT):
        plan.low, plan.high = base.bounds
    elif base.kind == Kind.OPAQUE:
        plan.owner = base.owner
        plan.opaque, plan.is_zero = base.encode, base.is_zero
    if base.key is not None:
        plan.key = _make(backend, base.key, f"key of {label}")
    if base.elem is not None:
        plan.elem = _make(backend, base.elem, f"element of {label}")
    return plan


def _struct(backend: Backend, wanted: GobType, *, nullable: bool) -> WritePlan:
    """The plan of a struct, of which there is one, and one more for pointers to it."""
    found: WritePlan | None = wanted.plans.get((backend.name, nullable))
    if found is not None:
        return found
    plan = backend.gob_writer.WritePlan(Kind.STRUCT, wanted.text)
    plan.owner = wanted.owner
    plan.nullable = nullable
    wanted.plans[backend.name, nullable] = plan
    for field in wanted.fields:
        plan.names.append(field.attribute)
        plan.fields.append(_make(backend, field.type, f"{wanted.text}.{field.name}"))
    return plan
