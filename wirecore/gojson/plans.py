"""How types are read and written, once it is known: each of them keeps its plans."""

from __future__ import annotations

from wirecore.gob.types import GobType


def forget(wanted: GobType, plan: str) -> None:
    """Drop *plan* of *wanted*, for which there is none after all, and of all that is in it.

    What was finished in between may hold *wanted*, and is then no good either; what isn't is
    made again when it is asked for.
    """
    seen: set[GobType] = set()
    left = [wanted]
    while left:
        each = left.pop()
        if each in seen:
            continue
        seen.add(each)
        each.plans.pop(plan, None)
        left += [part for part in (each.key, each.elem) if part is not None]
        left += [field.type for field in each.fields]
