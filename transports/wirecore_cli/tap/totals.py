"""What is said at the end: how much went over the wire, and how long answers took."""

from __future__ import annotations

from typing import Any

from wirecore.session.latency import Histogram

from .records import OTHER, Record, Sender, Told
from .showing import size_of


class Totals:
    """Counts all connections together."""

    def __init__(self) -> None:
        self.connections = 0
        self.ended = 0
        self.problems = 0
        self.bytes: dict[Sender, int] = dict.fromkeys(OTHER, 0)
        self.frames: dict[Sender, int] = dict.fromkeys(OTHER, 0)
        self._latency: dict[str, Histogram] = {}

    def count(self, record: Record) -> None:
        """A record was made."""
        told = record.told
        if told.kind == "problem":
            self.problems += 1
        if told.took is not None:
            self._latency.setdefault(record.protocol, Histogram()).record((told.took,))

    def end(self, sent: dict[Sender, int], frames: dict[Sender, int]) -> None:
        """A connection ended, over which so many bytes and frames went."""
        self.ended += 1
        for sender in OTHER:
            self.bytes[sender] += sent[sender]
            self.frames[sender] += frames[sender]

    def told(self, seconds: float) -> Told:
        """All of it, *seconds* after the start."""
        fields: dict[str, Any] = {
            "connections": self.connections,
            "problems": self.problems,
            "frames": self.frames,
            "bytes": self.bytes,
            "answers": {},
        }
        about = [_counted(self.connections, "connection"), f"{seconds:.1f} s"]
        for sender in OTHER:
            frames = _counted(self.frames[sender], "frame")
            about.append(f"{sender} {frames}, {size_of(self.bytes[sender])}")
        if self.problems:
            about.append(_counted(self.problems, "problem"))
        for protocol, histogram in self._latency.items():
            p50, p99 = (round(each * 1000, 3) for each in histogram.percentiles((0.5, 0.99)))
            fields["answers"][protocol] = {
                "count": histogram.count,
                "p50_milliseconds": p50,
                "p99_milliseconds": p99,
            }
            answers = _counted(histogram.count, "answer")
            about.append(f"{protocol} {answers}, p50 {p50:.2f} ms, p99 {p99:.2f} ms")
        return Told("summary", "  ".join(about), None, fields)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
