"""The calling end of a connection to the original: one request at a time, each in one message.

The original takes no second request before the last byte of its response is out, and reads a
request only as far as its buffer goes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import h11

from wirecore.errors import (
    InvalidMessage,
    InvalidOption,
    InvalidState,
    LocalLimitExceeded,
    without_frames,
)
from wirecore.protocols.rest import happenings
from wirecore.protocols.rest.errors import Aborted
from wirecore.protocols.rest.gohttp import (
    CORRELATION_ID,
    check_size,
    request_bytes,
    values_of,
)
from wirecore.protocols.rest.happenings import Happening, Stream
from wirecore.protocols.rest.heads import (
    Fields,
    RequestHead,
    ResponseHead,
    check_request,
    check_trailers,
    problem_of_fields,
    problem_of_response,
    received,
)

#: How long a whole request may be that the original is sure to read, head and body together, by
#: the end that serves. Beyond, its handler gets "unexpected EOF".
SAFE_SIZES: Final = {"server": 1016, "client": 4092}

#: What a body may be sent in, that is kept until it is whole.
_ROOM: Final = 1 << 62

_START: Final = b"HTTP/"


class SequentialCalling:
    """A :class:`~wirecore.protocols.rest.happenings.Wire` that only calls.

    *put*: queues a text message. *serving_peer*: which end of the WebSocket the peer is.
    *oversize*: whether a request beyond :data:`SAFE_SIZES` is refused, or sent nevertheless.
    *max_head*: bytes of a response's head. *abandon_timeout*: seconds that the rest of a response
    may take which nobody wants any more; then the connection ends. *make_id*: makes a correlation
    id for requests without one.
    """

    __slots__ = (
        "_abandon_timeout",
        "_abandoned",
        "_begun",
        "_body",
        "_deadline",
        "_make_id",
        "_max_head",
        "_oversize",
        "_parser",
        "_put",
        "_safe",
        "_serving_peer",
        "_stream",
        "problem",
    )

    def __init__(
        self,
        put: Callable[[bytes], object],
        *,
        serving_peer: Literal["server", "client"],
        oversize: Literal["refuse", "send"] = "refuse",
        max_head: int = 64 * 1024,
        abandon_timeout: float = 10.0,
        make_id: Callable[[], str],
    ) -> None:
        self._put = put
        self._serving_peer = serving_peer
        self._safe = SAFE_SIZES[serving_peer]
        self._oversize = oversize
        self._max_head = max_head
        self._abandon_timeout = abandon_timeout
        self._make_id = make_id
        self._stream: Stream | None = None
        self._body: list[bytes] = []  # of a request that isn't whole
        self._parser: h11.Connection | None = None  # while a response is awaited
        self._begun = False  # whether what came is a response
        self._abandoned = False
        self._deadline = math.inf
        self.problem: Exception | None = None

    @property
    def free(self) -> int:
        """See Wire."""
        return int(self._stream is None)

    @property
    def calling(self) -> int:
        """See Wire."""
        return int(self._stream is not None)

    # --- out ------------------------------------------------------------------------------------

    def request(
        self, head: RequestHead, data: bytes, *, end: bool, trailers: Fields = (), now: float
    ) -> Stream:
        """See Wire."""
        if self._stream is not None:
            raise InvalidState("a request is under way, and the peer takes one at a time")
        check_request(head)
        if head.method == b"CONNECT":
            raise InvalidOption("CONNECT makes a tunnel of a connection, which this one can't be")
        if not values_of(head.fields, CORRELATION_ID):
            own = (b"X-Correlation-Id", self._make_id().encode("ascii"))
            head = RequestHead(head.method, head.target, (*head.fields, own), head.scheme)
        stream = Stream(1, head, _ROOM)
        if end:
            self._send(stream, data, trailers, known=True)
        else:
            self._body = [data] if data else []
        self._stream = stream
        return stream

    def send(
        self, stream: Stream, data: bytes, *, end: bool = False, trailers: Fields = (), now: float
    ) -> None:
        """See Wire. What isn't the end is kept until that comes."""
        if stream.over:
            return
        if stream.sent_end:
            raise InvalidState("the body was ended already")
        if data:
            self._body.append(data)
        size = sum(map(len, self._body))
        if self._oversize == "refuse" and size > self._safe:
            raise self._too_long(size)
        if end:
            known = bool(values_of(stream.request.fields, b"content-length"))
            self._send(stream, b"".join(self._body), trailers, known=known)
            self._body = []

    def _send(self, stream: Stream, body: bytes, trailers: Fields, *, known: bool) -> None:
        if trailers:
            check_trailers(trailers)
        message = request_bytes(stream.request, body, trailers, known=known)
        if self._oversize == "refuse" and len(message) > self._safe:
            raise self._too_long(len(message))
        self._put(message)
        stream.sent_end = True
        self._begun = False
        self._parser = _parser_for(stream.request, self._max_head)

    def _too_long(self, size: int) -> LocalLimitExceeded:
        what = f"the size of a request that the original's {self._serving_peer} is sure to read"
        return LocalLimitExceeded(what, size, self._safe, 'oversize="send" sends it nevertheless')

    def respond(
        self,
        stream: Stream,
        head: ResponseHead,
        data: bytes = b"",
        *,
        end: bool = False,
        trailers: Fields = (),
        now: float,
    ) -> None:
        """See Wire. This end doesn't serve."""
        raise InvalidState("this end calls, on a connection with one direction")

    def reset(self, stream: Stream, why: str, now: float) -> None:
        """See Wire. What comes of the response is read and dropped, for the next one's sake."""
        if stream.over:
            return
        stream.over = True
        self._body = []
        if not stream.sent_end:
            self._stream = None
        else:
            self._abandoned = True
            self._deadline = now + self._abandon_timeout

    def consumed(self, stream: Stream, size: int) -> None:
        """See Wire. There are no windows: TCP alone slows the peer down."""

    # --- in -------------------------------------------------------------------------------------

    def receive(self, messages: Sequence[Any], now: float) -> list[Happening]:
        """See Wire."""
        happened: list[Happening] = []
        try:
            for message in messages:
                # Both one in front of a response and one behind it are the original's.
                if message and self.problem is None:
                    self._take(bytes(message), happened)
        except InvalidMessage as error:
            self.problem = without_frames(error)
        return happened

    def _take(self, message: bytes, happened: list[Happening]) -> None:
        parser, stream = self._parser, self._stream
        if parser is None or stream is None:
            raise InvalidMessage("a message came, and no request is under way")
        if not self._begun:
            # h11 would wait for the end of its first line.
            start = bytes(parser.trailing_data[0]) + message[: len(_START)]
            if not (start.startswith(_START) or _START.startswith(start)):
                raise InvalidMessage("what came in place of a response is no HTTP")
            self._begun = len(start) >= len(_START)
        parser.receive_data(message)
        while self._parser is parser:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError as error:
                raise InvalidMessage(f"the response is no HTTP: {error}") from None
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            self._tell(stream, event, happened)

    def _tell(self, stream: Stream, event: Any, happened: list[Happening]) -> None:
        if isinstance(event, h11.Data):
            data = bytes(event.data)
            if data and not self._abandoned:
                happened.append((happenings.DATA, stream, data))
        elif isinstance(event, h11.EndOfMessage):
            trailers = tuple(event.headers.raw_items())
            received(problem_of_fields(trailers))
            self._end(stream, trailers, happened)
        elif isinstance(event, h11.InformationalResponse | h11.Response):
            self._head(stream, event, happened)

    def _head(
        self,
        stream: Stream,
        event: h11.InformationalResponse | h11.Response,
        happened: list[Happening],
    ) -> None:
        fields = tuple((bytes(name), bytes(value)) for name, value in event.headers.raw_items())
        head = ResponseHead(
            event.status_code, fields, bytes(event.reason), bytes(event.http_version)
        )
        received(problem_of_response(head))
        check_size(head.fields, self._max_head)
        if isinstance(event, h11.Response):
            ids = values_of(fields, CORRELATION_ID)
            asked = values_of(stream.request.fields, CORRELATION_ID)[0]
            if ids and asked not in ids:
                raise InvalidMessage("a response came that is another request's")
            if not _end_is_known(stream.request, head):
                raise InvalidMessage(
                    "a response has no length and isn't chunked: nobody can tell where it ends"
                )
            stream.response = head
        if not self._abandoned:
            happened.append((happenings.RESPONSE, stream, head))

    def _end(self, stream: Stream, trailers: Fields, happened: list[Happening]) -> None:
        # What stands behind it in its message is dropped, as the original does.
        self._parser = self._stream = None
        stream.received_end = True
        if not self._abandoned:
            happened.append((happenings.END, stream, trailers))
        stream.over = True
        self._abandoned = False
        self._deadline = math.inf
        happened.append((happenings.IDLE, None, None))

    # --- time, and the end ------------------------------------------------------------------------

    def expire(self, now: float) -> list[Happening]:
        """See Wire."""
        if now >= self._deadline:
            self._deadline = math.inf
            self.problem = Aborted(
                "the rest of a response that nobody wants didn't come within "
                f"{self._abandon_timeout:g} s, and no other request can go before it"
            )
        return []

    def next_deadline(self) -> float:
        """See Wire."""
        return self._deadline

    def lost(self) -> list[Stream]:
        """See Wire."""
        stream, self._stream = self._stream, None
        self._parser = None
        self._deadline = math.inf
        if stream is None or stream.over:
            return []
        stream.over = True
        return [stream]


def _parser_for(request: RequestHead, max_head: int) -> h11.Connection:
    """What reads the response to *request*: a parser of its own, as none survives a mistake."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=max_head)
    # All that decides how a response is read is the method; it is written elsewhere.
    method = b"HEAD" if request.method == b"HEAD" else b"GET"
    parser.send(h11.Request(method=method, target=b"/", headers=[(b"Host", b"")]))
    parser.send(h11.EndOfMessage())
    return parser


def _end_is_known(request: RequestHead, head: ResponseHead) -> bool:
    """RFC 9112 section 6.3, without the end of the stream, which isn't one here."""
    if request.method == b"HEAD" or head.status in (204, 304):
        return True
    return bool(
        values_of(head.fields, b"content-length") or values_of(head.fields, b"transfer-encoding")
    )
