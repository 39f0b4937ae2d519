"""What a server counts of itself where it is asked to, and the page of metrics that this makes.

Names come from what the program serves, and there are at most :data:`MOST_NAMES` of them: a peer
that makes names up makes no series.
"""

from __future__ import annotations

import math
from typing import Final

import trio

from wirecore import errors
from wirecore.openmetrics import Counter, Family, Gauge, Histogram, render
from wirecore.session import latency

from ._serve import Counts

#: Names of methods that are counted on their own.
MOST_NAMES: Final = 200

#: What all other methods are called.
OTHER: Final = "_OTHER"


class Tally:
    """Calls of one direction: how many ended how, by method, and how long they took.

    *what*: ``served_calls``, for one; *label*: what its outcomes are called.
    """

    def __init__(self, what: str, help: str, label: str = "outcome") -> None:  # noqa: A002 - OpenMetrics' word
        self.what = what
        self.help = help
        self.label = label
        self.under_way = 0
        self._outcomes: dict[tuple[str, str], int] = {}
        self._took: dict[str, latency.Histogram] = {}

    def begin(self) -> float:
        """A call begins; when that is, for :meth:`end`."""
        self.under_way += 1
        return trio.current_time()

    def end(self, method: str, outcome: str, begun: float = math.nan) -> None:
        """A call that began is over. *begun*: where it counts how long it took."""
        self.under_way -= 1
        took = self._took.get(method)
        if took is None:
            if len(self._took) >= MOST_NAMES:
                method = OTHER
            took = self._took.setdefault(method, latency.Histogram())
        key = method, outcome
        self._outcomes[key] = self._outcomes.get(key, 0) + 1
        if begun == begun:  # no nan
            took.record([trio.current_time() - begun])

    def families(self, protocol: str) -> list[Family]:
        """As families of OpenMetrics."""
        name = f"wirecore_{protocol}_{self.what}"
        under_way = Gauge(f"{name}_in_flight", "Those under way.")
        under_way.add(self.under_way)
        counts = Counter(name, self.help, ("method", self.label))
        for (method, outcome), count in self._outcomes.items():
            counts.add(count, method, outcome)
        took = Histogram(
            f"{name.removesuffix('s')}_seconds", "How long they took.", ("method",), "seconds"
        )
        for method, found in self._took.items():
            one = found.snapshot()
            took.add(one.buckets, one.count, one.sum, method)
        return [under_way, counts, took]


class Meter:
    """What a server of *protocol* counts: its connections, and the calls over them."""

    def __init__(self, protocol: str, *tallies: Tally) -> None:
        self._protocol = protocol
        self._tallies = tallies
        #: Of all its acceptors.
        self.accepting = Counts()

    def page(self, connections: int) -> str:
        """All as OpenMetrics text. *connections*: those that are open."""
        prefix = f"wirecore_{self._protocol}"
        open_now = Gauge(f"{prefix}_connections", "Open connections.")
        open_now.add(connections)
        accepted = Counter(f"{prefix}_accepted_connections", "Connections that came.")
        accepted.add(self.accepting.accepted)
        refused = Counter(
            f"{prefix}_refused_connections", "Of these, what ended before it was open."
        )
        refused.add(self.accepting.refused)
        families: list[Family] = [open_now, accepted, refused]
        for tally in self._tallies:
            families += tally.families(self._protocol)
        return render(families)


def page_of(meter: Meter | None, connections: int) -> str:
    """The page of *meter*. Raises InvalidState where a server counts nothing."""
    if meter is None:
        raise errors.InvalidState("this server counts nothing: make it with metrics=True")
    return meter.page(connections)
