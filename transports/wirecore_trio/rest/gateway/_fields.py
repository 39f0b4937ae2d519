"""Header fields on their way through: what is between two ends stays behind, what is told is added.

RFC 9110 sections 7.6.1 and 7.6.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wirecore.protocols.rest.heads import HOP_BY_HOP

#: And what is between a gateway and who calls it.
_HOPS: Final = HOP_BY_HOP | {b"proxy-authenticate", b"proxy-authorization"}

#: What a gateway says of the request, which callers may not make up.
_FORWARDED: Final = frozenset(
    {
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
    }
)

_VIA: Final = b"1.1 wirecore"

Fields = list[tuple[bytes, bytes]]


def without_hops(fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    """*fields* without those of one connection, and those that its Connection names."""
    kept = list(fields)
    named = {
        token.strip().lower()
        for name, value in kept
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
    left_out = _HOPS | named
    return [(name, value) for name, value in kept if name.lower() not in left_out]


def forwarded(
    fields: Iterable[tuple[bytes, bytes]],
    *,
    client: str | None,
    host: bytes,
    scheme: str,
    prefix: str | None,
    trusted: bool,
) -> Fields:
    """What a request is passed on with.

    *client*: its address. *prefix*: what was taken off its path. *trusted*: whether what it says
    itself of where it comes from may be believed, as another gateway stands in front.
    """
    kept = without_hops(fields)
    before: list[bytes] = []
    if trusted:
        before = [value for name, value in kept if name.lower() == b"x-forwarded-for"]
        told = {name.lower() for name, _ in kept}
        kept = [field for field in kept if field[0].lower() != b"x-forwarded-for"]
    else:
        told = set()
        kept = [field for field in kept if field[0].lower() not in _FORWARDED]
    path = [*before, *([client.encode("latin-1")] if client else [])]
    if path:
        kept.append((b"X-Forwarded-For", b", ".join(path)))
    added = {b"X-Forwarded-Host": host, b"X-Forwarded-Proto": scheme.encode("ascii")}
    if prefix is not None:
        added[b"X-Forwarded-Prefix"] = prefix.encode("utf-8", "replace")
    kept += [(name, value) for name, value in added.items() if name.lower() not in told]
    kept.append((b"Via", _VIA))
    return kept
