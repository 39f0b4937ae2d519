"""Paths as Go's ServeMux has them: the ones that are bound, and which of them is a request's."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from typing import Final, Generic, TypeVar
from urllib.parse import quote

from wirecore import errors

from .._arguments import require_type

T = TypeVar("T")

_ENCODED: Final = re.compile("%([0-9A-Fa-f]{2})")

_UNRESERVED: Final = frozenset(string.ascii_letters + string.digits + "-._~")

#: What stands in a path as it is, RFC 3986 3.3, and what is encoded already.
_SAFE: Final = "/%:@!$&'()*+,;="


def check_path(path: str) -> None:
    """Raise TypeError or InvalidOption for what no request can name."""
    require_type("path", path, str)
    if not path.startswith("/"):
        raise errors.InvalidOption(f"a path begins with /, which {path!r} doesn't")
    if not path.isascii() or any(mark <= " " or mark in "?#\x7f" for mark in path):
        raise errors.InvalidOption(
            f"a path is printable ASCII without ? and #, which {path!r} isn't: quote what else "
            "is in it, as %20"
        )


class Paths(Generic[T]):
    """What is bound to which path: ``/x/`` is all below it, ``/x`` itself alone, ``/`` the rest."""

    def __init__(self) -> None:
        self._bound: dict[str, T] = {}

    def __iter__(self) -> Iterator[T]:
        """What is bound, in order of binding."""
        return iter(self._bound.values())

    def add(self, path: str, bound: T) -> None:
        """Bind *path*. Raises InvalidOption where it is bound already, or none; TypeError."""
        check_path(path)
        if path in self._bound:
            raise errors.InvalidOption(
                f"the path {path!r} is bound already, and a path goes one way: give another one"
            )
        self._bound[path] = bound

    def bound_at(self, path: str) -> T | None:
        """What is bound to just *path*."""
        return self._bound.get(path)

    def find(self, path: str) -> T | None:
        """What is bound to *path*, by the longest of the paths that fit; None: nothing."""
        path = _plain(path)
        found = self._bound.get(path)
        if found is not None:
            return found
        above = [each for each in self._bound if each.endswith("/") and path.startswith(each)]
        return self._bound[max(above, key=len)] if above else None

    def redirect(self, path: str, query: str = "") -> str | None:
        """Where a request for *path* is sent instead, as the mux does; None: nowhere.

        ``/x`` to ``/x/`` where only that is bound, and what has ``//`` or dots to what it means.
        """
        path = _plain(path)
        clean = _clean(path)
        below = f"{clean}/"
        if clean not in self._bound and below in self._bound:
            clean = below
        if clean == path:
            return None
        # What a browser would take for a slash is none, or it would lead to another host.
        place = quote(clean, safe=_SAFE)
        return f"{place}?{query}" if query else place


def _plain(path: str) -> str:
    """*path* without needless percent signs: of what may stand there itself, RFC 3986 6.2.2.2."""
    return _ENCODED.sub(_decoded, path) if "%" in path else path


def _decoded(found: re.Match[str]) -> str:
    mark = chr(int(found[1], 16))
    return mark if mark in _UNRESERVED else found[0]


def _clean(path: str) -> str:
    """*path* without empty parts and dots."""
    if "//" not in path and "/." not in path:
        return path
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    end = "/" if parts and path.endswith(("/", "/.", "/..")) else ""
    return "/" + "/".join(parts) + end
