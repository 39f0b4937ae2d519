"""A pool's state as OpenMetrics text."""

from __future__ import annotations

from wirecore.openmetrics import Counter, Family, Gauge, Histogram, render

from ._state import PathState, PoolState

#: What stands for connections of providers that said no name.
_NOBODY = ""


def metrics_of(state: PoolState) -> str:
    """The page of *state*."""
    path, both = ("path",), ("path", "provider")
    connections = Gauge("wirecore_pool_connections", "Open connections of providers.", both)
    callbacks = Gauge("wirecore_pool_callback_connections", "Open connections of callers.", path)
    queued = Gauge("wirecore_pool_queued_calls", "Calls that wait for a provider.", path)
    elsewhere = Gauge(
        "wirecore_pool_elsewhere_calls", "Calls that any server of the pool may make.", path
    )
    outstanding = Gauge(
        "wirecore_pool_outstanding_calls", "Calls that a provider hasn't answered.", both
    )
    answered = Counter("wirecore_pool_answered_calls", "Calls answered with a result.", path)
    failed = Counter("wirecore_pool_failed_calls", "Calls that failed.", (*path, "reason"))
    again = Counter("wirecore_pool_requeued_calls", "Times that a call was queued again.", path)
    latency = Histogram(
        "wirecore_pool_call_seconds",
        "How long providers took to answer, be it with an error.",
        path,
        "seconds",
    )
    for found in state.paths.values():
        queued.add(found.queued, found.path)
        elsewhere.add(found.elsewhere, found.path)
        calls = found.calls.calls
        answered.add(calls.answered, found.path)
        for reason, count in calls.failed.items():
            failed.add(count, found.path, reason)
        again.add(calls.again, found.path)
        latency.add(calls.latency.buckets, calls.latency.count, calls.latency.sum, found.path)
        for name, (open_ones, waiting) in sorted(_by_provider(found).items()):
            connections.add(open_ones, found.path, name)
            outstanding.add(waiting, found.path, name)
    for where, count in state.callbacks.items():
        callbacks.add(count, where)
    families: list[Family] = [
        connections,
        callbacks,
        queued,
        elsewhere,
        outstanding,
        answered,
        failed,
        again,
        latency,
    ]
    return render(families)


def _by_provider(path: PathState) -> dict[str, tuple[int, int]]:
    """The connections and outstanding calls of each provider."""
    found: dict[str, tuple[int, int]] = {}
    for each in path.providers:
        name = each.identity or _NOBODY
        count, waiting = found.get(name, (0, 0))
        found[name] = count + 1, waiting + each.outstanding
    return found
