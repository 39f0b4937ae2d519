"""Stopping a pump's reader while what it read can't be taken, so that TCP slows the peer down."""

from __future__ import annotations

import trio

from ._pump import Pump


def pause(pump: Pump) -> None:
    """Have nobody read until :func:`read_on`. Idempotent."""
    if pump.paused is None and not pump.ended:
        pump.paused = trio.Event()


def read_on(pump: Pump) -> bool:
    """Have the reader go on; whether it was paused."""
    paused, pump.paused = pump.paused, None
    if paused is None:
        return False
    paused.set()
    return True
