"""The response to an upgrade request as a client reads it, on h11: RFC 9112 section 4."""

from __future__ import annotations

from typing import Final, NoReturn

import h11

from wirecore.errors import HandshakeError, UpgradeRejected
from wirecore.websocket.handshake import MAX_QUOTE
from wirecore.websocket.http import Fields

#: So much of a refusal's body is kept, in bytes.
MAX_REJECTION_BODY: Final = 4096

#: How an alert of TLS begins, which a server of TLS answers to a request in the clear: RFC 8446
#: section 5.1.
_TLS_ALERT: Final = b"\x15\x03"


class ResponseReader:
    """Tells the head of a 101 response from a refusal, and reads that one's body.

    *max_head_size*: bound on the head and the interim responses before it, in bytes.
    """

    def __init__(self, max_head_size: int) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=max_head_size)
        # A parser reads a response only where a request went before. These bytes go nowhere: the
        # request itself is made elsewhere.
        self._http.send(
            h11.Request(
                method="GET",
                target="/",
                headers=[("Host", ""), ("Connection", "Upgrade"), ("Upgrade", "websocket")],
            )
        )
        self._http.send(h11.EndOfMessage())
        self._max_head_size = max_head_size
        #: How many bytes have come.
        self.received = 0
        self._refusal: h11.Response | None = None
        self._body = b""

    def receive(self, data: bytes) -> Fields | None:
        """Bytes came: the fields of the 101 response once its head is whole, None before.

        *data* isn't empty. Raises :class:`~wirecore.errors.UpgradeRejected` for an ordinary
        response, once its body is there or 4 KiB of it, and
        :class:`~wirecore.errors.HandshakeError` for what isn't HTTP/1.1 or is too large; none
        of the methods is to be called after that.
        """
        self.received += len(data)
        try:
            self._http.receive_data(data)
            return self._next()
        except h11.RemoteProtocolError as error:
            if self._refusal is not None:
                # The head said it all; a body cut off or badly framed changes nothing.
                raise self._rejected(self._refusal) from None
            why = "it is TLS: is it wss://?" if data[:2] == _TLS_ALERT else str(error)[:MAX_QUOTE]
            raise HandshakeError(f"the server's answer isn't HTTP/1.1: {why}") from None

    def receive_eof(self) -> NoReturn:
        """The stream ended. Raises UpgradeRejected where a refusal's head came, else
        HandshakeError.
        """
        if self._refusal is not None:
            raise self._rejected(self._refusal)
        if not self.received:
            raise HandshakeError("the server closed the connection without any answer")
        raise HandshakeError(
            f"the server sent {self.received} bytes and no whole response to the upgrade request"
        )

    @property
    def leftover(self) -> bytes:
        """What came behind the head."""
        return self._http.trailing_data[0]

    def _next(self) -> Fields | None:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.InformationalResponse | h11.Response):
                if self.received - len(self.leftover) > self._max_head_size:
                    raise HandshakeError(
                        f"the head of the server's response is longer than {self._max_head_size} "
                        "bytes"
                    )
                if event.status_code == 101:
                    if event.http_version < b"1.1":
                        raise HandshakeError("the server's 101 response isn't HTTP/1.1")
                    return _fields(event)
                # Interim responses, such as 103, come before the one that counts.
                if isinstance(event, h11.Response):
                    self._refusal = event
            elif isinstance(event, h11.Data):
                self._body += event.data[: MAX_REJECTION_BODY - len(self._body)]
            elif not isinstance(event, h11.EndOfMessage):
                return None
            if self._refusal is not None and (
                isinstance(event, h11.EndOfMessage) or len(self._body) == MAX_REJECTION_BODY
            ):
                raise self._rejected(self._refusal)

    def _rejected(self, response: h11.Response) -> UpgradeRejected:
        return UpgradeRejected(response.status_code, _fields(response), self._body)


def _fields(response: h11.InformationalResponse | h11.Response) -> Fields:
    return [(bytes(name), bytes(value)) for name, value in response.headers]
