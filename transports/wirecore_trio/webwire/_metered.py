"""A connection of a server that counts its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirecore.protocols.webwire import MessageType, RequestError, Sendable
from wirecore.webwire_rules import REQUEST, REQUEST_END

from .._meter import OTHER, Meter, Tally
from ._connection import Connection
from ._handling import UNKNOWN_REQUEST

if TYPE_CHECKING:
    from wirecore_py.webwire import Message


class WebwireMeter(Meter):
    """What a server counts."""

    def __init__(self) -> None:
        self.served = Tally("served_requests", "Requests of clients that are over, by name.")
        super().__init__("webwire", self.served)


class MeteredConnection(Connection):
    """A connection whose requests *meter* counts, from their coming to their replies.

    An outcome is "ok", "error", "refused" (no handler has seen it), "lost" (the client had gone).
    """

    __slots__ = ("_begun", "_meter")

    def __init__(self, meter: WebwireMeter, *arguments: Any, **keywords: Any) -> None:
        self._meter = meter
        self._begun: dict[int, tuple[str, float]] = {}  # by the requests' ids
        super().__init__(*arguments, **keywords)

    def received(self, happened: list[Message]) -> None:
        """See the pump's Owner."""
        for kind, request_id, name, _ in happened:
            if REQUEST <= kind < REQUEST_END:
                self._over(request_id, "lost")  # a client that gives an id twice loses the first
                known = name in self._requests.by_name
                self._begun[request_id] = name if known else OTHER, self._meter.served.begin()
        super().received(happened)

    def on_end(self, error: BaseException | None) -> None:
        """See the pump's Owner."""
        super().on_end(error)
        for request_id in list(self._begun):
            self._over(request_id, "lost")

    def _reply(self, request_id: int, name: str, value: Sendable) -> None:
        super()._reply(request_id, name, value)
        self._over(request_id, "ok")  # if it isn't, with an error

    def _fail(self, request_id: int, name: str, error: RequestError) -> None:
        unknown = getattr(error, "code", None) == UNKNOWN_REQUEST
        self._over(request_id, "refused" if unknown else "error")
        super()._fail(request_id, name, error)

    def _answer(self, request_id: int, outcome: MessageType) -> None:
        stopping = outcome is MessageType.REPLY_SHUTDOWN
        self._over(request_id, "refused" if stopping else "error")
        super()._answer(request_id, outcome)

    def _over(self, request_id: int, outcome: str) -> None:
        found = self._begun.pop(request_id, None)
        if found is not None:
            self._meter.served.end(found[0], outcome, found[1])
