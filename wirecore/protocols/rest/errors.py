"""Errors of exchanges."""

from __future__ import annotations

from wirecore.errors import RemoteError


class Aborted(RemoteError):
    """The peer gave an exchange up before it was through; the connection goes on."""
