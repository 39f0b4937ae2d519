"""What is put in place of functions and attributes of ours, and how they come back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Patches:
    """What others stand in place of, until :meth:`undo`."""

    def __init__(self) -> None:
        self._originals: list[tuple[Any, str, Any]] = []

    def replace(
        self, owner: Any, name: str, make: Callable[[Any, T], Callable[..., Any]], seen_by: T
    ) -> None:
        """Put what *make* makes of it in place of *name*, a function of *owner*'s own.

        *owner*: a class or a module. *seen_by*: what *make* is given besides. Raises KeyError where
        *owner* has it from elsewhere, or not at all.
        """
        original = owner.__dict__[name]
        setattr(owner, name, functools.wraps(original)(make(original, seen_by)))
        self._originals.append((owner, name, original))

    def set(self, owner: type, name: str, value: object) -> None:
        """Make *value* that of *name*, an attribute of the class *owner*'s own."""
        self._originals.append((owner, name, owner.__dict__[name]))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Put all back, the last one first."""
        while self._originals:
            owner, name, original = self._originals.pop()
            setattr(owner, name, original)
