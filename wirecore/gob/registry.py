"""Which names stand for which types in interface values."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from wirecore.errors import InvalidOption, UnsendableGob
from wirecore.gob import annotations as marks
from wirecore.gob.infer import annotation_of
from wirecore.gob.schema import gob_type
from wirecore.gob.types import GobType
from wirecore.gob_rules import GO_MAX_NAME


@dataclass(frozen=True, slots=True)
class Named:
    """A value that goes into an interface under a name of the registry.

    For values whose own type doesn't tell: ``Named("int64", -8)``, ``Named("example.Names",
    ["x"])``. Who reads gets the bare value.
    """

    name: str
    value: Any


_NUMBERS: Final[tuple[tuple[Any, marks.Width], ...]] = (
    (int, marks.INT),
    (int, marks.INT8),
    (int, marks.INT16),
    (int, marks.INT32),
    (int, marks.INT64),
    (int, marks.UINT),
    (int, marks.UINT16),
    (int, marks.UINT32),
    (int, marks.UINT64),
    (int, marks.UINTPTR),
    (float, marks.FLOAT32),
    (float, marks.FLOAT64),
    (complex, marks.COMPLEX64),
    (complex, marks.COMPLEX128),
)


class Registry:
    """Names of types, as Go's ``gob.RegisterName`` keeps them; there is none for the process.

    Go's basic types, and slices of them, are there from the start under their own names. It may
    be shared, and added to at any time.
    """

    def __init__(self) -> None:
        self._types: dict[str, GobType] = {}
        self._names: dict[Hashable, str] = {}
        for annotation, width in _NUMBERS:
            self.register(width.text, Annotated[annotation, width])
            self.register(f"[]{width.text}", list[Annotated[annotation, width]])  # type: ignore[valid-type]
        self.register("uint8", Annotated[int, marks.UINT8])
        self.register("[]uint8", bytes)
        for name, annotation in (("bool", bool), ("string", str)):
            self.register(name, annotation)
            self.register(f"[]{name}", list[annotation])  # type: ignore[valid-type]

    def register(self, name: str, annotation: Any) -> None:
        """Have *name* stand for the type *annotation*, and the other way round.

        *name* must be the one that the Go side has: its Register takes the type's, with the
        path of its package. Raises :class:`~wirecore.errors.InvalidOption` for a name or a type
        that stands for another one already, an empty name, and one above 1024 bytes;
        :class:`~wirecore.errors.InvalidGobType` for what is no type in gob.
        """
        if not 0 < len(name.encode("utf-8", "surrogateescape")) <= GO_MAX_NAME:
            raise InvalidOption(f"a name must have 1 to {GO_MAX_NAME} bytes")
        found = gob_type(annotation)
        identity = found.base.identity
        other = self._types.get(name)
        if other is not None and other.base.identity != identity:
            raise InvalidOption(
                f"gob: registering duplicate types for {name!r}: {other.text} != {found.text}"
            )
        known = self._names.get(identity)
        if known is not None and known != name:
            raise InvalidOption(
                f"gob: registering duplicate names for {found.text}: {known!r} != {name!r}"
            )
        self._types[name] = found
        self._names[identity] = name

    def find(self, name: str) -> GobType | None:
        """The type that *name* stands for."""
        return self._types.get(name)

    def describe(self, value: Any) -> tuple[str, GobType, Any]:
        """Name, type and value of what goes into an interface.

        Raises :class:`~wirecore.errors.UnsendableGob` where its type has no name.
        """
        if isinstance(value, Named):
            found = self._types.get(value.name)
            if found is None:
                raise UnsendableGob(f"gob: name not registered for interface: {value.name!r}")
            return value.name, found, value.value
        found = gob_type(annotation_of(value))
        name = self._names.get(found.base.identity)
        if name is None:
            raise UnsendableGob(
                f"gob: type not registered for interface: {found.base.text} (register it, or "
                "wrap the value in Named)"
            )
        return name, self._types[name], value
