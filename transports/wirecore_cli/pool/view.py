"""A pool's state as it goes to ``wirecore pool top``: plain figures, as they are at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field

from wirecore.protocols.pool.statistics import CallsSnapshot
from wirecore_trio.pool import PathState, PoolState, ProviderState


@dataclass
class Calls:
    """Calls of a path, and what became of them since its pool began.

    *again*: those that were queued again. The percentiles, in seconds, are of the last minute.
    """

    answered: int = 0
    errors: int = 0
    lost: int = 0
    timeouts: int = 0
    cancelled: int = 0
    again: int = 0
    in_flight: int = 0
    p50: float = 0.0
    p99: float = 0.0

    @property
    def ended(self) -> int:
        """All that have ended, in whatever way."""
        return self.answered + self.errors + self.lost + self.timeouts + self.cancelled


@dataclass
class Provider:
    """A provider's connection. *connected*: seconds since it came; *capacity*: 0 is no bound."""

    identity: str = ""
    address: str = ""
    labels: list[str] = field(default_factory=list)
    outstanding: int = 0
    capacity: int = 0
    leaving: bool = False
    connected: float = 0.0


@dataclass
class Path:
    """A path. *names*: of its services, none is all others; *queued*: calls that wait there."""

    path: str = ""
    names: list[str] = field(default_factory=list)
    queued: int = 0
    calls: Calls = field(default_factory=Calls)
    providers: list[Provider] = field(default_factory=list)


@dataclass
class Pool:
    """All paths; *time*: when, in seconds since an unknown moment of the pool's.

    *callbacks*: open connections at the paths where providers call.
    """

    time: float = 0.0
    paths: list[Path] = field(default_factory=list)
    callbacks: dict[str, int] = field(default_factory=dict)


def view_of(state: PoolState, now: float) -> Pool:
    """*state* at the time *now*."""
    return Pool(now, [_path(each, now) for each in state.paths.values()], {**state.callbacks})


def _path(path: PathState, now: float) -> Path:
    providers = [_provider(each, now) for each in path.providers]
    return Path(path.path, [*path.names], path.queued, _calls(path.calls.calls), providers)


def _provider(provider: ProviderState, now: float) -> Provider:
    return Provider(
        provider.identity or "",
        provider.remote_address,
        sorted(provider.labels),
        provider.outstanding,
        provider.capacity or 0,
        provider.leaving,
        now - provider.connected_at,
    )


def _calls(calls: CallsSnapshot) -> Calls:
    failed, recent = calls.failed, calls.recent
    return Calls(
        calls.answered,
        failed["error"],
        failed["lost"],
        failed["timeout"],
        failed["cancelled"],
        calls.again,
        calls.in_flight,
        recent.p50,
        recent.p99,
    )
