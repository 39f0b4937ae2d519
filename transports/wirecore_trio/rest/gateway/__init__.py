"""A gateway: HTTP on its public side, and behind it publishers that have dialled in."""

from ._counts import CountsState
from ._gateway import Gateway
from ._publishers import Tokens
from ._routes import Route
from ._state import GatewayState, PublisherState, RequestState

__all__ = [
    "CountsState",
    "Gateway",
    "GatewayState",
    "PublisherState",
    "RequestState",
    "Route",
    "Tokens",
]
