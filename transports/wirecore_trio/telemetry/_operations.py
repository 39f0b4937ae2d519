"""One call or request that is seen: its span, and its duration in a histogram."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Final, TypeAlias

import trio
from opentelemetry import metrics, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.metrics import Histogram, MeterProvider
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider

from wirecore import __version__, errors

#: The semantic conventions that names and attributes are of.
SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"

#: Bounds in seconds that the conventions advise for durations.
BOUNDS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0
)  # fmt: skip

ERROR_TYPE: Final = "error.type"

Value: TypeAlias = str | int
Attributes: TypeAlias = Mapping[str, Value]

#: Errors whose texts are ours, of connections, times and bounds: they quote no payload.
_TELLING: Final = (errors.ConnectionLost, errors.CallTimeout, errors.LimitExceeded)

_OURS: Final = frozenset({"builtins", "wirecore", "wirecore_py", "wirecore_trio"})


def kind_of_error(error: BaseException) -> str:
    """``error.type`` of *error*: the name of its class, with its module where that isn't ours."""
    if isinstance(error, trio.Cancelled):
        return "cancelled"
    kind = type(error)
    if kind.__module__.partition(".")[0] in _OURS:
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


class Operation:
    """A call or a request under way. *context*: with its span, for what belongs to it."""

    __slots__ = ("_attributes", "_begun", "_histogram", "_span", "context", "is_settled")

    def __init__(
        self,
        span: trace.Span,
        context: Context,
        histogram: Histogram | None,
        attributes: dict[str, Value],
    ) -> None:
        self._span = span
        self._histogram = histogram
        self._attributes = attributes
        self._begun = perf_counter()
        self.context = context
        #: Whether it was told already how it ended.
        self.is_settled = False

    def rename(self, name: str) -> None:
        """Call the span *name*."""
        self._span.update_name(name)

    def tell(self, name: str, value: Value) -> None:
        """An attribute of the span and of the duration, so one with few values."""
        self._attributes[name] = value
        self._span.set_attribute(name, value)

    def unmeasured(self) -> None:
        """Its duration isn't one of the histogram's."""
        self._histogram = None

    def fail(self, kind: str, text: str | None = None) -> None:
        """It failed; *kind*: ``error.type``. Nothing where it is settled already."""
        if not self.is_settled:
            self.is_settled = True
            self.tell(ERROR_TYPE, kind)
            self._span.set_status(Status(StatusCode.ERROR, text))

    def failed(self, error: BaseException) -> None:
        """It ended with *error*."""
        # Other texts, such as a handler's, may say anything of what it was called with.
        self.fail(kind_of_error(error), str(error) if isinstance(error, _TELLING) else None)

    def end(self) -> None:
        """It is over. Once."""
        if self._histogram is not None:
            seconds = perf_counter() - self._begun
            self._histogram.record(seconds, self._attributes, context=self.context)
        self._span.end()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Its span is that of the task meanwhile."""
        token = attach(self.context)
        try:
            yield
        finally:
            detach(token)


class Side:
    """One side of a protocol, which makes calls or serves them."""

    def __init__(self, tracer: trace.Tracer, histogram: Histogram, kind: SpanKind) -> None:
        self._tracer = tracer
        self._histogram = histogram
        self._kind = kind

    def begin(
        self,
        name: str,
        attributes: Attributes,
        more: Attributes,
        context: Context | None = None,
    ) -> Operation:
        """An operation that begins now.

        *attributes*: of the span and the duration; *more*: of the span alone. *context*: what it
        belongs to; None: what the task does.
        """
        span = self._tracer.start_span(
            name, context, kind=self._kind, attributes={**attributes, **more}
        )
        inner = trace.set_span_in_context(span, context)
        return Operation(span, inner, self._histogram, dict(attributes))


class Providers:
    """Where spans and durations go."""

    def __init__(self, tracers: TracerProvider | None, meters: MeterProvider | None) -> None:
        self.tracers = tracers
        self._meters = meters

    def sides(self, scope: str, client: str, server: str, what: str) -> tuple[Side, Side]:
        """The side that calls, and the one that serves, of the protocol *scope*.

        *client*, *server*: the names of their histograms; *what*: what these measure.
        """
        name = f"wirecore_trio.{scope}"
        tracer = trace.get_tracer(
            name, __version__, tracer_provider=self.tracers, schema_url=SCHEMA
        )
        meter = metrics.get_meter(name, __version__, self._meters, schema_url=SCHEMA)
        calling, serving = (
            meter.create_histogram(
                metric,
                unit="s",
                description=f"How long {what} took, at the side that {does} them.",
                explicit_bucket_boundaries_advisory=BOUNDS,
            )
            for metric, does in ((client, "makes"), (server, "serves"))
        )
        return (
            Side(tracer, calling, SpanKind.CLIENT),
            Side(tracer, serving, SpanKind.SERVER),
        )
