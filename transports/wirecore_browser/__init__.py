"""webwire's client for browsers: the JavaScript files, and how to serve them.

A page imports ``webwire.js``, which imports its neighbours: nothing is built or bundled. Serve
what :func:`files` gives under one path of your own, from ``before_upgrade`` of the webwire server
or from any other HTTP server (:func:`folder`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["MEDIA_TYPE", "files", "folder"]

#: Content-Type of the files: browsers refuse a module that has another one.
MEDIA_TYPE = "text/javascript; charset=utf-8"


def folder() -> Path:
    """Where the client is: ``webwire.js``, its parts, types, and ``package.json`` for npm."""
    return Path(__file__).parent


@cache
def _read() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder().glob("*.js"))}


def files() -> dict[str, bytes]:
    """The modules by name, ``webwire.js`` and those it imports; read once, a new dict each time."""
    return dict(_read())
