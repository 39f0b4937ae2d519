"""The wire between our own ends: many exchanges at once, both ways, each with its window."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from wirecore.errors import (
    InvalidMessage,
    InvalidOption,
    InvalidState,
    LocalLimitExceeded,
    RemoteLimitExceeded,
    printable,
    without_frames,
)
from wirecore.protocols.rest import frames, happenings
from wirecore.protocols.rest.errors import Aborted, Refused
from wirecore.protocols.rest.happenings import Happening, Stream
from wirecore.protocols.rest.heads import (
    Fields,
    RequestHead,
    ResponseHead,
    announced_length,
    check_request,
    check_response,
    check_trailers,
)
from wirecore.protocols.rest.windows import INITIAL, LARGEST, Windows
from wirecore.session.limits import check_at_least

#: Bytes of body in one frame: what is sent on other streams has its turn between two.
PIECE: Final = 64 * 1024

#: Bytes of a head, or of trailers, with all around them.
DEFAULT_MAX_HEAD: Final = 64 * 1024

#: Requests of one end without a whole response.
DEFAULT_MAX_STREAMS: Final = 1024

_LAST_ID: Final = (1 << 32) - 1
_LEAVE: Final = b'{"leave":true}'
_LARGEST_CONTROL: Final = 1024


class Multiplexed:
    """One end of a connection; a :class:`~wirecore.protocols.rest.happenings.Wire`.

    *put*: queues a binary message. *client*: which end it is. *max_streams*: requests without a
    whole response, of each end. *max_head*: bytes of a head. *max_window* and *window_budget*: see
    :mod:`wirecore.protocols.rest.windows`.

    Raises :class:`~wirecore.errors.InvalidOption` for an option that makes no sense.
    """

    __slots__ = (
        "_last_theirs",
        "_left",
        "_max_head",
        "_max_streams",
        "_next",
        "_ours",
        "_put",
        "_theirs",
        "_windows",
        "problem",
    )

    def __init__(
        self,
        put: Callable[[bytes], object],
        *,
        client: bool,
        max_streams: int = DEFAULT_MAX_STREAMS,
        max_head: int = DEFAULT_MAX_HEAD,
        max_window: int = 4 * 1024 * 1024,
        window_budget: int = 64 * 1024 * 1024,
    ) -> None:
        check_at_least("max_streams", max_streams, 1)
        check_at_least("max_head", max_head, 1024)
        self._put = put
        self._max_streams = max_streams
        self._max_head = max_head
        self._windows = Windows(max_window, window_budget)
        self._next = 1 if client else 2
        self._last_theirs = 0 if client else -1
        self._ours: dict[int, Stream] = {}
        self._theirs: dict[int, Stream] = {}
        self._left = False
        self.problem: Exception | None = None

    @property
    def free(self) -> int:
        """See Wire."""
        return self._max_streams - len(self._ours)

    @property
    def calling(self) -> int:
        """See Wire."""
        return len(self._ours)

    # --- out ------------------------------------------------------------------------------------

    def request(
        self, head: RequestHead, data: bytes, *, end: bool, trailers: Fields = (), now: float
    ) -> Stream:
        """See Wire."""
        if len(self._ours) >= self._max_streams:
            raise InvalidState(f"{self._max_streams} requests are without a response")
        if self._next > _LAST_ID:
            raise InvalidState("all numbers of requests are used up: make a new connection")
        check_request(head)
        if trailers:
            check_trailers(trailers)
        first = _first(data, INITIAL)
        number = self._next
        last = end and not trailers and len(first) == len(data)
        frame = frames.encode_request(number, head, first, end=last)
        self._check_head(len(frame) - len(first))
        stream = Stream(number, head, INITIAL - len(first), INITIAL)
        stream.to_send = _length(head.fields)
        _count_sent(stream, len(first), end=last)
        self._put(frame)
        self._next += 2
        self._ours[number] = stream
        if last:
            stream.sent_end = True
        elif end or len(first) < len(data):
            self.send(stream, data[len(first) :], end=end, trailers=trailers, now=now)
        return stream

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
        """See Wire."""
        if stream.over:
            return
        if stream.response is not None:
            raise InvalidState("the head of the response was sent already")
        check_response(head)
        if head.status == 101 and not stream.request.is_websocket:
            raise InvalidOption("101 grants a WebSocket, and none was asked for")
        if trailers:
            check_trailers(trailers)
        first = _first(data, stream.room)
        last = end and not trailers and len(first) == len(data)
        frame = frames.encode_response(stream.id, head, first, end=last)
        self._check_head(len(frame) - len(first))
        if head.status >= 200 and not _is_bodiless(stream, head):
            stream.to_send = _length(head.fields)
        _count_sent(stream, len(first), end=last)
        self._put(frame)
        if head.status >= 200 or head.status == 101:
            stream.response = head
        stream.room -= len(first)
        if last:
            self._sent_end(stream)
        elif end or len(first) < len(data):
            self.send(stream, data[len(first) :], end=end, trailers=trailers, now=now)

    def send(
        self, stream: Stream, data: bytes, *, end: bool = False, trailers: Fields = (), now: float
    ) -> None:
        """See Wire."""
        if stream.over:
            return
        if stream.sent_end:
            raise InvalidState("the body was ended already")
        size = len(data)
        if size > stream.room:
            raise LocalLimitExceeded("the window", size, stream.room)
        _count_sent(stream, size, end=end)
        if trailers:
            check_trailers(trailers)
            tail = frames.encode_trailers(stream.id, trailers)
            self._check_head(len(tail))
        view = memoryview(data)
        at = 0
        while at < size or (end and not trailers and not size):
            piece = view[at : at + PIECE]
            at += len(piece)
            last = end and not trailers and at == size
            self._put(frames.encode_data(stream.id, piece, end=last))
            stream.room -= len(piece)
            if last:
                break
        if trailers:
            self._put(tail)
        if end:
            self._sent_end(stream)

    def reset(self, stream: Stream, why: str, now: float) -> None:
        """See Wire."""
        if not stream.over:
            self._forget(stream)  # it is over here, whatever becomes of telling so
            self._put(frames.encode_reset(stream.id, why[:200]))

    def consumed(self, stream: Stream, size: int) -> None:
        """See Wire."""
        if stream.over or stream.received_end:
            return
        stream.unread += size
        more = self._windows.grant(stream.id, stream.unread)
        if more:
            stream.unread = 0
            stream.window += more
            self._put(frames.encode_window(stream.id, more))

    def leave(self) -> None:
        """Tell the peer that this end wants no more requests. Idempotent."""
        if not self._left:
            self._left = True
            self._put(frames.encode_control(_LEAVE))

    def _check_head(self, size: int) -> None:
        if size > self._max_head:
            raise LocalLimitExceeded("max_head", size, self._max_head)

    def _sent_end(self, stream: Stream) -> None:
        stream.sent_end = True
        if stream.received_end:
            self._forget(stream)
        # Where the peer still sends its request nobody wants the rest, and it will be told to stop
        # by its own end, which has the response now.

    def _forget(self, stream: Stream) -> None:
        stream.over = True
        self._windows.forget(stream.id)
        self._ours.pop(stream.id, None)
        self._theirs.pop(stream.id, None)

    # --- in -------------------------------------------------------------------------------------

    def receive(self, messages: Sequence[Any], now: float) -> list[Happening]:
        """See Wire. What comes behind a broken rule is passed over."""
        happened: list[Happening] = []
        if self.problem is None:
            try:
                for message in messages:
                    if type(message) is not bytes:
                        raise InvalidMessage("a text message came where frames are binary")
                    self._take(message, happened)
            except (InvalidMessage, RemoteLimitExceeded) as error:
                self.problem = without_frames(error)
            except LocalLimitExceeded as error:
                # What frames are answered with piles up: it goes on asking, and doesn't read.
                self.problem = RemoteLimitExceeded(
                    error.limit, error.figure, error.bound, "the peer doesn't read"
                )
        return happened

    def _take(self, message: bytes, happened: list[Happening]) -> None:
        kind, number = frames.decode_head(message)
        end = kind >= frames.END
        kind &= ~frames.END
        stream = self._ours.get(number) or self._theirs.get(number)
        if stream is None:
            if kind == frames.REQUEST:
                self._requested(number, message, end, happened)
            elif kind == frames.CONTROL and number == 0:
                self._controlled(message, happened)
            elif not self._is_past(number):
                raise InvalidMessage("a frame is of a stream that there never was")
            # Else it was on its way when this end gave the exchange up.
        elif kind == frames.DATA:
            self._data(stream, message[frames.HEAD_SIZE :], end, happened)
        elif kind == frames.RESPONSE and number in self._ours:
            self._responded(stream, message, end, happened)
        elif kind == frames.TRAILERS:
            self._check_size(message)
            self._end(stream, frames.decode_trailers(message), happened)
        elif kind == frames.WINDOW:
            self._widened(stream, frames.decode_window(message), happened)
        elif kind == frames.RESET:
            self._was_reset(stream, frames.decode_reset(message), happened)
        else:
            raise InvalidMessage(f"a frame of kind {kind} has no place in its stream")

    def _is_past(self, number: int) -> bool:
        if number % 2 == self._next % 2:
            return 0 < number < self._next
        return 0 < number <= self._last_theirs

    def _check_size(self, message: bytes, body: int = 0) -> None:
        if len(message) - body > self._max_head:
            raise RemoteLimitExceeded("max_head", len(message) - body, self._max_head)

    def _requested(self, number: int, message: bytes, end: bool, happened: list[Happening]) -> None:
        if number % 2 == self._next % 2 or number <= self._last_theirs:
            raise InvalidMessage("a request has a number that isn't its sender's to give now")
        head, data = frames.decode_request(message)
        self._last_theirs = number
        if len(message) - len(data) > self._max_head:
            # The head is its caller's, and the others' requests over this connection are not: what
            # such a message takes is bounded all the same.
            text = f"the head is longer than {self._max_head} bytes"
            self._put(frames.encode_refusal(number, "max_head", text))
            return
        if len(self._theirs) >= self._max_streams:
            # The peer waits for fewer of them; it may count otherwise while one is on its way.
            text = "too many requests at once"
            self._put(frames.encode_refusal(number, "max_streams", text))
            return
        stream = Stream(number, head, INITIAL, INITIAL)
        stream.to_come = _length(head.fields)
        self._theirs[number] = stream
        happened.append((happenings.REQUEST, stream, None))
        if data or end:
            self._data(stream, data, end, happened)

    def _responded(
        self, stream: Stream, message: bytes, end: bool, happened: list[Happening]
    ) -> None:
        if stream.response is not None:
            raise InvalidMessage("a second response came for one request")
        head, data = frames.decode_response(message)
        self._check_size(message, len(data))
        if head.status == 101 and not stream.request.is_websocket:
            raise InvalidMessage("a WebSocket was granted, and none was asked for")
        if head.status >= 200 or head.status == 101:
            stream.response = head
            if not _is_bodiless(stream, head):
                stream.to_come = _length(head.fields)
        elif data or end:
            raise InvalidMessage("a response that isn't the final one has a body")
        happened.append((happenings.RESPONSE, stream, head))
        if data or end:
            self._data(stream, data, end, happened)

    def _data(self, stream: Stream, data: bytes, end: bool, happened: list[Happening]) -> None:
        if stream.received_end:
            raise InvalidMessage("a body goes on behind its end")
        if stream.id in self._ours and stream.response is None:
            raise InvalidMessage("a body came before the head of its response")
        size = len(data)
        if size > stream.window:
            raise RemoteLimitExceeded("the window", size, stream.window)
        stream.window -= size
        stream.to_come -= size
        if stream.to_come < 0:
            raise InvalidMessage("a body is longer than its Content-Length says")
        if stream.sent_end and stream.id in self._theirs:
            data = b""  # the response is out, and nobody reads the request any more
        if data:
            happened.append((happenings.DATA, stream, data))
        if end:
            self._end(stream, (), happened)

    def _end(self, stream: Stream, trailers: Fields, happened: list[Happening]) -> None:
        if stream.received_end:
            raise InvalidMessage("a body has a second end")
        if 0 < stream.to_come < math.inf:
            raise InvalidMessage("a body is shorter than its Content-Length says")
        if stream.id in self._ours:
            if stream.response is None:
                raise InvalidMessage("a body ended before the head of its response")
            if not stream.sent_end:
                # It has its response: what is left of the request interests nobody.
                self._put(frames.encode_reset(stream.id, ""))
                stream.sent_end = True
        stream.received_end = True
        happened.append((happenings.END, stream, trailers))
        if stream.sent_end:
            self._forget(stream)

    def _widened(self, stream: Stream, more: int, happened: list[Happening]) -> None:
        before = stream.room
        if before + more > LARGEST:
            raise InvalidMessage("a window has grown beyond 31 bits")
        stream.room = before + more
        if not before and not stream.sent_end:
            happened.append((happenings.ROOM, stream, None))

    def _was_reset(self, stream: Stream, why: str, happened: list[Happening]) -> None:
        quiet = stream.sent_end and stream.id in self._theirs  # it has its response
        is_ours = stream.id in self._ours
        self._forget(stream)
        if not quiet:
            limit = frames.refused_limit(why)
            error: Aborted
            if limit and is_ours and stream.response is None:
                error = Refused(f"the peer takes no such request: {printable(why)}", limit)
            else:
                error = Aborted(
                    f"the peer gave the exchange up: {printable(why) or 'it did not say why'}"
                )
            happened.append((happenings.RESET, stream, error))

    def _controlled(self, message: bytes, happened: list[Happening]) -> None:
        """What is unknown is passed over: a newer peer may say more."""
        if len(message) > _LARGEST_CONTROL:
            return
        try:
            said = json.loads(message[frames.HEAD_SIZE :])
        except (ValueError, RecursionError):
            return
        if isinstance(said, dict) and said.get("leave") is True:
            happened.append((happenings.LEAVING, None, None))

    # --- time, and the end ------------------------------------------------------------------------

    def expire(self, now: float) -> list[Happening]:
        """See Wire."""
        return []

    def next_deadline(self) -> float:
        """See Wire."""
        return math.inf

    def lost(self) -> list[Stream]:
        """See Wire."""
        streams = [*self._ours.values(), *self._theirs.values()]
        for stream in streams:
            stream.over = True
        self._ours.clear()
        self._theirs.clear()
        return streams


def _first(data: bytes, room: int) -> bytes:
    """What of *data* goes with the head."""
    if len(data) > room:
        raise LocalLimitExceeded("the window", len(data), room)
    return data if len(data) <= PIECE else data[:PIECE]


def _length(fields: Fields) -> float:
    """How long a body is to be, as its head says, which was checked."""
    length = announced_length(fields)
    return math.inf if length is None else length


def _is_bodiless(stream: Stream, head: ResponseHead) -> bool:
    """Whether a length tells what another request would get: RFC 9110 section 8.6."""
    return stream.request.method == b"HEAD" or head.status in (204, 304)


def _count_sent(stream: Stream, size: int, *, end: bool) -> None:
    """Raise InvalidOption where a body won't be as long as was told; nothing was sent then."""
    left = stream.to_send - size
    if left < 0 or (end and 0 < left < math.inf):
        raise InvalidOption("a body isn't as long as its Content-Length says")
    stream.to_send = left
