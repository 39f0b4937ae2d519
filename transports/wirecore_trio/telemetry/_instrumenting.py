"""What ``instrument`` does, for each protocol."""

from __future__ import annotations

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from . import _carrying, _engine, _pool, _rest, _webwire, _wsrpc
from ._operations import Providers
from ._patches import Patches


def instrumented(tracers: TracerProvider | None, meters: MeterProvider | None) -> Patches:
    """Put spans around everything; what takes them away again. Raises nothing halfway."""
    providers = Providers(tracers, meters)
    patches = Patches()
    try:
        for protocol in (_wsrpc, _webwire, _pool, _rest, _engine):
            protocol.instrument(patches, providers)
        _carrying.instrument(patches)
    except BaseException:
        patches.undo()
        raise
    return patches
