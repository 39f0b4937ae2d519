"""HTTP/1.1 in text messages, one request after the other: the wire of the original."""

from __future__ import annotations

from typing import Any, Final

from wirecore.errors import InvalidMessage, InvalidOption, LocalError, printable
from wirecore.protocols.rest import RequestHead, ResponseHead, SequentialCalling, happenings
from wirecore.protocols.rest.sequential_serving import read_request

from .pieces import Pieces
from .records import OTHER, Sender, Told, problem
from .showing import Showing

_MAX_HEAD: Final = 256 * 1024


class Exchanges:
    """The messages behind the handshake. Whoever sends a request first is the end that calls."""

    def __init__(self, showing: Showing) -> None:
        self._showing = showing
        self._answers: _Answers | None = None
        self._serving: Sender | None = None

    def message(self, sender: Sender, data: bytes, text: bool, now: float) -> list[Told]:
        """See Decoder."""
        if sender == self._serving and self._answers is not None:
            return self._answers.message(data, now)
        if not data:
            return [Told("text", "", 0)]  # the original sends some, which say nothing
        try:
            head, body, trailers = read_request(data, _MAX_HEAD)
        except InvalidMessage as error:
            why = printable(f"no HTTP request: {error}")
            return [problem(why, len(data), **self._showing.payload(data))]
        self._serving = OTHER[sender]
        told = self._request(head, body, len(data))
        if trailers:
            told.fields["trailers"] = self._showing.fields(trailers)
        self._answers = _Answers(self._showing, head, now)
        return [told]

    def passed_over(self, sender: Sender) -> None:
        """See Decoder. A response would have a hole."""
        if sender == self._serving:
            self._answers = None

    def _request(self, head: RequestHead, body: bytes, size: int) -> Told:
        return told_request(self._showing, head, body, size)


class _Answers:
    """The response to one request, as the package's own end that calls would read it."""

    def __init__(self, showing: Showing, request: RequestHead, now: float) -> None:
        self._showing = showing
        self._request = request
        self._asked = now
        self._over = False
        self._refused = ""
        self._pieces = Pieces(showing)
        self._wire = SequentialCalling(
            lambda message: None,
            serving_peer="server",
            oversize="send",
            max_head=_MAX_HEAD,
            abandon_timeout=0,
            make_id=str,
        )
        try:
            self._wire.request(request, b"", end=True, now=now)
        except (InvalidOption, LocalError) as error:
            self._refused = str(error)

    def message(self, data: bytes, now: float) -> list[Told]:
        if self._over or self._refused:
            why = self._refused or "it belongs to no request that is under way"
            return [problem(why, len(data), **self._showing.payload(data))] if data else []
        head: ResponseHead | None = None
        body = bytearray()
        found: list[Told] = []
        for kind, _, value in self._wire.receive([data], now):
            if kind == happenings.RESPONSE:
                head = value
            elif kind == happenings.DATA:
                body += value
            elif kind == happenings.END:
                self._over = True
        if head is not None:
            took = now - self._asked
            found.append(
                told_response(
                    self._showing,
                    self._request,
                    head,
                    bytes(body),
                    len(data),
                    took,
                    pieces=self._pieces,
                )
            )
        elif data:
            payload = self._pieces.payload(body)
            kind_of_body = "end" if self._over else "data"
            found.append(Told(kind_of_body, self._showing.preview(payload), len(body), payload))
        if found:
            found[-1].fields["end"] = self._over
        trouble = self._wire.problem
        if trouble is not None:
            self._over = True
            found = [problem(printable(str(trouble)), len(data), **self._showing.payload(data))]
        return found


def told_request(
    showing: Showing, head: RequestHead, body: bytes, size: int, *, pieces: Pieces | None = None
) -> Told:
    """The head of a request, and the beginning of its body. *pieces*: of which more follows."""
    fields: dict[str, Any] = {
        "method": showing.word(head.method.decode("latin-1")),
        "target": showing.target(head.target),
        "headers": showing.fields(head.fields),
    }
    about = f"{fields['method']} {fields['target']}"
    if body:
        payload = (pieces or showing).payload(body)
        fields |= payload
        about += f"  {showing.preview(payload)}"
    return Told("request", printable(about), size, fields)


def told_response(
    showing: Showing,
    request: RequestHead | None,
    head: ResponseHead,
    body: bytes,
    size: int,
    took: float | None,
    *,
    pieces: Pieces | None = None,
) -> Told:
    """The head of a response, and the beginning of its body. *pieces*: of which more follows."""
    fields: dict[str, Any] = {
        "status": head.status,
        "reason": showing.word(head.reason.decode("latin-1")),
        "headers": showing.fields(head.fields),
    }
    about = str(head.status)
    if request is not None:
        fields["method"] = showing.word(request.method.decode("latin-1"))
        fields["target"] = showing.target(request.target)
        about += f"  {fields['method']} {fields['target']}"
    if body:
        payload = (pieces or showing).payload(body)
        fields |= payload
        about += f"  {showing.preview(payload)}"
    return Told("response", printable(about), size, fields, took)


__all__ = ["Exchanges", "told_request", "told_response"]
