"""A callback-driven WebSocket client with a predictable lifecycle.

Behaves as github.com/gbdevw/gowse says that it does.
"""

from __future__ import annotations

from wirecore.protocols.engine import (
    AlreadyStarted,
    CloseDetails,
    EngineStartError,
    NotStarted,
    OpenTimeout,
    StopTimeout,
)

from .._errors import ConnectionClosed, NotConnected
from ._engine import Engine
from ._handler import Callbacks, CloseMessage, Handler
from ._options import Heartbeat, Options
from ._session import Session
from ._subscriptions import Subscription
from .adapters import Adapter, AlreadyConnected, Message, WirecoreAdapter

__all__ = [
    "Adapter",
    "AlreadyConnected",
    "AlreadyStarted",
    "Callbacks",
    "CloseDetails",
    "CloseMessage",
    "ConnectionClosed",
    "Engine",
    "EngineStartError",
    "Handler",
    "Heartbeat",
    "Message",
    "NotConnected",
    "NotStarted",
    "OpenTimeout",
    "Options",
    "Session",
    "StopTimeout",
    "Subscription",
    "WirecoreAdapter",
]
