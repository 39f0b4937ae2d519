"""Bounds of figures that tests give: each error names the argument, its value and the bound."""

from __future__ import annotations

import math
from typing import Final

from wirecore.errors import InvalidOption
from wirecore.session.limits import check_at_least, check_at_most

from .._arguments import require_int, require_number, require_seconds

_LAST_PORT: Final = 65_535


def require_between(name: str, value: object, least: int, most: int) -> None:
    """Check that *value*, the argument *name*, is an int from *least* to *most*.

    Raises TypeError for another type, InvalidOption for another figure, as all of these do.
    """
    require_int(name, value)
    assert isinstance(value, int)
    if not least <= value <= most:
        raise InvalidOption(f"{name} must be {least} to {most}, not {value}")


def require_count(name: str, value: object, *, optional: bool = False) -> None:
    """Check that *value*, the argument *name*, is an int from 1 on, or None if *optional*."""
    if optional and value is None:
        return
    require_int(name, value)
    assert isinstance(value, int)
    check_at_least(name, value, 1)


def require_chance(name: str, value: object) -> None:
    """Check that *value*, the argument *name*, is a number from 0 to 1."""
    require_number(name, value)
    assert isinstance(value, int | float)
    check_at_least(name, value, 0)
    check_at_most(name, value, 1)


def require_delay(name: str, value: object) -> None:
    """Check that *value*, the argument *name*, is a finite number of seconds, 0 or more."""
    require_seconds(name, value, optional=False)
    assert isinstance(value, int | float)
    check_at_least(name, value, 0)
    if math.isinf(value):
        raise InvalidOption(f"{name} must be finite, not {value}: black_hole() holds what is sent")


def require_port(value: object) -> None:
    """Check that *value*, the argument ``port``, is an int from 0 to 65535."""
    require_between("port", value, 0, _LAST_PORT)
