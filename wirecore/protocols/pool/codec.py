"""What the pool's sessions want of a codec: each end of the calls as bytes, in either direction.

A connection carries calls one way: one end calls, the other serves. Both are objects that live as
long as the connection. They are fed with bytes in any cut; what they make to send is a list, each
item of which was one write of the original's and becomes one WebSocket message. All items must be
sent, in the order in which they were made.

Errors tell by their type what is left. :class:`~wirecore.errors.InvalidStream`: nothing, close the
connection. :class:`~wirecore.errors.InvalidValue`: everything, a value was passed over; where it
is an argument, its text is what the original answers. :class:`~wirecore.errors.LocalError` (an
``UnsendableMessage`` for a value, ``LocalLimitExceeded`` for one that is too large,
``InvalidGobType`` and ``InvalidJsonType`` for types): everything, and nothing was sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    NamedTuple,
    Protocol,
    TypeAlias,
)

from wirecore.errors import InvalidState
from wirecore.gob.decoder import NEED_DATA, NeedData
from wirecore.gob.raw import Raw
from wirecore.gob.schema import gob_type
from wirecore.gob_rules import Kind
from wirecore.gojson.raw import RawJson

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable

#: Stands for an empty error text, which would say that all went well.
NO_ERROR_TEXT: Final = "unspecified error"

#: The largest number of a call.
MAX_SEQ: Final = (1 << 64) - 1

Buffer: TypeAlias = bytes | bytearray | memoryview


class Request(NamedTuple):
    """A call that came. *id* is the codec's own: what the answer to it must say."""

    id: Any
    method: str


class Response(NamedTuple):
    """An answer to the call numbered *seq*; *error* is its text, None for a success."""

    seq: int
    error: str | None


class Answer(NamedTuple):
    """What came of *call*: a *value*, or an *error*, which is None then.

    *error*: an :class:`~wirecore.errors.RpcError` that the peer answered, an
    :class:`~wirecore.errors.InvalidValue` for a result that isn't of the call's annotation,
    :class:`~wirecore.errors.LocalError` for an annotation that is no type, or
    :data:`~wirecore.protocols.pool.calling.TIMED_OUT`.
    """

    call: Any
    value: Any
    error: Exception | None


class Incoming(NamedTuple):
    """A request that came: *target* is what ``find`` gave, *size* the bytes that it took."""

    request: Request
    target: Any
    argument: Any
    size: int


class CallingCodec(Protocol):
    """The end that calls."""

    @property
    def write(self) -> Callable[[int, str, Any, Any], bytes | None]:
        """A faster :meth:`encode_request`, for what is usual and one message; None: it isn't."""

    @property
    def spent(self) -> bool:
        """Whether nothing that came is left to look at."""

    def encode_request(self, seq: int, method: str, argument: Any, annotation: Any) -> list[bytes]:
        """A call, numbered *seq*, of *argument*, which is an *annotation*."""

    def feed(self, data: Buffer) -> None:
        """Take in any part of the stream of answers."""

    def take_answers(self, table: CallTable[int, Any], answers: list[Answer], most: int) -> None:
        """Add to *answers* those at hand, until it has *most*; their calls leave *table*.

        A faster way for what is usual: it stops, with all as it was, before an answer that isn't,
        that tells an error, or that nobody waits for. :meth:`next_response` is for those, and
        for the result of the last one of these.
        """

    def next_response(self) -> Response | NeedData:
        """The next answer, of whose result then is to be asked, or to be passed over."""

    def result(self, annotation: Any) -> Any:
        """The result of that answer, read as *annotation*; NEED_DATA where it isn't all there."""

    def skip_result(self) -> Literal[True] | NeedData:
        """Pass over what goes with that answer: always where it says an error."""

    def finish(self) -> None:
        """Say that no more bytes come: an InvalidStream where that is within an answer."""


class ServingCodec(Protocol):
    """The end that serves. Requests may be answered in any order."""

    @property
    def write(self) -> Callable[[Any, str, Any, Any], bytes | None]:
        """A faster :meth:`encode_response`, which takes id and method in place of the request."""

    @property
    def buffered(self) -> int:
        """Bytes that came and weren't looked at yet."""

    @property
    def spent(self) -> bool:
        """Whether nothing that came is left to look at."""

    def feed(self, data: Buffer) -> None:
        """Take in any part of the stream of requests."""

    def take_requests(
        self, find: Callable[[str], Any], incoming: list[Incoming], most: int, left: int
    ) -> tuple[int, Any]:
        """Add to *incoming* the requests at hand, until it has *most*.

        *left*: bytes that came, and weren't counted for a request yet. *find*: what serves a
        method and has its ``argument``'s annotation, or a str; it may be asked again for a
        request that isn't whole. A faster way for what is usual: it stops, with all as it was,
        before a request that isn't, or that nobody serves. Returned are what remains of *left*,
        and what *find* gave for the next request, if it was asked.
        """

    def next_request(self) -> Request | NeedData:
        """The next request, of whose argument then is to be asked, or to be passed over."""

    def argument(self, annotation: Any) -> Any:
        """The argument of that request, read as *annotation*; NEED_DATA: it isn't all there."""

    def skip_argument(self) -> Literal[True] | NeedData:
        """Pass over the argument of that request."""

    def encode_response(self, request: Request, value: Any, annotation: Any) -> list[bytes]:
        """The answer to *request*: *value*, which is an *annotation*."""

    def encode_error(self, request: Request, text: str) -> list[bytes]:
        """The answer to *request* that it failed, and why."""

    def finish(self) -> None:
        """Say that no more bytes come: an InvalidStream where that is within a request."""


class Turn:
    """Whose turn it is on a stream: a header's, or that of the value that goes with it."""

    __slots__ = ("_header", "_value", "waiting")

    def __init__(self, header: str, value: str) -> None:
        self._header = header
        self._value = value
        self.waiting = False  # a header came, and its value wasn't asked for yet

    def for_header(self) -> None:
        """Raise :class:`~wirecore.errors.InvalidState` where a value is still to be taken."""
        if self.waiting:
            raise InvalidState(f"take or pass over the {self._value} of the last {self._header}")

    def for_value(self) -> None:
        """Raise :class:`~wirecore.errors.InvalidState` where no header came."""
        if not self.waiting:
            raise InvalidState(f"there is no {self._header} whose {self._value} wasn't taken yet")


#: Annotations that are no types: the value as it came.
_RAW: Final = (Raw, RawJson)

_EMPTY: Final[dict[Kind, Any]] = {Kind.SLICE: (), Kind.MAP: {}, Kind.BYTES: b""}


def without_nil(value: Any, annotation: Any) -> Any:
    """*value*, but what is empty in place of None where *annotation* has such a thing.

    Go has nil slices and maps; a codec of its either sends these as empty ones, or must not.
    """
    if value is not None or annotation is Any:
        return value
    return _EMPTY.get(gob_type(annotation).base.kind)


def check_annotation(annotation: Any) -> None:
    """Raise :class:`~wirecore.errors.InvalidGobType` for what no result can be read as.

    Both codecs have gob's types, JSON some fewer. None: the result is passed over.
    """
    if annotation is Any or annotation is None or annotation in _RAW:
        return
    gob_type(annotation)


def error_text(text: str) -> str:
    """*text* as it can be sent: never empty, and of characters that UTF-8 has, or odd bytes."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode()
    return text or NO_ERROR_TEXT


__all__ = [
    "MAX_SEQ",
    "NEED_DATA",
    "NO_ERROR_TEXT",
    "Answer",
    "Buffer",
    "CallingCodec",
    "Incoming",
    "NeedData",
    "Request",
    "Response",
    "ServingCodec",
    "Turn",
    "check_annotation",
    "error_text",
    "without_nil",
]
