"""What stores raise."""

from __future__ import annotations

from wirecore.errors import WirecoreError


class StoreError(WirecoreError):
    """A store of sessions couldn't do what was asked; nothing of a key stands in the text."""


class StoreUnavailable(StoreError):
    """The store, or what it keeps sessions in, can't be reached or used now: try again later.

    What was asked may have been done where an answer was lost.
    """


class StoreDamaged(StoreError):
    """What the store has isn't a session, or isn't what this version reads."""
