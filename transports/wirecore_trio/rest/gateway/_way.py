"""Where a request goes, and as what: its route, its target, its fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wirecore.protocols.rest.heads import MAX_FIELDS, http_scheme

from ._fields import Fields, forwarded
from ._refusals import Refusal
from ._routes import Route
from ._targets import asked, decoded, stripped

if TYPE_CHECKING:
    from .._asgi_types import Scope
    from ._gateway import Gateway


@dataclass(frozen=True, slots=True)
class Way:
    """What a publisher of *route* is asked: for *target*, path and query, with *fields*.

    *slashed*: where the links of a page are right, as its path is all of the prefix that is taken
    off, and has no slash at its end; a reference relative to it, None for any other path.
    """

    route: Route
    target: str
    fields: Fields
    slashed: bytes | None


def find_way(gateway: Gateway, scope: Scope) -> Way:
    """The way of the request of *scope*, an ASGI scope of HTTP or of a WebSocket.

    Raises Refusal where no route leads there, and where it can't be passed on.
    """
    host, target, headers = asked(scope)
    # What X-Forwarded-Proto calls a WebSocket's, too.
    scheme = http_scheme(scope["scheme"].encode("ascii")).decode("ascii")
    route = gateway.routes.find(_name_of_host(host.decode("latin-1")), decoded(target))
    if route is None:
        raise Refusal(404, "no route leads there")
    query = b"?" + bytes(scope["query_string"]) if scope["query_string"] else b""
    prefix = slashed = None
    if route.strip and route.prefix is not None:
        prefix, rest = stripped(target, route.prefix)
        if prefix == target:
            # Relative, as another gateway may take off more; RFC 3986 section 4.2 has the dot.
            slashed = b"./%b/%b" % (target.rpartition(b"/")[2], query)
        target = rest
    target += query
    fields = forwarded(
        headers,
        client=(scope.get("client") or (None,))[0],
        host=host,
        scheme=scheme,
        prefix=prefix,
        trusted=gateway.trust_forwarded,
        version=scope.get("http_version", "1.1"),
    )
    if len(fields) >= MAX_FIELDS:  # and a correlation id joins them
        raise Refusal(431, "there are too many header fields")
    return Way(route, target.decode("latin-1"), fields, slashed)


def _name_of_host(host: str) -> str:
    """*host* without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
