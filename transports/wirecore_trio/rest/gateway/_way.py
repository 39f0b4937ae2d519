"""Where a request goes, and as what: its route, its target, its fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._fields import Fields, forwarded
from ._refusals import Refusal
from ._routes import Route

if TYPE_CHECKING:
    from .._asgi_types import Scope
    from ._gateway import Gateway


@dataclass(frozen=True, slots=True)
class Way:
    """What a publisher of *route* is asked: for *target*, path and query, with *fields*."""

    route: Route
    target: str
    fields: Fields


def find_way(gateway: Gateway, scope: Scope) -> Way:
    """The way of the request of *scope*, an ASGI scope of HTTP or of a WebSocket.

    Raises Refusal where no route leads there.
    """
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    path: str = scope["path"]
    route = gateway.routes.find(_name_of_host(host.decode("latin-1")), path)
    if route is None:
        raise Refusal(404, "no route leads there")
    target = bytes(scope.get("raw_path") or path.encode())
    if route.strip and route.prefix is not None:
        target = target[len(route.prefix.encode()) :] or b"/"
    if scope["query_string"]:
        target += b"?" + bytes(scope["query_string"])
    fields = forwarded(
        scope["headers"],
        client=(scope.get("client") or (None,))[0],
        host=host,
        scheme=scope["scheme"],
        prefix=route.prefix if route.strip else None,
        trusted=gateway.trust_forwarded,
    )
    return Way(route, target.decode("latin-1"), fields)


def _name_of_host(host: str) -> str:
    """*host* without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
