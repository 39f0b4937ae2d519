"""Routes of a gateway, as the command line has them: ``[HOST][/PREFIX]=NAME``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from wirecore.errors import InvalidOption
from wirecore_trio.rest.gateway import Route

from ..failures import Failure, Status


def read_routes(kept: Sequence[str], stripped: Sequence[str]) -> list[Route] | None:
    """The routes of ``--route`` and of ``--strip-route``; None where there are none.

    Raises Failure, and InvalidOption.
    """
    routes = [_route(each, "--route", strip=False) for each in kept]
    routes += [_route(each, "--strip-route", strip=True) for each in stripped]
    return routes or None


def _route(given: str, option: str, *, strip: bool) -> Route:
    where, equals, name = given.partition("=")
    if not (equals and where and name):
        raise Failure(
            f"{option}: a route is [HOST][/PREFIX]=NAME, as example.org/api=shop, not {given!r}",
            Status.USAGE,
        )
    host, slash, rest = where.partition("/")
    prefix = f"/{rest}".rstrip("/") if slash else ""
    try:
        if name.startswith("{"):
            return Route(
                metadata=json.loads(name), host=host or None, prefix=prefix or None, strip=strip
            )
        return Route(name=name, host=host or None, prefix=prefix or None, strip=strip)
    except (InvalidOption, ValueError) as error:
        raise Failure(f"{option} {given}: {error}", Status.USAGE) from None
