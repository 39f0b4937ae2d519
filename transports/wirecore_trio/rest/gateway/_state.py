"""A gateway as it is at one moment: who publishes, what goes through, and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import trio

from ._counts import Counts, CountsState
from ._routes import name_of
from ._traffic import LONGEST

if TYPE_CHECKING:
    from ._gateway import Gateway
    from ._traffic import Record


@dataclass(frozen=True, slots=True)
class PublisherState:
    """A publisher that is connected.

    *id*, *metadata*, *remote_address*, *connected_at*: see ``Connection``. *name*: what it is
    published as; None where it says none. *leaving*: whether it takes no more requests. *counts*:
    of its requests.
    """

    id: str
    name: str | None
    metadata: object
    remote_address: str
    connected_at: float
    leaving: bool
    counts: CountsState


@dataclass(frozen=True, slots=True)
class RequestState:
    """A request that is through.

    *caller*: an address. *path*: without its query, and without its end where it is long. *name*:
    of who publishes it; *publisher*: the id of the connection that it went to last, "" where there
    was none. *status*: of its answer; 499 where its caller had gone before. *received*, *sent*:
    bytes of its bodies. *problem*: what went wrong; "" where nothing did. *begun*, *ended*: in
    trio's time; *answered*: when the head of its response came, None where none did.
    """

    caller: str
    method: str
    path: str
    name: str
    publisher: str
    status: int
    received: int
    sent: int
    problem: str
    begun: float
    answered: float | None
    ended: float


@dataclass(frozen=True, slots=True)
class GatewayState:
    """A gateway.

    *total*: of all requests. *names*: by what is, or was, published; "" are those of nobody, such
    as those without a route. *publishers*: the connected ones, oldest first. *requests*, *errors*:
    the last ones, and the last ones that went wrong, newest first.
    """

    total: CountsState
    names: Mapping[str, CountsState]
    publishers: tuple[PublisherState, ...]
    requests: tuple[RequestState, ...]
    errors: tuple[RequestState, ...]


def state_of(gateway: Gateway) -> GatewayState:
    """*gateway* as it is now."""
    now = trio.current_time()
    traffic, publishers = gateway.traffic, gateway.publishers
    total = Counts()
    for counts in traffic.names.values():
        total.merge(counts)
    nothing = Counts()
    connected = [
        PublisherState(
            each.id,
            name_of(each.metadata),
            each.metadata,
            each.remote_address,
            each.connected_at,
            each.leaving,
            traffic.publishers.get(each, nothing).state(now, publishers.under_way(each)),
        )
        for each in publishers.connected
    ]
    names = dict.fromkeys((each.name[:LONGEST] for each in connected if each.name), nothing)
    names = {**names, **traffic.names}
    running = Counter(each.name if each.name in names else "" for each in traffic.running)
    return GatewayState(
        total.state(now, len(traffic.running)),
        MappingProxyType(
            {name: counts.state(now, running[name]) for name, counts in names.items()}
        ),
        tuple(connected),
        tuple(map(_request_state, reversed(traffic.requests))),
        tuple(map(_request_state, reversed(traffic.errors))),
    )


def _request_state(record: Record) -> RequestState:
    assert record.ended is not None, "it is through"
    return RequestState(
        record.caller,
        record.method,
        record.path,
        record.name,
        record.publisher,
        record.status,
        record.received,
        record.sent,
        record.problem,
        record.begun,
        record.answered,
        record.ended,
    )
