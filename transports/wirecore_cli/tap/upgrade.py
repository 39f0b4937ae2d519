"""The two heads that open a WebSocket: RFC 6455 section 4."""

from __future__ import annotations

from typing import Final

from wirecore.errors import HandshakeError, UpgradeRejected
from wirecore.websocket import BadRequest, DeflateOffer, DeflateParameters, Request, ServerHandshake
from wirecore.websocket.deflate import NAME as DEFLATE
from wirecore.websocket.extensions import parse_extensions
from wirecore.websocket.http import Fields, find_field
from wirecore.websocket.response import ResponseReader

from .records import Told, problem
from .showing import Showing

_MAX_HEAD: Final = 64 * 1024


class RequestHead:
    """Reads the client's request. *told*: what it says, once it is there."""

    def __init__(self, showing: Showing) -> None:
        self._showing = showing
        self._reader = ServerHandshake(max_head_size=_MAX_HEAD)
        self.request: Request | None = None

    def receive(self, data: bytes) -> Told | None:
        """Bytes came: what the request says once its head is whole. Raises BadRequest."""
        request = self._reader.receive(data)
        if request is None:
            return None
        self.request = request
        showing = self._showing
        method, target = showing.word(request.method), showing.target(request.target)
        subprotocols = showing.subprotocols(", ".join(request.subprotocols))
        fields = {
            "method": method,
            "target": target,
            "headers": showing.fields(request.headers),
            "subprotocols": subprotocols.split(", ") if request.subprotocols else [],
        }
        about = [method, target, f"host {showing.word(request.host)}"]
        if request.origin is not None:
            about.append(f"origin {showing.mask.text(request.origin)}")
        if request.subprotocols:
            about.append(f"subprotocols {subprotocols}")
        if request.extensions:
            about.append(f"offers {', '.join(each.name for each in request.extensions)}")
        kind = "upgrade" if request.is_upgrade else "request"
        return Told(kind, "  ".join(about), None, fields)

    @property
    def leftover(self) -> bytes:
        """What came behind the head."""
        return self._reader.leftover


class ResponseHead:
    """Reads the server's answer. *accepted*: whether it is a WebSocket now; None: not known."""

    def __init__(self, showing: Showing) -> None:
        self._showing = showing
        self._reader = ResponseReader(_MAX_HEAD)
        self.accepted: bool | None = None
        self.subprotocol: str | None = None
        self.deflate: DeflateParameters | None = None
        #: What of its compression can't be understood.
        self.trouble = ""

    def receive(self, data: bytes) -> Told | None:
        """Bytes came: what the answer says once it is there. Raises HandshakeError."""
        if not data:
            return None
        try:
            headers = self._reader.receive(data)
        except UpgradeRejected as refusal:
            return self._refused(refusal)
        return None if headers is None else self._upgraded(headers)

    def receive_eof(self) -> Told | None:
        """The stream ended: a refusal may be whole by that."""
        if self.accepted is not None or not self._reader.received:
            return None
        try:
            self._reader.receive_eof()
        except UpgradeRejected as refusal:
            return self._refused(refusal)
        except HandshakeError as error:
            self.accepted = False
            return problem(str(error))

    @property
    def leftover(self) -> bytes:
        """What came behind the head."""
        return self._reader.leftover

    def _upgraded(self, headers: Fields) -> Told:
        self.accepted = True
        showing = self._showing
        chosen = find_field(headers, b"sec-websocket-protocol")
        self.subprotocol = None if chosen is None else chosen.decode("latin-1")
        shown = None if self.subprotocol is None else showing.subprotocols(self.subprotocol)
        extensions = find_field(headers, b"sec-websocket-extensions")
        about = ["101"]
        if self.subprotocol is not None:
            about.append(f"subprotocol {shown}")
        if extensions is not None:
            self._read_extensions(extensions)
            about.append(showing.word(extensions.decode("latin-1")))
        fields = {
            "status": 101,
            "subprotocol": shown,
            "compression": self.deflate is not None,
            "headers": showing.fields(headers),
        }
        return Told("upgraded", "  ".join(about), None, fields)

    def _read_extensions(self, value: bytes) -> None:
        try:
            for each in parse_extensions(value):
                if each.name == DEFLATE:
                    # What this end would offer leaves everything to the server.
                    self.deflate = DeflateOffer().confirm(each)
        except (ValueError, HandshakeError) as error:
            self.trouble = f"its extensions can't be understood: {error}"

    def _refused(self, refusal: UpgradeRejected) -> Told:
        self.accepted = False
        showing = self._showing
        payload = showing.payload(refusal.body)
        fields = {"status": refusal.status, "headers": showing.fields(refusal.headers), **payload}
        about = f"{refusal.status}  {showing.preview(payload)}".rstrip()
        return Told("response", about, len(refusal.body), fields)


__all__ = ["BadRequest", "RequestHead", "ResponseHead"]
