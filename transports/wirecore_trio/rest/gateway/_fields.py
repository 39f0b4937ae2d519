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
    """*fields* without those of one connection, and those that its Connection names.

    Those that say where a request comes from stay: a caller who names them behind a gateway in
    front would take away what that has added.
    """
    kept = list(fields)
    named = {
        token.strip().lower()
        for name, value in kept
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
    # Whoever names Host, which is for all, doesn't get another one that way.
    left_out = _HOPS | {each for each in named if each != b"host" and not _is_forwarded(each)}
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
    # No gateway says it with an underscore.
    kept = [
        each for each in without_hops(fields) if not _is_forwarded(each[0]) or b"_" not in each[0]
    ]
    before: list[bytes] = []
    if trusted:
        before = _taken(kept, b"x-forwarded-for")
        if prefix is not None:
            # The gateway in front has taken off what stood before; of several the first counts.
            prefix = b"".join(_taken(kept, b"x-forwarded-prefix")[:1]).rstrip(b"/") + prefix
    else:
        kept = [field for field in kept if not _is_forwarded(field[0])]
    told = {name.lower() for name, _ in kept}
    path = [*before, *([client.encode("latin-1")] if client else [])]
    if path:
        kept.append((b"X-Forwarded-For", b", ".join(path)))
    added = {b"X-Forwarded-Host": host, b"X-Forwarded-Proto": scheme.encode("ascii")}
    if prefix is not None:
        added[b"X-Forwarded-Prefix"] = prefix
    kept += [(name, value) for name, value in added.items() if name.lower() not in told]
    kept.append((b"Via", b"%b wirecore" % version.encode("ascii")))
    return kept


def _taken(fields: Fields, name: bytes) -> list[bytes]:
    """The values of *name* in *fields*, which are there no more."""
    values = [value for each, value in fields if each.lower() == name]
    fields[:] = [field for field in fields if field[0].lower() != name]
    return values


def _is_forwarded(name: bytes) -> bool:
    """Whether a field of this *name* says where a request comes from."""
    plain = name.lower().replace(b"_", b"-")
    return plain == b"forwarded" or plain.startswith(_FORWARDED)
