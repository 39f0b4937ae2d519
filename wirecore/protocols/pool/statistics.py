"""What became of the calls of a path, in all and by provider: counts, and how long they took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from wirecore.session.latency import Latency, LatencySnapshot
from wirecore.session.limits import check_at_least

#: Why a call failed: the provider answered with an error; its connection was lost; no answer came
#: in time; its caller gave up.
Failure: TypeAlias = Literal["error", "lost", "timeout", "cancelled"]

FAILURES: Final[tuple[Failure, ...]] = get_args(Failure)

#: So many providers without a connection are remembered.
DEFAULT_MAX_PROVIDERS: Final = 1000


@dataclass(frozen=True, slots=True)
class CallsSnapshot:
    """Calls of a path or a provider.

    *answered*: with a result. *failed*: by kind, all kinds. *again*: how often one was queued
    again. *in_flight*: how many a provider has now. *latency* and *recent*: seconds that a
    provider took to answer, be it with an error, since the start and in the last while.
    """

    answered: int
    failed: Mapping[Failure, int]
    again: int
    in_flight: int
    latency: LatencySnapshot
    recent: LatencySnapshot


@dataclass(frozen=True, slots=True)
class PathSnapshot:
    """Calls of a path; *queued*: how many wait for a provider; *providers*: by identity.

    A provider that left long ago may be missing; *calls* has its calls all the same.
    """

    calls: CallsSnapshot
    queued: int
    providers: Mapping[str, CallsSnapshot]


class CallStatistics:
    """Counts the calls of one provider, which are begun, and then end in one of four ways.

    *users*: how many connections count here. Its attributes are read-only.
    """

    __slots__ = ("again", "answered", "failed", "in_flight", "latency", "users")

    def __init__(self, window: float) -> None:
        self.answered = 0
        self.failed: dict[Failure, int] = dict.fromkeys(FAILURES, 0)
        self.again = 0
        self.in_flight = 0
        self.users = 0
        self.latency = Latency(window)

    def begin(self) -> None:
        """It has one call more."""
        self.in_flight += 1

    def answer(self, durations: Sequence[float], failed: int, now: float) -> None:
        """It answered so many calls, after these seconds; *failed* of them with an error."""
        count = len(durations)
        self.in_flight -= count
        self.answered += count - failed
        if failed:
            self.failed["error"] += failed
        self.latency.record(durations, now)

    def take_back(self) -> None:
        """A call that was begun couldn't be sent: its caller's fault, and never its provider's."""
        self.in_flight -= 1

    def fail(self, failure: Failure) -> None:
        """A call got no answer."""
        self.in_flight -= 1
        self.failed[failure] += 1

    def queue_again(self) -> None:
        """A call was lost, and looks for another provider: it hasn't failed."""
        self.in_flight -= 1
        self.again += 1

    def merge(self, other: CallStatistics) -> None:
        """Count here too what *other* counts."""
        self.answered += other.answered
        self.again += other.again
        self.in_flight += other.in_flight
        for failure, count in other.failed.items():
            self.failed[failure] += count
        self.latency.merge(other.latency)

    def snapshot(self, now: float) -> CallsSnapshot:
        """The counts as they are *now*."""
        latency, recent = self.latency.snapshot(now)
        failed = MappingProxyType(self.failed.copy())
        return CallsSnapshot(self.answered, failed, self.again, self.in_flight, latency, recent)


class PathStatistics:
    """Counts the calls of a path: by provider, which costs the least, and so in all.

    *window*: seconds of what is recent. *max_providers*: how many identities are remembered that
    have no connection; of older ones only the sum is.

    Raises :class:`~wirecore.errors.InvalidOption` for an option that makes no sense.
    """

    __slots__ = ("_max_providers", "_providers", "_rest", "_unused", "_window")

    def __init__(self, window: float = 60.0, max_providers: int = DEFAULT_MAX_PROVIDERS) -> None:
        check_at_least("max_providers", max_providers, 0)
        self._window = window
        self._max_providers = max_providers
        self._providers: dict[str, CallStatistics] = {}
        self._unused: dict[str, None] = {}  # those without a connection, longest first
        self._rest = CallStatistics(window)  # of all others

    def join(self, provider: str | None) -> CallStatistics:
        """Where a connection of *provider* (None: of nobody who said) counts; :meth:`leave` it."""
        if provider is None:
            return self._rest
        counts = self._providers.get(provider)
        if counts is None:
            counts = self._providers[provider] = CallStatistics(self._window)
        self._unused.pop(provider, None)
        counts.users += 1
        return counts

    def leave(self, provider: str | None) -> None:
        """A connection of *provider* is gone, and all its calls have ended."""
        if provider is None:
            return
        counts = self._providers[provider]
        counts.users -= 1
        if not counts.users:
            self._unused[provider] = None
            if len(self._unused) > self._max_providers:
                self._forget_oldest()

    def _forget_oldest(self) -> None:
        for name in self._unused:
            # One whose calls are about to be counted stays until they are.
            if not self._providers[name].in_flight:
                del self._unused[name]
                self._rest.merge(self._providers.pop(name))
                return

    def give_up(self, failure: Failure) -> None:
        """A call failed that no provider had."""
        self._rest.failed[failure] += 1

    def snapshot(self, now: float, queued: int = 0) -> PathSnapshot:
        """All counts as they are *now*; *queued* calls wait for a provider."""
        total = CallStatistics(self._window)
        for counts in (self._rest, *self._providers.values()):
            total.merge(counts)
        providers = {name: counts.snapshot(now) for name, counts in self._providers.items()}
        return PathSnapshot(total.snapshot(now), queued, MappingProxyType(providers))
