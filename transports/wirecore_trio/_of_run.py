"""What there is one of in each run of trio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class OfRun(Generic[T]):
    """Called within a run it gives the run's own, which *make* makes at the first call."""

    __slots__ = ("_make", "_var")

    def __init__(self, name: str, make: Callable[[], T]) -> None:
        self._make = make
        self._var: trio.lowlevel.RunVar[T] = trio.lowlevel.RunVar(f"wirecore.{name}")

    def __call__(self) -> T:
        try:
            return self._var.get()
        except LookupError:
            made = self._make()
            self._var.set(made)
            return made


def shared_buffer(name: str, size: int) -> OfRun[memoryview]:
    """*size* bytes for what passes through without an await in between."""
    return OfRun(name, lambda: memoryview(bytearray(size)))
