"""What a call belongs to, carried to who serves it beside the call.

Where two ends of ours have agreed on that, as header fields: see :mod:`wirecore.session.fields`.
Which they are is the global propagator's to say, as it is with HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import propagate
from opentelemetry.context import Context

from wirecore.session.fields import CallFields

from ._patches import Patches


def carried() -> dict[str, str]:
    """The fields that tell what the task does now; none where it is in no span."""
    fields: dict[str, str] = {}
    propagate.inject(fields)
    return fields


def context_of(fields: Mapping[str, str] | None) -> Context:
    """What a call belongs to that came with *fields*; nothing where they don't tell."""
    # What the task of who serves does isn't it.
    return propagate.extract(fields, Context()) if fields else Context()


def carry(patches: Patches, session: type, name: str, longer: str) -> None:
    """Have calls by the method *name* of the class *session* go with what they belong to.

    *longer*: its method that takes fields before all else.
    """
    patches.replace(session, name, _carrying, longer)


def _carrying(original: Any, longer: str) -> Any:
    def call(self: Any, *arguments: Any) -> None:
        fields = carried() if self.takes_fields else None
        if fields:
            getattr(self, longer)(fields, *arguments)
        else:
            original(self, *arguments)

    return call


def instrument(patches: Patches) -> None:
    """Have what comes beside calls be kept, and be offered where that is to be agreed on."""
    patches.set(CallFields, "wanted", True)
