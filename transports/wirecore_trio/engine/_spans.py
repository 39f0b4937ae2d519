"""The spans of an engine, by OpenTelemetry; without it, nothing.

Names, parents, attributes and events are those of the original.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import TracerProvider

#: The original's tracers.
ENGINE_TRACER: Final = ("wscengine", "0.0.0")
ADAPTER_TRACER: Final = ("gowsclient.wsadapters", "0.0.0")

Attributes = Mapping[str, str | int | bool]


class Span:
    """A span that nobody sees."""

    __slots__ = ()

    def event(self, name: str, **attributes: str | int) -> None:
        """Something happened; *attributes* are of the engine's."""

    def message(self, opcode: int, size: int) -> None:
        """A message was received; -1 and 0: none was."""

    def record(self, error: BaseException) -> None:
        """*error* came up, and the span goes on."""

    def failed(self, error: BaseException) -> None:
        """It came to nothing, because of *error*."""

    def interrupted(self) -> None:
        """It was given up, and nothing came of it that could be told."""

    def ok(self) -> None:
        """It came to a good end."""

    @property
    def context(self) -> Any:
        """What a span below it, in another task, has as its parent."""
        return None


_NOTHING: Final = Span()


class Spans:
    """Makes spans that nobody sees."""

    #: Whether anybody sees them.
    seen: bool = False

    def engine(
        self, name: str, attributes: Attributes | None = None, *, parent: Any = None
    ) -> AbstractContextManager[Span]:
        """A span of the engine's, which is the current one within.

        *parent*: a span's context; None: that of this task.
        """
        return _nothing()

    def root(self, name: str, attributes: Attributes) -> AbstractContextManager[Span]:
        """A span of the engine's that has no parent."""
        return _nothing()

    def adapter(
        self, name: str, attributes: Attributes | None = None
    ) -> AbstractContextManager[Span]:
        """A span of the adapter's."""
        return _nothing()

    def current(self) -> Any:
        """The context of this task."""
        return None


@contextmanager
def _nothing() -> Iterator[Span]:
    yield _NOTHING


class _Seen(Span):
    __slots__ = ("_span", "settled")

    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        #: Whether it was told already how it ended.
        self.settled = False

    def event(self, name: str, **attributes: str | int) -> None:
        told = {f"wscengine.{key}": value for key, value in attributes.items()}
        self._span.add_event(f"wscengine.{name}", told)

    def message(self, opcode: int, size: int) -> None:
        told = {"websocket.message.size": size, "websocket.message.opcode": opcode}
        self._span.add_event("websocket.message.received", told)

    def record(self, error: BaseException) -> None:
        self._span.record_exception(error)

    def failed(self, error: BaseException) -> None:
        from opentelemetry.trace import Status, StatusCode

        self.settled = True
        self._span.record_exception(error)
        self._span.set_status(Status(StatusCode.ERROR, "Error"))

    def interrupted(self) -> None:
        self.settled = True

    def ok(self) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_status(StatusCode.OK)

    @property
    def context(self) -> Context:
        from opentelemetry.trace import set_span_in_context

        return set_span_in_context(self._span)


class OtelSpans(Spans):
    """Makes spans with *provider*, the global one where that is None."""

    seen = True

    def __init__(self, provider: TracerProvider | None = None) -> None:
        from opentelemetry import trace

        self._engine = trace.get_tracer(*ENGINE_TRACER, tracer_provider=provider)
        self._adapter = trace.get_tracer(*ADAPTER_TRACER, tracer_provider=provider)

    @contextmanager
    def engine(
        self, name: str, attributes: Attributes | None = None, *, parent: Any = None
    ) -> Iterator[Span]:
        told = {f"wscengine.{key}": value for key, value in (attributes or {}).items()}
        with self._engine.start_as_current_span(
            f"wscengine.{name}",
            context=parent,
            attributes=told,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield _Seen(span)

    @contextmanager
    def root(self, name: str, attributes: Attributes) -> Iterator[Span]:
        from opentelemetry.context import Context

        with self.engine(name, attributes, parent=Context()) as span:
            yield span

    @contextmanager
    def adapter(self, name: str, attributes: Attributes | None = None) -> Iterator[Span]:
        from opentelemetry.trace import SpanKind

        with self._adapter.start_as_current_span(
            f"websocket.{name}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as found:
            span = _Seen(found)
            try:
                yield span
            except BaseException as error:
                if not span.settled:
                    span.failed(error)
                raise

    def current(self) -> Context:
        from opentelemetry.context import get_current

        return get_current()
