"""Pending calls by their ids; see :class:`CallTable`, which comes from the backend.

Apart from :mod:`wirecore.session.calls`, as a bare WebSocket needs no such module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecore import _backend

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable
else:
    CallTable = _backend.default.calls.CallTable

__all__ = ["CallTable"]
