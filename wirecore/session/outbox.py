"""What waits to be sent; see :class:`Outbox`, which comes from the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecore import _backend

if TYPE_CHECKING:
    from wirecore_py.outbox import Outbox
else:
    Outbox = _backend.default.outbox.Outbox

__all__ = ["Outbox"]
