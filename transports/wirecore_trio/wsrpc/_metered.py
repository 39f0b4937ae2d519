"""A connection of a server that counts its calls, in both directions."""

from __future__ import annotations

from typing import Any

from wirecore import errors

from .._handlers import Mode
from .._meter import OTHER, Meter, Tally
from ._channel import Channel
from ._peer import check_call
from ._request import Request


class WsrpcMeter(Meter):
    """What a server counts."""

    def __init__(self) -> None:
        self.served = Tally("served_calls", "Calls of clients that are over, by method.")
        self.made = Tally("made_calls", "Calls to clients that are over, by method.")
        super().__init__("wsrpc", self.served, self.made)


class MeteredChannel(Channel):
    """A channel whose calls *meter* counts.

    An outcome is "ok", "error", "refused" (no handler has seen it), "lost" (nobody waits for the
    answer any more); of a call to a client also "timeout" and "cancelled".
    """

    __slots__ = ("_begun", "_meter", "_no_handler_yet")

    def __init__(self, meter: WsrpcMeter, *arguments: Any, **keywords: Any) -> None:
        self._meter = meter
        self._begun: dict[str, tuple[str, float]] = {}  # calls that are handled, by their ids
        self._no_handler_yet = False
        super().__init__(*arguments, **keywords)

    async def call(self, method: str, payload: bytes) -> bytes:
        check_call(method, payload)
        tally = self._meter.made
        begun, outcome = tally.begin(), "error"
        try:
            reply = await super().call(method, payload)
            outcome = "ok"
            return reply
        except errors.CallTimeout:
            outcome = "timeout"
            raise
        except errors.ConnectionLost:
            outcome = "lost"
            raise
        except BaseException as error:
            if not isinstance(error, Exception):
                outcome = "cancelled"
            raise
        finally:
            tally.end(method, outcome, begun)

    def _handle(self, request: Request) -> None:
        name, call_id, _ = request
        method = self._registry.find(name)
        # A peer that gives an id twice loses the first one.
        self._over(call_id, "lost")
        self._begun[call_id] = OTHER if method is None else name, self._meter.served.begin()
        is_inline = method is not None and method.mode is Mode.INLINE
        self._no_handler_yet = self._stopping or not is_inline
        super()._handle(request)
        self._no_handler_yet = False
        if is_inline:
            self._over(call_id, "lost")

    def reply(self, call_id: str, payload: bytes) -> None:
        """See Channel."""
        ended = self._ended
        super().reply(call_id, payload)
        self._over(call_id, "lost" if ended else "ok")  # if it isn't, with an error

    def reply_error(self, call_id: str, text: str) -> None:
        """See Channel."""
        refused = "refused" if self._no_handler_yet else "error"
        self._over(call_id, "lost" if self._ended else refused)
        super().reply_error(call_id, text)

    def finished(self, request: Request) -> None:
        """See Channel."""
        super().finished(request)
        self._over(request[1], "lost")

    def _over(self, call_id: str, outcome: str) -> None:
        found = self._begun.pop(call_id, None)
        if found is not None:
            self._meter.served.end(found[0], outcome, found[1])
