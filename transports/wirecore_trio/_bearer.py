"""Secrets that are shown as Bearer tokens: RFC 6750 section 2.1.

Who keeps them keeps their hashes alone: the secrets are in no dump of the process, and a look-up
takes as long for a guess that is nearly right.
"""

from __future__ import annotations

import hashlib
from typing import Final

from wirecore.errors import InvalidOption
from wirecore.websocket import Request

from ._arguments import require_type

_BEARER: Final = b"bearer "


def secret_hash(secret: str) -> bytes:
    """What is kept of *secret*.

    Raises TypeError, and InvalidOption where no header can show it: it is printable ASCII without
    blanks, and not empty.
    """
    require_type("a token's secret", secret, str)
    if not secret or not secret.isascii() or any(mark <= " " or mark == "\x7f" for mark in secret):
        raise InvalidOption(
            "a token's secret is printable ASCII without blanks, and not empty: no other can be "
            "shown"
        )
    return hashlib.sha256(secret.encode()).digest()


def shown_hash(request: Request) -> bytes | None:
    """The same of what *request* shows; None where it shows nothing."""
    shown = request.header("authorization") or b""
    if shown[: len(_BEARER)].lower() != _BEARER:
        return None
    return hashlib.sha256(shown[len(_BEARER) :].strip()).digest()
