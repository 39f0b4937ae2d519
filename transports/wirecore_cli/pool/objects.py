"""What a provider can serve: ``MODULE:OBJECT`` names an object, or ``MODULE`` all of a module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from wirecore_trio.pool._service import marked_methods

from ..references import Kind


def _is_service(found: Any) -> bool:
    if isinstance(found, ModuleType):
        return hasattr(found, "__all__")
    return bool(marked_methods(type(found)))


_OBJECT: Final = Kind(
    name="object",
    example="backend:Backend",
    command="pool",
    fits=_is_service,
    lacking="none of its methods is marked by @pool.exported",
)


def load_object(reference: str, folder: Path) -> Any:
    """The object, or the module, that *reference* names. Raises Failure, which says what to do.

    Modules are looked for in *folder* first.
    """
    if ":" in reference:
        return _OBJECT.find(reference, folder)
    return _OBJECT.load(reference, folder)


def load_objects(references: Sequence[str], folder: Path) -> Iterator[tuple[str, Any]]:
    """Each of *references* with what it names. Raises as :func:`load_object`."""
    for reference in references:
        yield reference, load_object(reference, folder)
