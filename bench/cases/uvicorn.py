"""Echo through uvicorn and an ASGI application, with each WebSocket protocol that it can have.

The client is the same for all, and so is the application: what counts is the protocol's work on
asyncio and on uvloop.
"""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import COMPILED
from bench.harness.model import Contender, Goal, Load, Row

_CLIENT = "wirecore_websocket"
_OURS = "wirecore_asgi.uvicorn:WebSocketProtocol"
_PROTOCOLS = {
    "wirecore": _OURS,
    "websockets": "websockets",
    "websockets-sansio": "websockets-sansio",
    "wsproto": "wsproto",
}


def _contenders() -> tuple[Contender, ...]:
    return tuple(
        replace(
            Contender(f"{name} {loop}", _CLIENT, "uvicorn_asgi", {"ws": ws, "loop": loop}),
            environment=COMPILED,
        )
        for loop in ("asyncio", "uvloop")
        for name, ws in _PROTOCOLS.items()
    )


def rows() -> list[Row]:
    """The three rows."""
    contenders = _contenders()

    def row(variant: str, title: str, load: Load) -> Row:
        return Row(
            name=f"uvicorn/{variant}",
            title=f"uvicorn, WebSocket echo, {title}",
            unit="messages/s",
            load=load,
            contenders=contenders,
            goals=tuple(
                Goal(f"wirecore {loop}", f"{name} {loop}", 1.0, None)
                for loop in ("asyncio", "uvloop")
                for name in _PROTOCOLS
                if name != "wirecore"
            ),
        )

    return [
        row("1", "64 B, 1 in flight", Load(size=64, in_flight=1)),
        row("100", "64 B, 100 in flight", Load(size=64, in_flight=100)),
        row("64KiB", "64 KiB, 1 in flight", Load(size=64 * 1024, in_flight=1)),
    ]
