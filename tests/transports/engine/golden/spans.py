"""Span trees, recorded and ours, in one notation: what ``differences`` and failures show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from tests.transports.engine.golden.recorded import UNIT, Scenario, close_text, error_text

#: Of each tracer, the kind of its spans.
_KINDS: Final = {
    "wscengine 0.0.0": "internal",
    "gowsclient.wsadapters 0.0.0": "client",
    "user ": "internal",
}

_URL: Final = "ws://HOST:PORT/"


@dataclass(slots=True)
class Node:
    """A span: *text* is its name, status, attributes and events. Times are in units."""

    start: float
    end: float | None
    text: str
    children: list[Node] = field(default_factory=list)

    def lines(self, indent: int = 0) -> Iterator[str]:
        """It, and those below it."""
        end = "..." if self.end is None else f"{self.end:.1f}"
        yield f"{'  ' * indent}{self.start:.1f}-{end} {self.text}"
        for child in self.children:
            yield from child.lines(indent + 1)


def shown(nodes: Iterable[Node]) -> list[str]:
    """A forest, a line for each span."""
    return [line for node in nodes for line in node.lines()]


def parsed(lines: Iterable[str]) -> list[Node]:
    """A forest from its lines."""
    roots: list[Node] = []
    path: list[Node] = []
    for line in lines:
        depth = (len(line) - len(line.lstrip())) // 2
        times, _, text = line.strip().partition(" ")
        start, _, end = times.partition("-")
        node = Node(float(start), None if end == "..." else float(end), text)
        del path[depth:]
        (path[-1].children if path else roots).append(node)
        path.append(node)
    return roots


# --- what was recorded ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Span:
    """What both have in common."""

    id: Any
    parent: Any
    name: str
    kind: str
    scope: str
    status: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    start: float
    end: float | None


def recorded_tree(scenario: Scenario) -> list[Node]:
    """What was recorded, as ours would show it.

    Two things of the original's are left out, see docs/engine-differences.md: a span
    ``background.run`` for a worker that came to read, and was told to leave before it did; and
    that such a span lasts as long as its worker.
    """
    spans = [
        _Span(
            each["id"],
            each["parent"],
            each["name"],
            each["kind"],
            each["scope"],
            each["status"],
            each["attributes"],
            [(event["name"], event.get("attributes") or {}) for event in each["events"]],
            each["start"],
            each["end"],
        )
        for each in scenario.spans
    ]
    for each in scenario.spans:
        if each["status"] == "Error":
            assert each["status_description"] == "Error"
    below: dict[Any, list[_Span]] = {}
    for span in spans:
        below.setdefault(span.parent, []).append(span)
    kept = []
    for span in spans:
        if span.name == "wscengine.background.run":
            inner = below.get(span.id, [])
            if not inner:
                continue
            calls = [one for one in inner if not one.name.endswith("shutdown")]
            ends = [one.end for one in calls]
            span.end = None if None in ends else max((end for end in ends if end), default=span.end)
            if span.end is not None:
                span.status = "Ok"  # unlike where it was cut off
        kept.append(span)
    return _tree(kept, workers=scenario.workers)


class Collected(SpanProcessor):
    """Keeps all spans, ended or not."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.spans.append(span)

    def tree(self, begun: float, url: str, *, workers: int) -> list[Node]:
        """They, now; times since *begun*, in units, *url* as in what was recorded."""
        return _tree((_of_sdk(span, begun, url) for span in self.spans), workers=workers)


def _of_sdk(span: ReadableSpan, begun: float, url: str) -> _Span:
    scope = span.instrumentation_scope
    assert scope is not None
    assert span.context is not None
    if span.status.status_code.name == "ERROR":
        assert span.status.description == "Error"
    events = [(event.name, dict(event.attributes or {})) for event in span.events]
    attributes = {
        key: _URL if (key, value) == ("url.full", url) else value
        for key, value in (span.attributes or {}).items()
    }
    return _Span(
        span.context.span_id,
        None if span.parent is None else span.parent.span_id,
        span.name,
        span.kind.name.lower(),
        f"{scope.name} {scope.version or ''}",
        span.status.status_code.name.title(),
        attributes,
        events,
        _units(span.start_time, begun),
        None if span.end_time is None else _units(span.end_time, begun),
    )


def _units(nanoseconds: int | None, begun: float) -> float:
    assert nanoseconds is not None
    return (nanoseconds / 1e9 - begun) / UNIT


# --- the notation ---------------------------------------------------------------------------------


def _tree(spans: Iterable[_Span], *, workers: int) -> list[Node]:
    roots: list[Node] = []
    nodes: dict[Any, Node] = {}
    names = _Names(workers)
    for span in spans:
        scope = span.scope if span.scope in _KINDS else "user "
        assert span.kind == _KINDS[scope], span
        assert span.name.startswith(
            {"w": ("wscengine.",), "g": ("websocket.",)}.get(scope[0], "user.")
        )
        node = nodes[span.id] = Node(span.start, span.end, names.text(span))
        (roots if span.parent is None else nodes[span.parent].children).append(node)
    return roots


class _Names:
    """Sessions and workers get names in the order in which they are seen in."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._seen: dict[str, list[str]] = {"session_id": [], "worker_id": []}

    def text(self, span: _Span) -> str:
        """All of a span but its times and its place."""
        name = span.name.removeprefix("wscengine.")
        parts = [name, span.status, *self._attributes(span.attributes)]
        read = [event for event in span.events if event[0] == "exception"]
        for event, attributes in span.events:
            if event.endswith("worker_exit") and not read:
                continue
            parts.append(f"<{self._event(event, attributes)}>")
        return " ".join(parts)

    def _attributes(self, attributes: dict[str, Any]) -> list[str]:
        told = {_short(key): value for key, value in sorted(attributes.items())}
        for key, seen in self._seen.items():
            if key in told:
                if told[key] not in seen:
                    seen.append(told[key])
                told[key] = f"{key.removesuffix('_id')}-{seen.index(told[key]) + 1}"
        if self._workers > 1:
            told.pop("worker_id", None)  # which one reads is nobody's to say
        return [f"{key}={value}" for key, value in told.items()]

    def _event(self, name: str, attributes: dict[str, Any]) -> str:
        if name == "exception":
            text = str(attributes["exception.message"]).replace("context canceled", "cancelled")
            told = error_text(text)
            return f"exception: {told}" if told.startswith("websocket engine") else name
        if name.endswith("connection_closed"):
            code = attributes["wscengine.close_code"]
            return f"connection_closed {close_text(code, attributes['wscengine.close_reason'])}"
        return " ".join([_short(name), *self._attributes(attributes)])


def _short(key: str) -> str:
    return re.sub(r"^(wscengine|websocket|websocket\.message|websocket\.close)\.", "", key)
