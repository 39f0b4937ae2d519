"""The spans of an engine, by OpenTelemetry. Imported where there are any."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import Token
from types import TracebackType
from typing import Any, Final

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import (
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    get_current_span,
    get_tracer,
    set_span_in_context,
)

from ._spans import Attributes, Span, Spans

#: The original's tracers.
ENGINE_TRACER: Final = ("wscengine", "0.0.0")
ADAPTER_TRACER: Final = ("gowsclient.wsadapters", "0.0.0")


class _Seen(Span):
    """The current span within its ``with``. *own_failure*: what leaves that is its failure."""

    __slots__ = ("_own_failure", "_settled", "_span", "_token")

    def __init__(self, span: OtelSpan, *, own_failure: bool) -> None:
        self._span = span
        self._own_failure = own_failure
        self._settled = False  # it was told already how it ended
        self._token: Token[Context]

    def __enter__(self) -> _Seen:
        self._token = attach(set_span_in_context(self._span))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._own_failure and error is not None and not self._settled:
            self.failed(error)
        detach(self._token)
        self._span.end()

    def event(self, name: str, **attributes: str | int) -> None:
        told = {f"wscengine.{key}": value for key, value in attributes.items()}
        self._span.add_event(f"wscengine.{name}", told)

    def message(self, opcode: int, size: int) -> None:
        told = {"websocket.message.size": size, "websocket.message.opcode": opcode}
        self._span.add_event("websocket.message.received", told)

    def record(self, error: BaseException) -> None:
        self._span.record_exception(error)

    def failed(self, error: BaseException) -> None:
        self._settled = True
        self._span.record_exception(error)
        self._span.set_status(Status(StatusCode.ERROR, "Error"))

    def interrupted(self) -> None:
        self._settled = True

    def ok(self) -> None:
        self._span.set_status(StatusCode.OK)

    @property
    def context(self) -> Context:
        return set_span_in_context(self._span)


class _LeftOut(Span):
    """Nothing of its own below a span that isn't sampled: what is below it is below that."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context | None) -> None:
        self._context = context
        self._token: Token[Context] | None = None

    def __enter__(self) -> _LeftOut:
        if self._context is not None:
            self._token = attach(self._context)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            detach(self._token)

    @property
    def context(self) -> Context:
        return get_current() if self._context is None else self._context


class OtelSpans(Spans):
    """Makes spans with *provider*, the global one where that is None."""

    seen = True

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._engine = get_tracer(*ENGINE_TRACER, tracer_provider=provider)
        self._adapter = get_tracer(*ADAPTER_TRACER, tracer_provider=provider)

    def engine(
        self, name: str, attributes: Attributes | None = None, *, parent: Any = None
    ) -> AbstractContextManager[Span]:
        if _is_left_out(parent):
            return _LeftOut(parent)
        told = {f"wscengine.{key}": value for key, value in (attributes or {}).items()}
        span = self._engine.start_span(f"wscengine.{name}", parent, attributes=told)
        return _Seen(span, own_failure=False)

    def root(self, name: str, attributes: Attributes) -> AbstractContextManager[Span]:
        return self.engine(name, attributes, parent=_NO_PARENT)

    def adapter(
        self, name: str, attributes: Attributes | None = None
    ) -> AbstractContextManager[Span]:
        if _is_left_out(None):
            return _LeftOut(None)
        span = self._adapter.start_span(
            f"websocket.{name}", kind=SpanKind.CLIENT, attributes=attributes
        )
        return _Seen(span, own_failure=True)

    def current(self) -> Context:
        return get_current()


_NO_PARENT: Final = Context()


def _is_left_out(parent: Context | None) -> bool:
    """Whether a span below *parent*, None: the current one, is none that is sampled.

    Samplers decide by the parent, or by the trace, if they are the SDK's. A parent of another
    process is left to them.
    """
    span = get_current_span(parent)
    if span.is_recording():
        return False
    told = span.get_span_context()
    return told.is_valid and not told.is_remote and not told.trace_flags.sampled
