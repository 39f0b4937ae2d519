"""The serving end of a connection to the original: each message is a request, one after another.

The original gives up on a response whose head it hasn't after 10 seconds, and its process dies of
one that comes later; so what isn't answered by then is answered here.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import h11

from wirecore.errors import (
    InvalidMessage,
    InvalidOption,
    InvalidState,
    RemoteLimitExceeded,
    without_frames,
)
from wirecore.protocols.rest import happenings
from wirecore.protocols.rest.errors import Aborted
from wirecore.protocols.rest.gohttp import (
    CORRELATION_ID,
    KNOWN_LENGTH,
    check_size,
    chunk,
    last_chunk,
    response_start,
    values_of,
)
from wirecore.protocols.rest.happenings import Happening, Stream
from wirecore.protocols.rest.heads import (
    Fields,
    RequestHead,
    ResponseHead,
    announced_length,
    check_response,
    check_trailers,
    problem_of_fields,
    problem_of_request,
    received,
)

#: Requests that may wait for the one before them to be answered. The original sends none.
MAX_WAITING: Final = 16

_ROOM: Final = 1 << 62
_TEXT: Final = (b"Content-Type", b"text/plain; charset=utf-8")

#: The first line of a request and what may be told of its head without parsing it.
_FIRST: Final = re.compile(rb"(?:\r?\n)*([^\r\n]*?)(?<! )[ ]+HTTP/([0-9])\.([0-9])[ ]*(\r?\n)")
_HOST: Final = re.compile(rb"\nhost[ \t]*:", re.IGNORECASE)
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_ABSOLUTE: Final = re.compile(rb"(?i:(https?|wss?)://)([^/?#]*)([^#]*)")


class SequentialServing:
    """A :class:`~wirecore.protocols.rest.happenings.Wire` that only serves.

    *put*: queues a text message. *head_timeout*: seconds within which the head of a response has to
    be there; then 504 is sent in its place; None: for ever. *max_head*: bytes of a request's head.
    *make_date*: what the Date of a response says.
    """

    __slots__ = (
        "_chunked",
        "_deadline",
        "_due",
        "_head_timeout",
        "_left",
        "_make_date",
        "_max_head",
        "_put",
        "_sends_body",
        "_stream",
        "_waiting",
        "problem",
    )

    def __init__(
        self,
        put: Callable[[bytes], object],
        *,
        head_timeout: float | None = 9.0,
        max_head: int = 64 * 1024,
        make_date: Callable[[], bytes],
    ) -> None:
        self._put = put
        self._head_timeout = math.inf if head_timeout is None else head_timeout
        self._max_head = max_head
        self._make_date = make_date
        self._stream: Stream | None = None
        self._waiting: deque[bytes] = deque()
        self._due = math.inf  # when the next that waits can be looked at
        self._deadline = math.inf  # of the response's head
        self._chunked = False
        self._sends_body = True
        self._left = math.inf  # bytes of the body that its head has announced
        self.problem: Exception | None = None

    @property
    def free(self) -> int:
        """See Wire. Who calls is told that this end doesn't."""
        return 1

    @property
    def calling(self) -> int:
        """See Wire."""
        return 0

    # --- in -------------------------------------------------------------------------------------

    def receive(self, messages: Sequence[Any], now: float) -> list[Happening]:
        """See Wire."""
        happened: list[Happening] = []
        for message in messages:
            if self.problem is not None:
                break
            if self._stream is None and not self._waiting:
                self._take(bytes(message), happened, now)
            elif len(self._waiting) < MAX_WAITING:
                self._waiting.append(bytes(message))
            else:
                self.problem = RemoteLimitExceeded(
                    "requests that wait for the one before them", MAX_WAITING + 1, MAX_WAITING
                )
        return happened

    def _take(self, message: bytes, happened: list[Happening], now: float) -> None:
        try:
            head, body, trailers = read_request(message, self._max_head)
        except InvalidMessage as error:
            # A message ends where it ends: the next one may be a request.
            self._refuse(str(without_frames(error)))
            return
        stream = Stream(1, head, _ROOM)
        stream.received_end = True
        self._stream = stream
        self._deadline = now + self._head_timeout
        happened.append((happenings.REQUEST, stream, None))
        if body:
            happened.append((happenings.DATA, stream, body))
        happened.append((happenings.END, stream, trailers))

    def _refuse(self, why: str) -> None:
        body = f"{why}\n".encode("utf-8", "replace")
        head = ResponseHead(400, (_TEXT,))
        start = response_start(
            head,
            date=self._make_date(),
            length=len(body),
            chunked=False,
            trailers=(),
            correlation_id=None,
        )
        self._put(start + body)

    # --- out ------------------------------------------------------------------------------------

    def request(
        self, head: RequestHead, data: bytes, *, end: bool, trailers: Fields = (), now: float
    ) -> Stream:
        """See Wire. This end doesn't call."""
        raise InvalidState("this end serves, on a connection with one direction")

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
        """See Wire. Heads of 1xx aren't sent: the original takes the first for the response."""
        if stream.over:
            return
        if stream.response is not None:
            raise InvalidState("the head of the response was sent already")
        check_response(head)
        if trailers:
            check_trailers(trailers)
        if head.status < 200:
            return
        start = self._start(stream, head, data, trailers, end=end)
        body = self._carried(data, end=end)
        if end and self._chunked:
            body += last_chunk(trailers)
        self._put(start + body)
        self._deadline = math.inf
        stream.response = head
        if end:
            self._end(stream, now)

    def _start(
        self, stream: Stream, head: ResponseHead, data: bytes, trailers: Fields, *, end: bool
    ) -> bytes:
        request = stream.request
        is_old = request.version == b"1.0"
        told = bool(values_of(head.fields, b"content-length"))
        bodiless = head.status in (204, 304)
        self._sends_body = not bodiless and request.method != b"HEAD"
        self._chunked = False
        length: int | None = None
        if bodiless:
            head = _without_length(head)
        elif not told and end and not trailers and (len(data) <= KNOWN_LENGTH or is_old):
            # For HEAD nobody but the application knows what GET would have.
            length = len(data) if self._sends_body or data else None
        elif not told and self._sends_body and not is_old:
            self._chunked = True
        length_told = announced_length(head.fields) if self._sends_body else None
        self._left = math.inf if length_told is None else length_told
        ids = values_of(request.fields, CORRELATION_ID)
        return response_start(
            ResponseHead(head.status, head.fields, head.reason, b"1.0" if is_old else b"1.1"),
            date=self._make_date(),
            length=length,
            chunked=self._chunked,
            trailers=trailers if self._chunked else (),
            correlation_id=ids[0] if ids else None,
        )

    def _carried(self, data: bytes, *, end: bool) -> bytes:
        if not self._sends_body:
            return b""
        left = self._left - len(data)
        if left < 0 or (end and 0 < left < math.inf):
            raise InvalidOption("a body isn't as long as its Content-Length says")
        self._left = left
        return chunk(data) if self._chunked else data

    def send(
        self, stream: Stream, data: bytes, *, end: bool = False, trailers: Fields = (), now: float
    ) -> None:
        """See Wire. Each is one message; an empty one isn't sent: the original stops at it."""
        if stream.over:
            return
        if stream.response is None or stream.sent_end:
            raise InvalidState("a body has its place between the head and the end of a response")
        if trailers:
            check_trailers(trailers)
        message = self._carried(data, end=end)
        if end and self._chunked:
            message += last_chunk(trailers)
        if message:
            self._put(message)
        if end:
            self._end(stream, now)

    def _end(self, stream: Stream, now: float) -> None:
        stream.sent_end = stream.over = True
        self._stream = None
        if self._waiting:
            self._due = now

    def reset(self, stream: Stream, why: str, now: float) -> None:
        """See Wire. Where the head is out nothing else ends the response: the connection ends."""
        if stream.over:
            return
        if stream.response is None:
            body = b"the request was given up\n"
            head = ResponseHead(500, (_TEXT,))
            self.respond(stream, head, body, end=True, now=now)
        else:
            stream.over = True
            self._stream = None
            self.problem = Aborted(f"a response broke off: {why}")

    def consumed(self, stream: Stream, size: int) -> None:
        """See Wire. A request is there as a whole."""

    # --- time, and the end ------------------------------------------------------------------------

    def expire(self, now: float) -> list[Happening]:
        """See Wire."""
        happened: list[Happening] = []
        stream = self._stream
        if now >= self._deadline and stream is not None:
            head = ResponseHead(504, (_TEXT,))
            self.respond(stream, head, b"the application took too long\n", end=True, now=now)
            error = Aborted(f"no answer within {self._head_timeout:g} s: the caller got 504")
            happened.append((happenings.RESET, stream, error))
        if now >= self._due:
            self._due = math.inf
            while self._stream is None and self._waiting:
                self._take(self._waiting.popleft(), happened, now)
        return happened

    def next_deadline(self) -> float:
        """See Wire."""
        if self._stream is None:
            return self._due
        return min(self._deadline, self._due)

    def lost(self) -> list[Stream]:
        """See Wire."""
        stream, self._stream = self._stream, None
        self._waiting.clear()
        self._deadline = self._due = math.inf
        if stream is None or stream.over:
            return []
        stream.over = True
        return [stream]


def read_request(message: bytes, max_head: int) -> tuple[RequestHead, bytes, Fields]:
    """The request that is in *message*, its body and its trailers; what follows it is dropped.

    Read as leniently as the original does: HTTP/1.0 and any later version, no Host, an absolute
    URI, whose host counts then, bare line feeds.

    Raises :class:`~wirecore.errors.InvalidMessage` for what is none.
    """
    first = _FIRST.match(message)
    if first is None:
        raise InvalidMessage("the message is no HTTP request")
    verb, _, target = first[1].partition(b" ")
    version = b"1.0" if first[2] == b"1" and first[3] == b"0" else b"1.1"
    if first[2] == b"0":
        raise InvalidMessage("the request is in a version of HTTP before 1.0")
    line = b"%b %b HTTP/%b%b" % (verb, target, version, first[4])
    rest = message[first.end() :]
    end = _END_OF_HEAD.search(message, first.end() - len(first[4]))
    head = b"\n" + (rest if end is None else message[first.end() : end.start()])
    if _HOST.search(head) is None:
        line += b"Host:" + first[4]  # h11 insists
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=max_head)
    parser.receive_data(line + rest)
    body: list[bytes] = []
    try:
        request = parser.next_event()
        if not isinstance(request, h11.Request):
            raise InvalidMessage("the request's head isn't whole")
        while isinstance(event := parser.next_event(), h11.Data):
            body.append(bytes(event.data))
    except h11.RemoteProtocolError as error:
        raise InvalidMessage(f"the request is no HTTP: {error}") from None
    if not isinstance(event, h11.EndOfMessage):
        raise InvalidMessage("the request's body isn't whole")
    found = _head_of(request, version)
    trailers = tuple(event.headers.raw_items())
    received(problem_of_request(found) or problem_of_fields(trailers))
    check_size(found.fields, max_head)
    return found, b"".join(body), trailers


def _head_of(request: h11.Request, version: bytes) -> RequestHead:
    fields = [(bytes(name), bytes(value)) for name, value in request.headers.raw_items()]
    target = bytes(request.target)
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:
        target = absolute[3] if absolute[3].startswith(b"/") else b"/" + absolute[3]
        fields = [field for field in fields if field[0].lower() != b"host"]
        fields.insert(0, (b"Host", absolute[2]))
    return RequestHead(bytes(request.method), target, tuple(fields), version=version)


def _without_length(head: ResponseHead) -> ResponseHead:
    left_out = (b"content-length", b"content-type") if head.status == 304 else (b"content-length",)
    fields = [field for field in head.fields if field[0].lower() not in left_out]
    return ResponseHead(head.status, fields, head.reason)
