"""Who calls, for the log and the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .._asgi_types import Scope

#: Characters of an address that another gateway tells.
_LONGEST: Final = 100


def caller_of(scope: Scope, *, trusted: bool) -> str:
    """The address of who sends the request of *scope*; "-" where it isn't known.

    *trusted*: another gateway stands in front, and the last of X-Forwarded-For is what it has
    seen itself; what stands before that, callers may have made up.
    """
    if trusted:
        told = [value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
        if told:
            last = bytes(told[-1]).rpartition(b",")[2].strip().decode("latin-1")
            if last:
                return last[:_LONGEST]
    client = scope.get("client")
    return str(client[0]) if client else "-"
