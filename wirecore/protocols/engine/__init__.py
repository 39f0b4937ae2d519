"""The lifecycle of a callback-driven WebSocket client, without I/O.

Behaves as github.com/gbdevw/gowse says that it does.
"""

from __future__ import annotations

from wirecore.protocols.engine.errors import (
    AlreadyStarted,
    Ended,
    EngineStartError,
    NotStarted,
    OpenTimeout,
    StopTimeout,
)
from wirecore.protocols.engine.lifecycle import TABLE, CloseDetails, Input, Lifecycle, Next, State
from wirecore.protocols.engine.retries import Retries

__all__ = [
    "TABLE",
    "AlreadyStarted",
    "CloseDetails",
    "Ended",
    "EngineStartError",
    "Input",
    "Lifecycle",
    "Next",
    "NotStarted",
    "OpenTimeout",
    "Retries",
    "State",
    "StopTimeout",
]
