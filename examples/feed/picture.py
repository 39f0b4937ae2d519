"""Draws the spans of ``client.py --trace FILE`` as an SVG: time runs to the right, depth down.

Traces that begin with a span of the same name share a band. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

WIDTH = 1120
LEFT, RIGHT = 184, 24
HEAD, ROW, BOX, GAP = 66, 20, 16, 20

#: Seconds between two lines of an axis.
STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60, 600, 3600, 86400)

#: Seconds around a close that are shown in detail.
BEFORE, AFTER = 0.002, 0.012

#: Of a character of the labels.
LETTER = 6.4

#: The least that a span is wide, however short it took.
SLIVER = 2.0

#: What begins so; and in the legend, in this order.
KINDS = (
    ("callback", "wscengine.callback."),
    ("engine", "wscengine."),
    ("adapter", "websocket."),
    ("own", ""),
)
LEGEND = (
    ("engine", "the engine"),
    ("callback", "its callbacks"),
    ("adapter", "its adapter"),
    ("own", "the program"),
    ("panel failed", "failed"),
)

STYLE = """
  .panel { fill: #ffffff; stroke: #d8dee4 }
  text { font: 11px system-ui, sans-serif; fill: #1f2328 }
  .faint { fill: #59636e } .grid { stroke: #d8dee4; stroke-width: 1 }
  .title { font-weight: 600; font-size: 13px }
  .engine { fill: #b6d4fe; stroke: #4a86d8 } .callback { fill: #b7ebc3; stroke: #2f9e52 }
  .adapter { fill: #fde0b0; stroke: #c98a1b } .own { fill: #e4ccff; stroke: #8a56c9 }
  .failed { stroke: #d1242f; stroke-width: 1.6 } .close { fill: #d1242f }
  text.close { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .panel { fill: #0d1117; stroke: #30363d }
    text { fill: #e6edf3 } .faint { fill: #9198a1 } .grid { stroke: #30363d }
    .engine { fill: #163b6b; stroke: #58a0f5 } .callback { fill: #12482a; stroke: #3fb968 }
    .adapter { fill: #573c0e; stroke: #d9a13b } .own { fill: #41266b; stroke: #b083f0 }
    .failed { stroke: #ff6a69 } .close { fill: #ff6a69 }
  }
"""


@dataclass
class Span:
    """A span; times in seconds."""

    id: str
    parent: str | None
    name: str
    start: float
    end: float
    failed: bool
    closes: list[tuple[float, str]]  # connections: when, and the code
    children: list[Span] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Its class in the style."""
        return next(kind for kind, prefix in KINDS if self.name.startswith(prefix))

    @property
    def label(self) -> str:
        """Its name, without what its colour says."""
        prefix = next(prefix for kind, prefix in KINDS if kind == self.kind)
        return self.name.removeprefix(prefix).removeprefix("background.")

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Span]]:
        """All spans from here, and how far they are below."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


@dataclass
class Band:
    """Traces that begin alike."""

    name: str
    roots: list[Span] = field(default_factory=list)


def seconds(text: str) -> float:
    """The time that a span's JSON has."""
    return datetime.fromisoformat(text).timestamp()


def closes(event: dict[str, Any]) -> Iterator[tuple[float, str]]:
    """When a connection was closed, and with which code, if that is what *event* tells."""
    if event["name"] == "wscengine.connection_closed":
        yield seconds(event["timestamp"]), str(event["attributes"]["wscengine.close_code"])


def read(lines: Iterable[str]) -> list[Span]:
    """The spans without a parent, in the order of their beginnings, with those below them."""
    spans = {}
    for line in lines:
        told: dict[str, Any] = json.loads(line)
        spans[told["context"]["span_id"]] = Span(
            told["context"]["span_id"],
            told["parent_id"],
            told["name"],
            seconds(told["start_time"]),
            seconds(told["end_time"]),
            told["status"]["status_code"] == "ERROR",
            [found for event in told["events"] for found in closes(event)],
        )
    ordered = sorted(spans.values(), key=lambda span: span.start)
    for span in ordered:
        if span.parent in spans:
            spans[span.parent].children.append(span)
    return [span for span in ordered if span.parent not in spans]


class Panel:
    """What of *roots* is between two times, below *top*."""

    def __init__(self, roots: list[Span], begin: float, end: float, top: int) -> None:
        self._begin, self._end = begin, end
        self._length = end - begin
        self._top = top
        bands: dict[str, Band] = {}
        for root in roots:
            if any(self._shows(span) for _, span in root.walk()):
                bands.setdefault(root.name, Band(root.name)).roots.append(root)
        self._bands = list(bands.values())
        self.bottom = top + HEAD + sum(self._rows(band) * ROW + GAP for band in self._bands)

    def draw(self, title: str) -> Iterator[str]:
        """Its elements."""
        yield f'<text class="title" x="16" y="{self._top + 16}">{title}</text>'
        yield from self._axis()
        top = self._top + HEAD
        for band in self._bands:
            yield from self._band(band, top)
            top += self._rows(band) * ROW + GAP

    def _shows(self, span: Span) -> bool:
        return span.end >= self._begin and span.start <= self._end

    def _shown(self, band: Band) -> Iterator[tuple[int, Span]]:
        for root in band.roots:
            yield from (each for each in root.walk() if self._shows(each[1]))

    def _rows(self, band: Band) -> int:
        return 1 + max(depth for depth, _ in self._shown(band))

    def _x(self, time: float) -> float:
        inside = min(max(time, self._begin), self._end)
        return LEFT + (inside - self._begin) / self._length * (WIDTH - LEFT - RIGHT)

    def _axis(self) -> Iterator[str]:
        step = next(each for each in STEPS if self._length / each < 12)
        for number in range(int(self._length / step) + 1):
            x = self._x(self._begin + number * step)
            top, bottom = self._top + HEAD, self.bottom - GAP + 6
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 22}" y2="{bottom}"/>'
            time = f"{number * step * 1000:g} ms" if step < 0.01 else f"{number * step:g} s"
            yield (
                f'<text class="faint" x="{x:.1f}" y="{top - 28}" text-anchor="middle">{time}</text>'
            )

    def _band(self, band: Band, top: int) -> Iterator[str]:
        yield f'<text x="16" y="{top + BOX - 4}" class="faint">{escape(band.name)}</text>'
        rows: dict[int, list[Span]] = {}
        for depth, span in self._shown(band):
            rows.setdefault(depth, []).append(span)
        for depth, spans in rows.items():
            spans.sort(key=lambda span: span.start)
            free = float(LEFT)  # from where on nothing is drawn yet
            nexts = [self._x(span.start) for span in spans[1:]] + [WIDTH - 8.0]
            for span, before in zip(spans, nexts, strict=True):
                drawn, free = self._span(span, top + depth * ROW, free, before)
                yield from drawn
        for _, span in self._shown(band):
            for time, code in span.closes:
                if self._begin <= time <= self._end:
                    yield from self._close(self._x(time), top, code)

    def _span(self, span: Span, y: float, free: float, before: float) -> tuple[list[str], float]:
        """A box, and where it ends; its label is in it, or beside it where there is room."""
        x = self._x(span.start)
        width = max(SLIVER, self._x(span.end) - x)
        failed = " failed" if span.failed else ""
        took = (span.end - span.start) * 1000
        drawn = [
            f'<rect class="{span.kind}{failed}" x="{x:.1f}" y="{y}" width="{width:.1f}" '
            f'height="{BOX}" rx="2"><title>{escape(span.name)}, {took:.2f} ms</title></rect>'
        ]
        needed = len(span.label) * LETTER + 8
        places = ((x + 5, needed < width), (x + width + 4, x + width + needed < before))
        for at, fits in (*places, (x + 4 - needed, free < x - needed)):
            if fits:
                drawn.append(f'<text x="{at:.1f}" y="{y + BOX - 4}">{escape(span.label)}</text>')
                return drawn, max(x + width, at + needed - 5)
        return drawn, x + width

    def _close(self, x: float, y: float, code: str) -> Iterator[str]:
        yield f'<path class="close" d="M{x - 4:.1f} {y - 6}h8l-4 6z"/>'
        yield f'<text class="close" x="{x:.1f}" y="{y - 9}" text-anchor="middle">{code}</text>'


def legend(y: int) -> Iterator[str]:
    """What the colours stand for."""
    x = LEFT
    for kind, words in LEGEND:
        yield f'<rect class="{kind}" x="{x}" y="{y}" width="14" height="12" rx="2"/>'
        yield f'<text class="faint" x="{x + 20}" y="{y + 10}">{words}</text>'
        x += 44 + round(len(words) * LETTER)
    yield f'<path class="close" d="M{x} {y + 3}h8l-4 6z"/>'
    yield f'<text class="faint" x="{x + 14}" y="{y + 10}">a connection closed, its code</text>'


def picture(roots: list[Span]) -> str:
    """An SVG of *roots*: all of them, and then the moment in which the first connection closed."""
    spans = [span for root in roots for _, span in root.walk()]
    begin, end = min(span.start for span in spans), max(span.end for span in spans)
    whole = Panel(roots, begin, end, 16)
    parts = [*whole.draw(f"{len(spans)} spans, {end - begin:.2f} s")]
    bottom = whole.bottom
    closed = sorted(time for span in spans for time, _ in span.closes)
    if closed:
        near = Panel(roots, closed[0] - BEFORE, closed[0] + AFTER, bottom + GAP)
        parts += near.draw(f"around the first close, at {closed[0] - begin:.2f} s")
        bottom = near.bottom
    height = bottom + 44
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img">',
            f"<title>{len(spans)} spans of a feed's client</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="panel" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
            *parts,
            *legend(bottom + 16),
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spans", type=Path, help="what client.py --trace wrote")
    parser.add_argument("svg", type=Path, help="the picture")
    given = parser.parse_args()
    with given.spans.open(encoding="utf-8") as file:
        given.svg.write_text(picture(read(file)), encoding="utf-8")
