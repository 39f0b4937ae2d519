"""Header fields as users give them: pairs, or a mapping as other libraries take it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from .._arguments import kind_of

Header: TypeAlias = tuple[str | bytes, str | bytes]

#: (name, value) pairs, in which a name may come twice, or a mapping from names to values.
Headers: TypeAlias = Mapping[str, str | bytes] | Iterable[Header]


def header_fields(name: str, headers: object) -> tuple[Header, ...]:
    """*headers*, the argument *name*, as pairs where it is :data:`Headers`.

    Raises TypeError for anything else, which quotes no value: fields hold credentials.
    """
    wanted = f"{name} must be a mapping or (name, value) pairs"
    if isinstance(headers, str | bytes) or not isinstance(headers, Iterable):
        raise TypeError(f"{wanted}, not {kind_of(headers)}")
    fields: list[Header] = []
    for field in headers.items() if isinstance(headers, Mapping) else headers:
        if not isinstance(field, tuple | list):
            raise TypeError(f"{wanted}: it holds {kind_of(field)}")
        if len(field) != 2:
            raise TypeError(f"{wanted}: one of them has {len(field)} members")
        for part in field:
            if not isinstance(part, str | bytes):
                raise TypeError(f"{wanted}, each of str or bytes: one holds {kind_of(part)}")
        fields.append((field[0], field[1]))
    return tuple(fields)
