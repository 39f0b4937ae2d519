"""The type of a value that comes without one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, get_args, get_origin

from wirecore.errors import UnsendableGob, kind_of

_PLAIN: Final = frozenset((bool, int, float, complex, str, bytes, bytearray))

#: Types that lists and dicts may be nested in.
_MAX_DEPTH: Final = 50


class _Unknown:
    """Stands for the type of what an empty list or dict would hold."""


def annotation_of(value: Any) -> Any:
    """What *value* would be annotated as: ``list[int]`` for ``[1, 2]``.

    Lists and tuples are slices, dicts are maps; their elements must be of one type. Raises
    :class:`~wirecore.errors.UnsendableGob` where that can't be told.
    """
    found = _infer(value, _MAX_DEPTH)
    if _is_unknown(found):
        raise UnsendableGob("an empty list or dict doesn't tell what it would hold: give its type")
    return found


def _infer(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return bytes if kind is bytearray else kind
    if isinstance(value, datetime):
        return datetime
    if depth == 0:
        raise UnsendableGob("a value without a type is nested too deeply to find one")
    if kind in (list, tuple):
        return list[_common(value, depth)]  # type: ignore[misc]
    if kind is dict:
        return dict[_common(value, depth), _common(value.values(), depth)]  # type: ignore[misc]
    if value is None:
        raise UnsendableGob("gob: cannot encode nil value")
    return kind


def _common(values: Any, depth: int) -> Any:
    found: Any = _Unknown
    for each in values:
        other = _infer(each, depth - 1)
        if other == found:
            continue
        merged = _merge(found, other)
        if merged is None:
            raise UnsendableGob(
                f"a list or dict that holds both {_shown(found)} and {_shown(other)} has no type "
                f"in gob ({kind_of(each)} after others): list[Any] holds values of registered "
                "types"
            )
        found = merged
    return found


def _merge(one: Any, other: Any) -> Any:
    """The type of both; None: there is none."""
    if one == other or other is _Unknown:
        return one
    if one is _Unknown:
        return other
    origin: Any = get_origin(one)
    if origin not in (list, dict) or origin is not get_origin(other):
        return None
    parts = [_merge(*pair) for pair in zip(get_args(one), get_args(other), strict=True)]
    if any(part is None for part in parts):
        return None
    return origin[tuple(parts)]


def _is_unknown(found: Any) -> bool:
    return found is _Unknown or any(_is_unknown(part) for part in get_args(found))


def _shown(found: Any) -> str:
    return found.__name__ if isinstance(found, type) else str(found).replace("builtins.", "")
