"""Engines that were given no provider use this one."""

from __future__ import annotations

from typing import Any

from ..engine import _engine
from ._operations import Providers
from ._patches import Patches


def instrument(patches: Patches, providers: Providers) -> None:
    """Have engines that are made from now on make their spans."""
    patches.replace(_engine, "_spans", _choosing, providers)


def _choosing(original: Any, providers: Providers) -> Any:
    def spans(provider: Any) -> Any:
        if provider is None:
            provider = True if providers.tracers is None else providers.tracers
        return original(provider)

    return spans
