"""What is put in place of functions and attributes of ours, and how they come back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: Stands for what a class has of its base.
_INHERITED: Final = object()


class Patches:
    """What others stand in place of, until :meth:`undo`."""

    def __init__(self) -> None:
        self._originals: list[tuple[Any, str, Any]] = []

    def replace(
        self, owner: Any, name: str, make: Callable[[Any, T], Callable[..., Any]], seen_by: T
    ) -> None:
        """Put what *make* makes of it in place of *name*, a function of *owner*'s.

        *owner*: a class, which may have it of its base, or a module. *seen_by*: what *make* is
        given besides. Raises AttributeError where there is none.
        """
        original = getattr(owner, name)
        self._remember(owner, name)
        setattr(owner, name, functools.wraps(original)(make(original, seen_by)))

    def set(self, owner: type, name: str, value: object) -> None:
        """Make *value* that of *name*, an attribute of the class *owner*'s own."""
        self._remember(owner, name)
        setattr(owner, name, value)

    def undo(self) -> None:
        """Put all back, the last one first."""
        while self._originals:
            owner, name, original = self._originals.pop()
            if original is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, original)

    def _remember(self, owner: Any, name: str) -> None:
        self._originals.append((owner, name, vars(owner).get(name, _INHERITED)))
