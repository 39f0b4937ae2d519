"""What the provider of the tests has: copied into the folder that it runs in."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any

from wirecore.errors import RpcError
from wirecore_trio import pool

__all__ = ["ping", "same"]


@dataclass
class Item:
    """Something that is ordered."""

    item_name: str = ""
    count: int = 0
    price: float = 0.0


@dataclass
class Order:
    """Some of it, and perhaps a remark."""

    items: list[Item] = field(default_factory=list)
    remark: str | None = None


class Backend:
    """Answers, fails, and waits."""

    @pool.exported
    async def same(self, value: Any) -> Any:
        """Give back what came."""
        return value

    @pool.exported
    async def describe(self, order: Order) -> str:
        """Tell what came."""
        return repr(order)

    @pool.exported
    async def some_bytes(self) -> bytes:
        """Bytes that are no text."""
        return b"\xff\x00"

    @pool.exported
    async def refuse(self, text: str) -> str:
        """Refuse with what came."""
        raise RpcError(text)

    @pool.exported
    def hold(self, port: int) -> str:
        """Tell the test, at this port, that it is here; answer as it says."""
        with socket.create_connection(("127.0.0.1", port)) as gate:
            return gate.recv(1000).decode()


class Nobody:
    """Has no marked method."""


def ping(text: str) -> str:
    """A function of the module, which has an ``__all__``."""
    return f"pong {text}"


def same(value: Any) -> Any:
    """Give back what came."""
    return value
