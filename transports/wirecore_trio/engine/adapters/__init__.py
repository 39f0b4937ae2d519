"""The WebSocket libraries that an engine can stand on, behind one contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._contract import Adapter, AlreadyConnected, Message, ReceivesMany
from ._own import WirecoreAdapter

if TYPE_CHECKING:
    from ._websockets import WebsocketsAdapter

__all__ = [
    "Adapter",
    "AlreadyConnected",
    "Message",
    "ReceivesMany",
    "WebsocketsAdapter",
    "WirecoreAdapter",
]


def __getattr__(name: str) -> Any:
    if name == "WebsocketsAdapter":  # the library is an extra
        from ._websockets import WebsocketsAdapter

        return WebsocketsAdapter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
