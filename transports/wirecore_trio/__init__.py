"""wirecore on trio: ``wirecore_trio.websocket``, ``wirecore_trio.wsrpc``, ``wirecore_trio.tls``.

Each is imported by its own name, so that nobody loads what they don't use; so are the names below,
when they are first asked for (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecore._late import late_names

if TYPE_CHECKING:
    from ._signals import Drainable, drain_on_signal

__all__ = ["Drainable", "drain_on_signal"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = late_names(__name__, {"_signals": ["Drainable", "drain_on_signal"]})
