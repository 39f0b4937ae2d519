"""The server's side of the opening handshake: RFC 6455 section 4.2."""

from __future__ import annotations

from sys import intern

from wirecore.errors import HandshakeError, InvalidState
from wirecore.events import Buffer
from wirecore.websocket.deflate import DeflateOffer
from wirecore.websocket.handshake import (
    DEFAULT_MAX_HEAD_SIZE,
    HANDSHAKE_FIELDS,
    MAX_QUOTE,
    Accepted,
    shared,
)
from wirecore.websocket.http import Response, UserFields, check_fields
from wirecore.websocket.request import Request, problem_response


class BadRequest(HandshakeError):
    """What came isn't an HTTP request, or its head is too large.

    *response*: what to send before the stream is closed; b"" where nobody would read it.
    """

    def __init__(self, message: str, response: bytes) -> None:
        super().__init__(message)
        self.response = response


class ServerHandshake:
    """Reads one request, and makes the answer: an upgrade or an ordinary response.

    *max_head_size*: bound on request line and header, in bytes.
    """

    def __init__(self, *, max_head_size: int = DEFAULT_MAX_HEAD_SIZE) -> None:
        # Here and below: h11 and wsproto load with the first handshake.
        import h11

        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=max_head_size)
        self._max_head_size = max_head_size
        self._received = 0
        self._request: Request | None = None
        self._accepted: Accepted | None = None
        self._answered = False

    def receive(self, data: Buffer) -> Request | None:
        """Bytes came: the request once its head is whole, None before.

        Raises :class:`BadRequest` for what isn't a request or is too large, and
        :class:`~wirecore.errors.InvalidState` once the request was there: what comes then is the
        connection's.
        """
        if self._request is not None:
            raise InvalidState("the request is there; what comes next belongs to the connection")
        if not data:
            return None
        import h11

        self._received += len(data)
        try:
            self._http.receive_data(bytes(data))
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise self._bad(error.error_status_hint, str(error)[:MAX_QUOTE]) from None
        if not isinstance(event, h11.Request):
            return None
        if self._received - len(self.leftover) > self._max_head_size:
            raise self._bad(431, "the head is too large")
        self._request = Request(
            method=intern(event.method.decode("ascii")),
            target=event.target.decode("ascii"),
            headers=[(shared(bytes(name)), shared(bytes(value))) for name, value in event.headers],
            http_version=intern(event.http_version.decode("ascii")),
        )
        return self._request

    def receive_eof(self) -> None:
        """The stream ended before the request was whole: raises :class:`BadRequest`."""
        raise BadRequest(
            f"the peer closed the connection after {self._received} bytes of its request", b""
        )

    @property
    def leftover(self) -> bytes:
        """What came behind the head: the connection's first bytes, or a request's body."""
        return self._http.trailing_data[0]

    @property
    def accepted(self) -> Accepted:
        """What was agreed on. Raises InvalidState before :meth:`accept`."""
        if self._accepted is None:
            raise InvalidState("the upgrade wasn't accepted")
        return self._accepted

    def accept(
        self,
        *,
        subprotocol: str | None = None,
        headers: UserFields = (),
        compression: DeflateOffer | None = None,
    ) -> bytes:
        """The 101 response; the connection is open once it is sent.

        *subprotocol*: one of the request's, or None. *compression*: what this end wants of it,
        None for none; it is off as well where the client didn't offer what can be met.
        Raises :class:`~wirecore.errors.InvalidOption` for a subprotocol not asked for or a
        header field that can't be sent, and :class:`~wirecore.errors.InvalidState` where there
        is no proper upgrade request or it was answered.
        """
        request = self._unanswered()
        if request.problem is not None:
            raise InvalidState("the request isn't a proper upgrade: respond to it")
        from wirecore.websocket.upgrade import accept_upgrade

        answer, self._accepted = accept_upgrade(
            request,
            subprotocol=subprotocol,
            headers=check_fields(headers, HANDSHAKE_FIELDS),
            compression=compression,
        )
        self._answered = True
        return answer

    def respond(self, response: Response) -> bytes:
        """*response* as bytes; the stream is to be closed once they are sent.

        Raises :class:`~wirecore.errors.InvalidState` where there is no request yet or it was
        answered.
        """
        request = self._unanswered()
        self._answered = True
        return response.encode(head_only=request.method == "HEAD")

    def _unanswered(self) -> Request:
        if self._request is None:
            raise InvalidState("the request isn't there yet")
        if self._answered:
            raise InvalidState("the request was answered already")
        return self._request

    def _bad(self, status: int, why: str) -> BadRequest:
        text = {
            431: f"the request's head is longer than {self._max_head_size} bytes",
            501: "this transfer coding isn't supported",
        }.get(status, "this isn't an HTTP/1.1 request")
        return BadRequest(f"{text}: {why}", problem_response(status, text).encode())
