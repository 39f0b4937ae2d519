"""How many requests a gateway has under way at once, in all and from one caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address

from wirecore.session.limits import check_at_least

from ..._arguments import require_int
from ._refusals import Refusal


def check_limit(name: str, limit: int | None) -> None:
    """Raise TypeError or InvalidOption unless *limit*, the option *name*, is 1 or more, or None."""
    if limit is not None:
        require_int(name, limit)
        check_at_least(name, limit, 1)


class Limits:
    """Bounds on requests under way, WebSockets among them; None: any number.

    *max_requests*: in all. *max_requests_per_caller*: from one address; those of one /64 of IPv6
    count as one, as whoever has one of these has all. Raises TypeError, InvalidOption.
    """

    def __init__(self, max_requests: int | None, max_requests_per_caller: int | None) -> None:
        check_limit("max_requests", max_requests)
        check_limit("max_requests_per_caller", max_requests_per_caller)
        self._most = max_requests
        self._most_per_caller = max_requests_per_caller
        self._under_way = 0
        self._callers: dict[str, int] = {}

    @contextmanager
    def admitted(self, caller: str) -> Iterator[None]:
        """Within it, a request of the address *caller* is under way.

        Raises Refusal where there are as many as there may be.
        """
        if self._most is not None and self._under_way >= self._most:
            raise Refusal(503, "the gateway has as many requests as it takes")
        if self._most_per_caller is None:
            self._under_way += 1
            try:
                yield
            finally:
                self._under_way -= 1
            return
        caller = _holder(caller)
        count = self._callers.get(caller, 0)
        if count >= self._most_per_caller:
            raise Refusal(429, "this address has as many requests under way as it may")
        self._under_way += 1
        self._callers[caller] = count + 1
        try:
            yield
        finally:
            self._under_way -= 1
            left = self._callers[caller] - 1
            if left:
                self._callers[caller] = left
            else:
                del self._callers[caller]


def _holder(address: str) -> str:
    """Whom *address* counts for."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{int(found) >> 64:x}::/64"
