"""A gateway's state as JSON, for the page that shows it."""

from __future__ import annotations

import json
from typing import Any, Final

from ._counts import CountsState
from ._state import GatewayState, PublisherState, RequestState

#: Publishers that are shown, and characters of what each says of itself.
_MOST_PUBLISHERS: Final = 500
_LONGEST: Final = 500


def view_of(state: GatewayState, now: float) -> bytes:
    """*state*, of *now* in trio's time, for the page: times in milliseconds, ages in seconds."""
    view = {
        "total": _counts(state.total),
        "names": [{"name": name, **_counts(each)} for name, each in state.names.items()],
        "publisher_count": len(state.publishers),
        "publishers": [_publisher(each, now) for each in state.publishers[:_MOST_PUBLISHERS]],
        "requests": [_request(each, now) for each in state.requests],
        "errors": [_request(each, now) for each in state.errors],
    }
    return json.dumps(view, separators=(",", ":")).encode("ascii")


def _counts(counts: CountsState) -> dict[str, Any]:
    recent = counts.recent
    return {
        "requests": counts.requests,
        "statuses": dict(counts.statuses),
        "failed": counts.failed,
        "received": counts.received,
        "sent": counts.sent,
        "in_flight": counts.in_flight,
        "recent": recent.count,
        "p50": _milliseconds(recent.p50),
        "p95": _milliseconds(recent.p95),
        "p99": _milliseconds(recent.p99),
    }


def _publisher(each: PublisherState, now: float) -> dict[str, Any]:
    said = each.metadata
    return {
        "id": each.id,
        "name": (each.name or "")[:_LONGEST],
        "metadata": "" if said == each.name else json.dumps(said, ensure_ascii=False)[:_LONGEST],
        "address": each.remote_address,
        "age": round(now - each.connected_at, 1),
        "leaving": each.leaving,
        **_counts(each.counts),
    }


def _request(each: RequestState, now: float) -> dict[str, Any]:
    return {
        "age": round(now - each.ended, 1),
        "caller": each.caller,
        "method": each.method,
        "path": each.path,
        "name": each.name,
        "publisher": each.publisher,
        "status": each.status,
        "received": each.received,
        "sent": each.sent,
        "problem": each.problem,
        "answered": None if each.answered is None else _milliseconds(each.answered - each.begun),
        "took": _milliseconds(each.ended - each.begun),
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
