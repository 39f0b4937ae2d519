"""The adapters of the engine, for tests that each must pass."""

from __future__ import annotations

from typing import Any

import pytest

from wirecore_trio.engine.adapters import WirecoreAdapter


def adapters() -> list[Any]:
    """Those that there are, where the other library is installed."""
    made: list[Any] = [pytest.param(WirecoreAdapter, id="wirecore")]
    try:
        from wirecore_trio.engine.adapters import WebsocketsAdapter
    except ImportError:
        return made
    return [*made, pytest.param(WebsocketsAdapter, id="websockets")]
