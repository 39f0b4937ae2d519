"""A connection of a server that counts what it serves."""

from __future__ import annotations

import math
from typing import Any, Final

from .._meter import OTHER, Meter, Tally
from ._connection import Connection
from ._incoming import Handler
from ._served import Served

#: Methods that are told from others.
_METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)


class RestMeter(Meter):
    """What a server counts."""

    def __init__(self) -> None:
        self.served = Tally(
            "served_requests", "Requests of clients that are over, by method and status.", "status"
        )
        super().__init__("rest", self.served)


class MeteredConnection(Connection):
    """A connection on which *meter* counts what is served.

    The status is "none" where none was sent. How long a WebSocket lasts isn't counted.
    """

    def __init__(self, meter: RestMeter, *arguments: Any, **keywords: Any) -> None:
        self._meter = meter
        self._begun: dict[Served, float] = {}
        super().__init__(*arguments, **keywords)

    def _start(self, request: Served, handler: Handler) -> None:
        self._begun[request] = self._meter.served.begin()
        super()._start(request, handler)

    def _served(self, request: Served) -> None:
        begun = self._begun.pop(request)
        method = request.head.method.decode("latin-1")
        self._meter.served.end(
            method if method in _METHODS else OTHER,
            "none" if request.answered is None else str(request.answered),
            math.nan if request.head.is_websocket else begun,
        )
        super()._served(request)
