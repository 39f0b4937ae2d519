"""webwire's client for browsers: one JavaScript module, its types, and where they are.

A page imports ``webwire.js``, which imports nothing and needs no build. Serve what :func:`module`
gives at a path of your own, from ``before_upgrade`` of the webwire server or from any other HTTP
server (:func:`folder`), or copy it to where your pages are.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["MEDIA_TYPE", "folder", "module", "types"]

#: Content-Type of the module: browsers refuse one that has another.
MEDIA_TYPE = "text/javascript; charset=utf-8"


def folder() -> Path:
    """Where the client is: ``webwire.js``, ``webwire.d.ts``, and ``package.json`` for npm."""
    return Path(__file__).parent


@cache
def module() -> bytes:
    """The client, ``webwire.js``, in UTF-8; read from the disk once."""
    return (folder() / "webwire.js").read_bytes()


@cache
def types() -> bytes:
    """Its types for TypeScript and for editors, ``webwire.d.ts``, in UTF-8; read once."""
    return (folder() / "webwire.d.ts").read_bytes()
