"""Which publisher gets a request: by its Host, by the beginning of its path, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wirecore.errors import InvalidOption

from ..._arguments import require_type

_ANY: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Requests that are alike go to publishers of one name.

    *name*: what the publishers call themselves, see :func:`name_of`; or *metadata*: just what they
    said of themselves. *host*: the Host of the requests, without its port, in any case; one that
    begins with ``*.`` stands for all names below it; None: any. *prefix*: the path that theirs
    begins with, as ``/api``, which is no part of ``/apis``; None: any. *strip*: whether the
    publisher gets the path without it; it learns of it in ``X-Forwarded-Prefix``.

    Raises InvalidOption for what makes no sense, TypeError for arguments of other types.
    """

    name: str | None = None
    metadata: Any = _ANY
    host: str | None = None
    prefix: str | None = None
    strip: bool = False

    def __post_init__(self) -> None:
        for option in ("name", "host", "prefix"):
            require_type(option, getattr(self, option), str, optional=True)
        if (self.name is None) == (self.metadata is _ANY):
            raise InvalidOption("a route has a name or metadata, and not both")
        if self.name is not None:
            check_name("name", self.name)
        if self.prefix is not None and (
            not self.prefix.startswith("/") or self.prefix.endswith("/")
        ):
            raise InvalidOption("prefix begins with a slash, and doesn't end with one")
        if self.strip and self.prefix is None:
            raise InvalidOption("strip takes a prefix off, and there is none")

    def wants(self, metadata: Any) -> bool:
        """Whether a publisher with this *metadata* is one for it."""
        if self.name is not None:
            return name_of(metadata) == self.name
        return type(metadata) is type(self.metadata) and bool(metadata == self.metadata)

    def fits(self, host: str, path: str) -> bool:
        """Whether it is the route of such a request."""
        return self._fits_host(host) and self._fits_path(path)

    def _fits_host(self, host: str) -> bool:
        if self.host is None:
            return True
        wanted, host = self.host.lower(), host.lower()
        if wanted.startswith("*."):
            return host.endswith(wanted[1:]) and len(host) > len(wanted) - 1
        return host == wanted

    def _fits_path(self, path: str) -> bool:
        prefix = self.prefix
        return prefix is None or path == prefix or path.startswith(f"{prefix}/")

    @property
    def weight(self) -> tuple[int, int, int]:
        """How much it says: of two that fit, the one that says more counts."""
        host = self.host or ""
        return (len(self.prefix or ""), int(bool(host) and not host.startswith("*.")), len(host))


def name_of(metadata: Any) -> str | None:
    """What a publisher calls itself: its metadata, where that is a text, or its member "name"."""
    if isinstance(metadata, dict):
        metadata = metadata.get("name")
    return metadata if isinstance(metadata, str) else None


def check_name(option: str, name: str) -> None:
    """Raise InvalidOption unless *name*, of *option*, is one that a path can begin with."""
    problem = _problem_of(name)
    if problem:
        raise InvalidOption(f"{option}: {problem}")


def _problem_of(name: str) -> str:
    """Why no path leads to *name*; "" where one does."""
    if not name:
        return "a name isn't empty"
    if "/" in name:
        return f"a name is one part of a path, without a slash, and not {name!r:.100}"
    if name in (".", ".."):
        # RFC 3986 section 5.2.4: callers take them out of a path.
        return f"a name is none that stands for another part of a path, as {name!r} does"
    if not name.isprintable():
        return f"a name has characters that can be seen, and none such as in {name!r:.100}"
    return ""


class Routes:
    """The routes of a gateway, the most telling first.

    None: the first part of a path is the name, and is taken off.
    """

    def __init__(self, routes: Sequence[Route] | None) -> None:
        for route in routes or ():
            require_type("a route", route, Route)
        self._routes = (
            None if routes is None else sorted(routes, key=lambda route: route.weight, reverse=True)
        )

    @property
    def names(self) -> list[str]:
        """The names that they lead to."""
        return [route.name for route in self._routes or () if route.name is not None]

    def find(self, host: str, path: str) -> Route | None:
        """The route of a request; None: it has none."""
        if self._routes is None:
            name = path.split("/", 2)[1] if path.startswith("/") else ""
            try:
                return Route(name=name, prefix=f"/{name}", strip=True)
            except InvalidOption:
                return None  # nobody can have that name
        for route in self._routes:
            if route.fits(host, path):
                return route
        return None
