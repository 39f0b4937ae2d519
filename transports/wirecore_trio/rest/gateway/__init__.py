"""A gateway: HTTP on its public side, and behind it publishers that have dialled in."""

from ._gateway import Gateway
from ._publishers import Tokens
from ._routes import Route

__all__ = ["Gateway", "Route", "Tokens"]
