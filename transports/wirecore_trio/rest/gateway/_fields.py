"""Header fields on their way through: what is between two ends stays behind, what is told is added.

RFC 9110 sections 7.6.1 and 7.6.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wirecore.protocols.rest.heads import HOP_BY_HOP

#: And what is between a gateway and who calls it.
_HOPS: Final = HOP_BY_HOP | {b"proxy-authenticate", b"proxy-authorization"}

#: How fields begin in which a gateway says of a request where it comes from: callers may not make
#: them up, also not with an underscore, which many servers take for a hyphen.
_FORWARDED: Final = b"x-forwarded-"

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
    # Whoever names Host, which is for all, doesn't get another one that way.
    left_out = _HOPS | named - {b"host"}
    return [(name, value) for name, value in kept if name.lower() not in left_out]


def forwarded(
    fields: Iterable[tuple[bytes, bytes]],
    *,
    client: str | None,
    host: bytes,
    scheme: str,
    prefix: bytes | None,
    trusted: bool,
    version: str,
) -> Fields:
    """What a request is passed on with.

    *client*: its address. *prefix*: what was taken off its path. *trusted*: whether what it says
    itself of where it comes from may be believed, as another gateway stands in front. *version*: of
    HTTP, that it came in.
    """
    kept = without_hops(fields)
    before: list[bytes] = []
    if trusted:
        before = [value for name, value in kept if name.lower() == b"x-forwarded-for"]
        told = {name.lower() for name, _ in kept}
        kept = [field for field in kept if field[0].lower() != b"x-forwarded-for"]
    else:
        told = set()
        kept = [field for field in kept if not _is_forwarded(field[0])]
    path = [*before, *([client.encode("latin-1")] if client else [])]
    if path:
        kept.append((b"X-Forwarded-For", b", ".join(path)))
    added = {b"X-Forwarded-Host": host, b"X-Forwarded-Proto": scheme.encode("ascii")}
    if prefix is not None:
        added[b"X-Forwarded-Prefix"] = prefix
    kept += [(name, value) for name, value in added.items() if name.lower() not in told]
    kept.append((b"Via", b"%b wirecore" % version.encode("ascii")))
    return kept


def _is_forwarded(name: bytes) -> bool:
    """Whether a field of this *name* says where a request comes from."""
    plain = name.lower().replace(b"_", b"-")
    return plain == b"forwarded" or plain.startswith(_FORWARDED)
