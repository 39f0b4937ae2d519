"""What OpenTelemetry's SDK got: spans and durations, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind

from wirecore_trio.telemetry import instrument


class Seen:
    """Everything that is seen while it is there."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader])
        instrument(tracer_provider=self.tracers, meter_provider=self.meters)

    @property
    def spans(self) -> list[ReadableSpan]:
        """All that have ended, in that order."""
        return list(self._exporter.get_finished_spans())

    def of(self, kind: SpanKind) -> list[ReadableSpan]:
        """The spans of one kind."""
        return [span for span in self.spans if span.kind is kind]

    def client(self) -> ReadableSpan:
        """The only span of who calls."""
        [span] = self.of(SpanKind.CLIENT)
        return span

    def server(self) -> ReadableSpan:
        """The only span of who serves."""
        [span] = self.of(SpanKind.SERVER)
        return span

    def forget(self) -> None:
        """Begin anew with spans."""
        self._exporter.clear()

    def durations(self, name: str) -> dict[tuple[tuple[str, Any], ...], tuple[int, float]]:
        """How many, and how long together, of each set of attributes that the histogram has."""
        return {
            tuple(sorted(point.attributes.items())): (point.count, point.sum)
            for point in self._points(name)
        }

    def bounds(self, name: str) -> tuple[float, ...]:
        """The bounds of the histogram's buckets."""
        return tuple(next(self._points(name)).explicit_bounds)

    def _points(self, name: str) -> Iterator[Any]:
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():  # None: nothing was measured
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        assert metric.unit == "s"
                        yield from metric.data.data_points


def told(span: ReadableSpan) -> dict[str, Any]:
    """The attributes of *span*."""
    return dict(span.attributes or {})


def parent_of(span: ReadableSpan) -> int | None:
    """The id of its parent."""
    return None if span.parent is None else span.parent.span_id


def context_of(span: ReadableSpan) -> SpanContext:
    """What tells *span* from all others."""
    found: SpanContext | None = span.context
    assert found is not None
    return found


def id_of(span: ReadableSpan) -> int:
    """Its id."""
    found: int = context_of(span).span_id
    return found
