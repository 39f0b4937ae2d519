"""A call of a pool as its caller asked for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypedDict

from wirecore.protocols.pool.dispatch import ANY, Wish
from wirecore.session.limits import check_at_least

from .._arguments import require_known, require_seconds, require_type, words


class CallKeywords(TypedDict, total=False):
    """What :meth:`PoolServer.call` takes besides method, argument and result."""

    argument_type: Any
    timeout: float | None
    provider: str | None
    labels: Iterable[str]
    key: str | None
    idempotent: bool


class Request(NamedTuple):
    """A call; see :meth:`PoolServer.call`."""

    method: str
    argument: Any
    argument_type: Any
    result: Any
    wish: Wish
    idempotent: bool


def request_of(method: str, argument: Any, result: Any, keywords: CallKeywords) -> Request:
    """The call that these ask for; its time is the caller's. Raises TypeError, InvalidOption."""
    if not keywords:
        return Request(method, argument, Any, result, ANY, False)
    require_known("call", keywords, CallKeywords.__optional_keys__)
    if "timeout" in keywords:
        check_timeout(keywords["timeout"])
    provider, key = keywords.get("provider"), keywords.get("key")
    require_type("provider", provider, str, optional=True)
    require_type("key", key, str, optional=True)
    wish = Wish(provider, words("labels", keywords.get("labels", ())), key)
    idempotent = keywords.get("idempotent", False)
    require_type("idempotent", idempotent, bool)
    argument_type = keywords.get("argument_type", Any)
    return Request(method, argument, argument_type, result, wish, idempotent)


def check_timeout(seconds: float | None) -> None:
    """Raise TypeError, or InvalidOption, unless *seconds* may be the time of a call."""
    require_seconds("timeout", seconds)
    if seconds is not None:
        check_at_least("timeout", seconds, 0)
