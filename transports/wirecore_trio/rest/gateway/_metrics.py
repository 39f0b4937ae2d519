"""A gateway's state as OpenMetrics text."""

from __future__ import annotations

from collections import Counter as Tally

from wirecore.openmetrics import Counter, Family, Gauge, Histogram, render

from ._state import GatewayState


def metrics_of(state: GatewayState) -> str:
    """The page of *state*."""
    name = ("name",)
    publishers = Gauge("wirecore_gateway_publishers", "Connected publishers.", name)
    in_flight = Gauge("wirecore_gateway_requests_in_flight", "Requests under way.", name)
    requests = Counter(
        "wirecore_gateway_requests",
        "Requests that are through, by the class of their status.",
        (*name, "status"),
    )
    failed = Counter(
        "wirecore_gateway_failed_requests", "Requests answered with 5xx, or broken off.", name
    )
    received = Counter(
        "wirecore_gateway_received_bytes", "Of the bodies of requests.", name, "bytes"
    )
    sent = Counter("wirecore_gateway_sent_bytes", "Of the bodies of responses.", name, "bytes")
    latency = Histogram(
        "wirecore_gateway_response_seconds",
        "How long it took until a response began.",
        name,
        "seconds",
    )
    for published, count in sorted(Tally(each.name or "" for each in state.publishers).items()):
        publishers.add(count, published)
    for published, counts in state.names.items():
        in_flight.add(counts.in_flight, published)
        for kind, count in counts.statuses.items():
            requests.add(count, published, kind)
        failed.add(counts.failed, published)
        received.add(counts.received, published)
        sent.add(counts.sent, published)
        took = counts.latency
        latency.add(took.buckets, took.count, took.sum, published)
    families: list[Family] = [publishers, in_flight, requests, failed, received, sent, latency]
    return render(families)
