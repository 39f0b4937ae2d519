"""The wire between our own ends: many exchanges at once, a frame in each binary message."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from wirecore.errors import InvalidMessage, RemoteLimitExceeded, printable
from wirecore.events import Close
from wirecore.protocols.rest import RequestHead, frames
from wirecore.protocols.rest.messages import MessageDecoder

from .records import Sender, Told, problem
from .rest_sequential import told_request, told_response
from .showing import Showing

#: Exchanges that are remembered; the oldest are forgotten.
_MOST: Final = 10_000


@dataclass(slots=True)
class _Exchange:
    request: RequestHead
    when: float
    #: A WebSocket within: what reads the messages of either end.
    messages: dict[Sender, MessageDecoder] | None = None


class Frames:
    """The messages behind the handshake."""

    def __init__(self, showing: Showing) -> None:
        self._showing = showing
        self._exchanges: OrderedDict[int, _Exchange] = OrderedDict()

    def message(self, sender: Sender, data: bytes, text: bool, now: float) -> list[Told]:
        """See Decoder."""
        try:
            kind, number = frames.decode_head(data)
            told = self._frame(sender, kind & ~frames.END, number, data, now)
        except InvalidMessage as error:
            return [problem(printable(f"no frame: {error}"), len(data))]
        end = bool(kind & frames.END)
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
            each.messages = None

    def _frame(self, sender: Sender, kind: int, number: int, data: bytes, now: float) -> list[Told]:
        match kind:
            case frames.REQUEST:
                return [self._request(number, data, now)]
            case frames.RESPONSE:
                return self._response(sender, number, data, now)
            case frames.DATA:
                return self._data(sender, number, data[frames.HEAD_SIZE :])
            case frames.TRAILERS:
                fields = {"trailers": self._showing.fields(frames.decode_trailers(data))}
                return [Told("trailers", "", len(data), fields)]
            case frames.RESET:
                why = self._showing.word(frames.decode_reset(data))
                self._exchanges.pop(number, None)
                return [Told("reset", printable(why), len(data), {"reason": why})]
            case frames.WINDOW:
                more = frames.decode_window(data)
                return [Told("window", f"{more} more bytes", len(data), {"window": more})]
            case frames.CONTROL:
                payload = self._showing.payload(data[frames.HEAD_SIZE :])
                return [Told("control", self._showing.preview(payload), len(data), payload)]
            case _:
                raise InvalidMessage(f"there is no kind {kind}")

    def _request(self, number: int, data: bytes, now: float) -> Told:
        head, body = frames.decode_request(data)
        self._exchanges[number] = _Exchange(head, now)
        if len(self._exchanges) > _MOST:
            self._exchanges.popitem(last=False)
        told = told_request(self._showing, head, body, len(data))
        told.fields["scheme"] = head.scheme.decode("latin-1")
        return told

    def _response(self, sender: Sender, number: int, data: bytes, now: float) -> list[Told]:
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
        return [told_response(self._showing, request, head, body, len(data), took)]

    def _data(self, sender: Sender, number: int, body: bytes) -> list[Told]:
        exchange = self._exchanges.get(number)
        if exchange is not None and exchange.messages is not None and body:
            return self._within(sender, exchange, body)
        payload = self._showing.payload(body)
        return [Told("data", self._showing.preview(payload), len(body), payload)]

    def _within(self, sender: Sender, exchange: _Exchange, body: bytes) -> list[Told]:
        """A piece of the messages of a WebSocket within."""
        assert exchange.messages is not None
        try:
            items = exchange.messages[sender].receive(body)
        except (InvalidMessage, RemoteLimitExceeded) as error:
            exchange.messages = None
            why = printable(f"its messages can't be decoded: {error}")
            return [problem(why, len(body))]
        found = []
        for item in items:
            if isinstance(item, Close):
                reason = self._showing.word(item.reason)
                fields: dict[str, Any] = {"code": item.code, "reason": reason}
                about = printable(f"close {item.code or ''} {reason}".rstrip())
                found.append(Told("message", about, None, fields))
                continue
            data = item.encode() if isinstance(item, str) else item
            payload = self._showing.payload(data)
            fields = {"message": "text" if isinstance(item, str) else "binary"} | payload
            found.append(Told("message", self._showing.preview(payload), len(data), fields))
        return found or [Told("part", "of a message", len(body))]
