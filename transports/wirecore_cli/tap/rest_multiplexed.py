"""The wire between our own ends: many exchanges at once, a frame in each binary message."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any, Final

from wirecore.errors import InvalidMessage, RemoteLimitExceeded, printable
from wirecore.events import Close
from wirecore.protocols.rest import RequestHead, frames
from wirecore.protocols.rest.messages import HEAD_SIZE, MessageDecoder

from .pieces import Pieces
from .records import OTHER, Sender, Told, problem
from .rest_sequential import told_request, told_response
from .showing import Showing

#: Exchanges that are remembered while they are under way; the oldest are forgotten.
_MOST: Final = 10_000

#: Of a request's target, what is remembered for the line of its response.
_MAX_TARGET: Final = 4096

#: Bytes of WebSockets' messages that aren't whole, all of a connection together.
_MAX_HELD: Final = 16 << 20


@dataclass(slots=True)
class _Exchange:
    #: Without fields.
    request: RequestHead
    when: float
    #: A WebSocket within: what reads the messages of either end, and how much it holds.
    messages: dict[Sender, MessageDecoder] | None = None
    held: dict[Sender, int] = field(default_factory=dict)
    #: Bodies that came in part.
    bodies: dict[Sender, Pieces] = field(default_factory=dict)
    ended: set[Sender] = field(default_factory=set)


class Frames:
    """The messages behind the handshake."""

    def __init__(self, showing: Showing) -> None:
        self._showing = showing
        self._exchanges: OrderedDict[int, _Exchange] = OrderedDict()
        self._held = 0

    def message(self, sender: Sender, data: bytes, text: bool, now: float) -> list[Told]:
        """See Decoder."""
        try:
            kind, number = frames.decode_head(data)
            told = self._frame(sender, kind, number, data, now)
        except InvalidMessage as error:
            return [problem(printable(f"no frame: {error}"), len(data))]
        end = bool(kind & frames.END)
        if end:
            self._end(sender, number)
        for each in told:
            if number:
                each.fields = {"id": number} | each.fields
                each.summary = f"{number}  {each.summary}".rstrip()
        told[-1].fields["end"] = end
        if end:
            told[-1].summary += "  (end)"
        return told

    def passed_over(self, sender: Sender) -> None:
        """See Decoder. Each frame stands alone; a WebSocket within it may have a hole."""
        for each in self._exchanges.values():
            self._let_go(each)

    def _frame(self, sender: Sender, kind: int, number: int, data: bytes, now: float) -> list[Told]:
        end = bool(kind & frames.END)
        match kind & ~frames.END:
            case frames.REQUEST:
                return [self._request(sender, number, data, end, now)]
            case frames.RESPONSE:
                return self._response(sender, number, data, end, now)
            case frames.DATA:
                return self._data(sender, number, data[frames.HEAD_SIZE :], end)
            case frames.TRAILERS:
                fields = {"trailers": self._showing.fields(frames.decode_trailers(data))}
                return [Told("trailers", "", len(data), fields)]
            case frames.RESET:
                why = self._showing.word(frames.decode_reset(data))
                self._forget(number)
                return [Told("reset", printable(why), len(data), {"reason": why})]
            case frames.WINDOW:
                more = frames.decode_window(data)
                return [Told("window", f"{more} more bytes", len(data), {"window": more})]
            case frames.CONTROL:
                payload = self._showing.payload(data[frames.HEAD_SIZE :])
                return [Told("control", self._showing.preview(payload), len(data), payload)]
            case _:
                raise InvalidMessage(f"there is no kind {kind & ~frames.END}")

    def _end(self, sender: Sender, number: int) -> None:
        exchange = self._exchanges.get(number)
        if exchange is not None:
            exchange.ended.add(sender)
            if len(exchange.ended) == len(OTHER):
                self._forget(number)

    def _forget(self, number: int) -> None:
        exchange = self._exchanges.pop(number, None)
        if exchange is not None:
            self._let_go(exchange)

    def _let_go(self, exchange: _Exchange) -> None:
        """Its messages, if it has any, can't be decoded any more."""
        exchange.messages = None
        self._held -= sum(exchange.held.values())
        exchange.held.clear()

    def _request(self, sender: Sender, number: int, data: bytes, end: bool, now: float) -> Told:
        head, body = frames.decode_request(data)
        self._forget(number)
        # All of a head would be a lot to remember.
        known = replace(head, fields=(), target=head.target[:_MAX_TARGET])
        exchange = self._exchanges[number] = _Exchange(known, now)
        if len(self._exchanges) > _MOST:
            self._forget(next(iter(self._exchanges)))
        pieces = self._pieces(exchange, sender, end)
        told = told_request(self._showing, head, body, len(data), pieces=pieces)
        told.fields["scheme"] = head.scheme.decode("latin-1")
        return told

    def _response(
        self, sender: Sender, number: int, data: bytes, end: bool, now: float
    ) -> list[Told]:
        head, body = frames.decode_response(data)
        exchange = self._exchanges.get(number)
        request = None if exchange is None else exchange.request
        took = None
        if exchange is not None and (head.status >= 200 or head.status == 101):
            took = now - exchange.when
            if head.status == 101 and exchange.request.scheme in (b"ws", b"wss"):
                exchange.messages = {"client": MessageDecoder(), "server": MessageDecoder()}
        if exchange is not None and exchange.messages is not None:
            told = told_response(self._showing, request, head, b"", len(data), took)
            return [told, *(self._within(sender, exchange, body) if body else [])]
        pieces = self._pieces(exchange, sender, end)
        return [told_response(self._showing, request, head, body, len(data), took, pieces=pieces)]

    def _pieces(self, exchange: _Exchange | None, sender: Sender, end: bool) -> Pieces | None:
        """What shows the pieces of its body; None: it is whole, or who knows."""
        if exchange is None or (end and sender not in exchange.bodies):
            return None
        return exchange.bodies.setdefault(sender, Pieces(self._showing))

    def _data(self, sender: Sender, number: int, body: bytes, end: bool) -> list[Told]:
        exchange = self._exchanges.get(number)
        if exchange is not None and exchange.messages is not None and body:
            return self._within(sender, exchange, body)
        payload = (self._pieces(exchange, sender, end) or self._showing).payload(body)
        return [Told("data", self._showing.preview(payload), len(body), payload)]

    def _within(self, sender: Sender, exchange: _Exchange, body: bytes) -> list[Told]:
        """A piece of the messages of a WebSocket within."""
        assert exchange.messages is not None
        try:
            items = exchange.messages[sender].receive(body)
        except (InvalidMessage, RemoteLimitExceeded) as error:
            self._let_go(exchange)
            why = printable(f"its messages can't be decoded: {error}")
            return [problem(why, len(body))]
        found = []
        held = len(body)
        for item in items:
            if isinstance(item, Close):
                reason = self._showing.word(item.reason)
                fields: dict[str, Any] = {"code": item.code, "reason": reason}
                about = printable(f"close {item.code or ''} {reason}".rstrip())
                found.append(Told("message", about, None, fields))
                held = -exchange.held.get(sender, 0)  # it was the last
                continue
            data = item.encode() if isinstance(item, str) else item
            held -= len(data) + HEAD_SIZE
            payload = self._showing.payload(data)
            fields = {"message": "text" if isinstance(item, str) else "binary"} | payload
            found.append(Told("message", self._showing.preview(payload), len(data), fields))
        exchange.held[sender] = exchange.held.get(sender, 0) + held
        self._held += held
        if self._held > _MAX_HELD:
            self._let_go(exchange)
            why = "its messages aren't decoded: too much of them is under way at once"
            return [*found, problem(why, len(body))]
        return found or [Told("part", "of a message", len(body))]
