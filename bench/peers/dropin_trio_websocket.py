"""trio-websocket as it is, or with our frames under its wsproto: option ``codec=wirecore``."""

from __future__ import annotations

from bench.peers import trio_websocket
from bench.peers.dropin_connection import install
from bench.peers.load import Outcome, Task

PACKAGE = trio_websocket.PACKAGE


def serve(task: Task) -> None:
    """An echo server."""
    install(task)
    trio_websocket.serve(task)


def drive(task: Task) -> Outcome:
    """Echoes over one connection."""
    install(task)
    return trio_websocket.drive(task)
