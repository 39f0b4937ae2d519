"""What a gateway says of a request's caller, in the scope of the application that it goes to."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_to_bytes

from ._asgi_types import Scope

_SECURE: Final = frozenset({b"https", b"wss"})
_WITH_TLS: Final = {"http": "https", "ws": "wss"}


def take_forwarded(scope: Scope) -> None:
    """Have *scope* tell what the gateway in front says, as if the caller had come here himself.

    ``client`` is the first of X-Forwarded-For, with port 0, as nobody tells that; ``scheme`` is
    X-Forwarded-Proto's, with or without TLS; ``root_path`` is X-Forwarded-Prefix, what was taken
    off the path, unless there is one already, and stands before ``path``.
    """
    told = dict(reversed(scope["headers"]))  # of several of a name the first counts
    address = told.get(b"x-forwarded-for", b"").partition(b",")[0].strip()
    if address:
        scope["client"] = (address.decode("latin-1"), 0)
    if told.get(b"x-forwarded-proto", b"").strip().lower() in _SECURE:
        scope["scheme"] = _WITH_TLS.get(scope["scheme"], scope["scheme"])
    prefix = unquote_to_bytes(told.get(b"x-forwarded-prefix", b"")).decode("utf-8", "replace")
    if prefix.startswith("/") and not scope["root_path"]:
        scope["root_path"] = prefix.rstrip("/")
        scope["path"] = scope["root_path"] + scope["path"]
