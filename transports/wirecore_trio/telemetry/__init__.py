"""OpenTelemetry: spans and durations of calls and requests, of all protocols, by one call.

``instrument()`` has wsrpc, webwire, the pool and REST make spans and measure durations by
OpenTelemetry's semantic conventions for RPC and HTTP, and engines make their own spans. It needs
the extra ``otel``, which is OpenTelemetry's API alone; where the spans go is said by its SDK.

Without it nothing of OpenTelemetry is imported, and nothing is done for it: what is to be seen is
put around the methods of this package when it is asked for, and taken away by ``uninstrument()``.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

from wirecore.errors import LocalError

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from ._patches import Patches

__all__ = ["instrument", "is_instrumented", "uninstrument"]

_lock: Final = Lock()
#: What was put around our methods: none, or one.
_in_place: Final[list[Patches]] = []


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Have calls and requests be seen from now on: those of this process, of all protocols.

    *tracer_provider*, *meter_provider*: of OpenTelemetry; None: the global ones, whenever they are
    set. Engines that are made from now on, and were given no provider of their own, use it too.
    What a call belongs to goes with it to an end of ours: of wsrpc and webwire over connections
    that are made from now on. Called again, the providers of the last call count. Any thread may
    call it.

    Raises LocalError where OpenTelemetry isn't installed.
    """
    try:
        from ._instrumenting import instrumented
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "opentelemetry":
            raise
        raise LocalError(
            "telemetry needs OpenTelemetry, which isn't installed here: pip install "
            "'wirecore[otel]'"
        ) from None
    with _lock:
        _undo()
        _in_place.append(instrumented(tracer_provider, meter_provider))


def uninstrument() -> None:
    """Have nothing be seen any more, and every method be what it was. Idempotent.

    Calls that are under way are told of to their end.
    """
    with _lock:
        _undo()


def _undo() -> None:
    while _in_place:
        _in_place.pop().undo()


def is_instrumented() -> bool:
    """Whether calls and requests are seen now."""
    return bool(_in_place)
