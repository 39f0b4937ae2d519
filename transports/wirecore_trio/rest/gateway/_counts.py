"""What became of requests, in counts: of one name, or of one publisher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from wirecore.session.latency import Latency, LatencySnapshot

if TYPE_CHECKING:
    from ._traffic import Record

#: The status of a request whose caller had gone before it was answered.
GONE: Final = 499


@dataclass(frozen=True, slots=True)
class CountsState:
    """Requests that are through.

    *statuses*: how many of each class, as "2xx"; "gone" are those whose callers had gone before.
    *failed*: those that went wrong here or at a publisher: 5xx, and those that broke off.
    *received*, *sent*: bytes of their bodies, from callers and to them. *in_flight*: how many are
    under way. *latency*, *recent*: seconds until they were answered, up to the head of the
    response, since the start and in the last minute.
    """

    requests: int
    statuses: Mapping[str, int]
    failed: int
    received: int
    sent: int
    in_flight: int
    latency: LatencySnapshot
    recent: LatencySnapshot


class Counts:
    """Counts requests as they end."""

    __slots__ = ("failed", "latency", "received", "requests", "sent", "statuses")

    def __init__(self) -> None:
        self.requests = 0
        self.statuses: dict[str, int] = {}
        self.failed = 0
        self.received = 0
        self.sent = 0
        self.latency = Latency()

    def count(self, record: Record, now: float) -> None:
        """*record* has ended."""
        self.requests += 1
        kind = "gone" if record.status in (0, GONE) else f"{record.status // 100}xx"
        self.statuses[kind] = self.statuses.get(kind, 0) + 1
        self.failed += record.failed
        self.received += record.received
        self.sent += record.sent
        if record.answered is not None:
            self.latency.record((record.answered - record.begun,), now)

    def merge(self, other: Counts) -> None:
        """Count here too what *other* counts."""
        self.requests += other.requests
        for kind, count in other.statuses.items():
            self.statuses[kind] = self.statuses.get(kind, 0) + count
        self.failed += other.failed
        self.received += other.received
        self.sent += other.sent
        self.latency.merge(other.latency)

    def state(self, now: float, in_flight: int) -> CountsState:
        """The counts as they are *now*."""
        latency, recent = self.latency.snapshot(now)
        statuses = MappingProxyType(dict(sorted(self.statuses.items())))
        return CountsState(
            self.requests,
            statuses,
            self.failed,
            self.received,
            self.sent,
            in_flight,
            latency,
            recent,
        )
