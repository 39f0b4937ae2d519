"""What one gob stream may make of this process."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from wirecore.session.limits import check_at_least, check_at_most

#: What the pure twin can nest within Python's own bound on recursion.
_MAX_DEPTH: Final = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a stream, which hold for each encoder and decoder on its own.

    *max_message_size*: bytes of a message, and of all messages of a value that takes several;
    *max_depth*: how deep values are nested in each other, at most 200; *max_elements*: of the
    slices, arrays and maps of one value together (a pair of a map counts twice) and the fields
    of its structs, sent or not. It bounds the memory that few bytes take: a struct of a hundred
    fields may be one byte on the wire. *max_types* and *max_fields*: of all types that a stream
    defines; *max_name*: bytes of one name in these. An encoder keeps the first two.

    Raises :class:`~wirecore.errors.InvalidOption` for a figure below 1, or above its bound.
    """

    max_message_size: int = 4 * 1024 * 1024
    max_depth: int = 100
    max_elements: int = 1 << 20
    max_types: int = 2000
    max_fields: int = 20_000
    max_name: int = 1024

    def __post_init__(self) -> None:
        for option in fields(self):
            check_at_least(option.name, getattr(self, option.name), 1)
        check_at_most("max_depth", self.max_depth, _MAX_DEPTH)
        check_at_most("max_message_size", self.max_message_size, (1 << 33) - 1)
