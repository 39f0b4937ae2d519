"""net/rpc over gob: the codec that pools and providers speak unless told otherwise.

A call is a ``Request`` and its argument, an answer a ``Response`` and its result, or an empty
struct where it tells an error. Types are defined once on each stream, at their first use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Optional, TypeVar

from wirecore import _backend, gob
from wirecore.errors import GobStreamError, GobStreamLimitExceeded, GobValueError, LimitExceeded
from wirecore.gob.schema import gob_type
from wirecore.gob_rules import Kind
from wirecore.protocols.pool.bufio import BUFFER_SIZE, cut_as_bufio
from wirecore.protocols.pool.codec import (
    NEED_DATA,
    Answer,
    Incoming,
    NeedData,
    Request,
    Response,
    Turn,
    error_text,
    without_nil,
)

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable

T = TypeVar("T")


@dataclass(slots=True)
class RequestHeader:
    """Go's rpc.Request."""

    __gob_name__: ClassVar[str] = "Request"
    service_method: str
    seq: Annotated[int, gob.UINT64]


@dataclass(slots=True)
class ResponseHeader:
    """Go's rpc.Response."""

    __gob_name__: ClassVar[str] = "Response"
    service_method: str
    seq: Annotated[int, gob.UINT64]
    error: str


@dataclass(slots=True)
class InvalidRequest:
    """What goes with an error: a struct that has neither name nor fields."""

    __gob_name__: ClassVar[str] = ""


_NOTHING: Final = InvalidRequest()

#: The fields of both as Go has them: what comes in another form goes the long way.
_REQUEST_FIELDS: Final = (("ServiceMethod", int(Kind.STRING)), ("Seq", int(Kind.UINT)))
_RESPONSE_FIELDS: Final = (*_REQUEST_FIELDS, ("Error", int(Kind.STRING)))


class _Stream:
    """Headers and values of one stream that is read. *what* it is that Go couldn't read."""

    def __init__(
        self,
        what: tuple[str, str, str],
        fields: tuple[tuple[str, int], ...],
        registry: gob.Registry | None,
        limits: gob.Limits | None,
        backend: _backend.Backend | None,
    ) -> None:
        header, value, self._complaint = what
        self.turn = Turn(header, value)
        self._decoder = gob.Decoder(registry, limits, backend=backend)
        self._broken: GobStreamError | None = None
        self._fields = fields
        self.calls = self._decoder.call_reader()
        self.calls.fields = len(fields)
        self.feed = self._decoder.feed

    @property
    def buffered(self) -> int:
        """Bytes that came and weren't looked at yet."""
        return self._decoder.buffered

    @property
    def at_rest(self) -> bool:
        """Whether the next that comes is a header, of which nothing was looked at yet."""
        return not self.turn.waiting and self._broken is None and self._decoder.at_rest

    def header(self, annotation: type[T]) -> T | NeedData:
        """The next header. A value that isn't one ends the stream, as it does in Go."""
        self.turn.for_header()
        if self._broken is not None:
            raise self._broken
        try:
            found = self._decoder.decode(annotation)
        except GobValueError as error:
            self._broken = _as_stream_error(error, self._complaint)
            raise self._broken from error
        if found is not NEED_DATA:
            self.turn.waiting = True
            number = self._decoder.last_type
            if number != self.calls.header and self._decoder.has_fields(number, self._fields):
                self.calls.header = number
        return found

    def value(self, annotation: Any) -> Any:
        """What goes with the last header."""
        self.turn.for_value()
        try:
            found = self._decoder.decode(annotation)
        except GobValueError:
            self.turn.waiting = False
            raise
        if found is not NEED_DATA:
            self.turn.waiting = False
        return found

    def skip(self) -> Literal[True] | NeedData:
        """Pass over what goes with the last header."""
        self.turn.for_value()
        if self._decoder.skip() is NEED_DATA:
            return NEED_DATA
        self.turn.waiting = False
        return True

    def finish(self) -> None:
        """Raise :class:`~wirecore.errors.GobStreamError` where the stream ends within a message.

        One whose header came must have its value, too.
        """
        if self._broken is not None:
            raise self._broken
        self._decoder.finish()
        if self.turn.waiting and self._decoder.skip() is NEED_DATA:
            raise GobStreamError("unexpected EOF")


def _as_stream_error(error: GobValueError, complaint: str) -> GobStreamError:
    if isinstance(error, LimitExceeded):
        return GobStreamLimitExceeded(error.limit, error.figure, error.bound)
    return GobStreamError(f"{complaint}{error}")


class _Types:
    """What values are sent as."""

    def __init__(self) -> None:
        self._sent_as: dict[Any, Any] = {}

    def of_reply(self, annotation: Any) -> Any:
        """A reply's type. A Go method fills one that it is given a pointer to.

        That shows in the name of a type that encodes itself alone.
        """
        try:
            return self._sent_as[annotation]
        except KeyError:
            found = self._sent_as[annotation] = self._find(annotation)
            return found
        except TypeError:  # an annotation that isn't hashable
            return self._find(annotation)

    @staticmethod
    def _find(annotation: Any) -> Any:
        if annotation not in (Any, gob.Raw) and gob_type(annotation).kind == Kind.OPAQUE:
            return Optional[annotation]  # noqa: UP045 (it is no type that is known here)
        return annotation


class GobCalling:
    """The end that calls: a :class:`~wirecore.protocols.pool.codec.CallingCodec`.

    *registry*: the names of types in interfaces; *limits*: of both streams; *type_ids*: where the
    ids of types come from, which a Go process has one of; *backend*: compiled or pure.
    """

    def __init__(
        self,
        registry: gob.Registry | None = None,
        limits: gob.Limits | None = None,
        *,
        type_ids: gob.TypeIds | None = None,
        backend: _backend.Backend | None = None,
    ) -> None:
        self._encoder = gob.Encoder(registry, limits, type_ids=type_ids, backend=backend)
        what = ("response", "result", "reading response: ")
        self.write = self._encoder.call_writer(RequestHeader).write
        self._stream = _Stream(what, _RESPONSE_FIELDS, registry, limits, backend)
        self.feed = self._stream.feed

    def encode_request(
        self, seq: int, method: str, argument: Any, annotation: Any = Any
    ) -> list[bytes]:
        """A call numbered *seq*, from 0 to 2**64 - 1, of *method*, ``Service.Method``.

        *annotation*: the type of *argument*, as :meth:`wirecore.gob.Encoder.encode` takes it. None
        of no type, which gob can't send, goes as a struct without fields. Raises what that raises;
        nothing was sent then, and all is as it was.
        """
        made = self.write(seq, method, argument, annotation)
        if made is None:
            if argument is None and annotation is Any:
                argument, annotation = _NOTHING, InvalidRequest
            made = self._encoder.encode_all(
                (RequestHeader(method, seq), RequestHeader),
                (without_nil(argument, annotation), annotation),
            )
        return [made] if len(made) <= BUFFER_SIZE else cut_as_bufio(made)

    @property
    def spent(self) -> bool:
        """Whether nothing that came is left to look at."""
        return not self._stream.buffered

    def take_answers(self, table: CallTable[int, Any], answers: list[Answer], most: int) -> None:
        """See :class:`~wirecore.protocols.pool.codec.CallingCodec`."""
        if self._stream.at_rest:
            self._stream.calls.answers(table, answers, most, Answer)

    def next_response(self) -> Response | NeedData:
        """The next answer, or NEED_DATA.

        Raises :class:`~wirecore.errors.GobStreamError`, also for a value that is no answer;
        :class:`~wirecore.errors.InvalidState` where the last one's result wasn't taken.
        """
        header = self._stream.header(ResponseHeader)
        if header is NEED_DATA:
            return NEED_DATA
        return Response(header.seq, header.error or None)

    def result(self, annotation: Any = Any) -> Any:
        """The result, as :meth:`wirecore.gob.Decoder.decode` reads it, or NEED_DATA.

        Raises what that raises: after a :class:`~wirecore.errors.GobValueError` the next answer
        can be read. :class:`~wirecore.errors.InvalidState` where no answer came.
        """
        return self._stream.value(annotation)

    def skip_result(self) -> Literal[True] | NeedData:
        """Pass over the result, or what an error has in its place: True, or NEED_DATA.

        Raises as :meth:`next_response`.
        """
        return self._stream.skip()

    def finish(self) -> None:
        """Say that no more bytes come.

        Raises :class:`~wirecore.errors.GobStreamError` where the stream ends within an answer.
        """
        self._stream.finish()


class GobServing:
    """The end that serves: a :class:`~wirecore.protocols.pool.codec.ServingCodec`.

    Arguments are :class:`GobCalling`'s.
    """

    def __init__(
        self,
        registry: gob.Registry | None = None,
        limits: gob.Limits | None = None,
        *,
        type_ids: gob.TypeIds | None = None,
        backend: _backend.Backend | None = None,
    ) -> None:
        self._encoder = gob.Encoder(registry, limits, type_ids=type_ids, backend=backend)
        what = ("request", "argument", "rpc: server cannot decode request: ")
        self.write = self._encoder.call_writer(ResponseHeader).write
        self._stream = _Stream(what, _REQUEST_FIELDS, registry, limits, backend)
        self._types = _Types()
        self.feed = self._stream.feed

    @property
    def buffered(self) -> int:
        """Bytes that came and weren't looked at yet."""
        return self._stream.buffered

    @property
    def spent(self) -> bool:
        """Whether nothing that came is left to look at."""
        return not self._stream.buffered

    def take_requests(
        self, find: Callable[[str], Any], incoming: list[Incoming], most: int, left: int
    ) -> tuple[int, Any]:
        """See :class:`~wirecore.protocols.pool.codec.ServingCodec`."""
        if not self._stream.at_rest:
            return left, None
        return self._stream.calls.requests(find, incoming, most, left, Incoming, Request)

    def next_request(self) -> Request | NeedData:
        """The next request, or NEED_DATA.

        Raises :class:`~wirecore.errors.GobStreamError`, also for a value that is no request;
        :class:`~wirecore.errors.InvalidState` where the last one's argument wasn't taken.
        """
        header = self._stream.header(RequestHeader)
        if header is NEED_DATA:
            return NEED_DATA
        return Request(header.seq, header.service_method)

    def argument(self, annotation: Any = Any) -> Any:
        """The argument, as :meth:`wirecore.gob.Decoder.decode` reads it, or NEED_DATA.

        Raises what that raises: the text of a :class:`~wirecore.errors.GobValueError` is what
        the original answers, and the next request can be read.
        :class:`~wirecore.errors.InvalidState` where no request came.
        """
        return self._stream.value(annotation)

    def skip_argument(self) -> Literal[True] | NeedData:
        """Pass over the argument: True, or NEED_DATA. Raises as :meth:`next_request`."""
        return self._stream.skip()

    def encode_response(self, request: Request, value: Any, annotation: Any = Any) -> list[bytes]:
        """The answer to *request*: *value*, of the type *annotation*.

        None is an empty slice or map, where it is one of these. Raises what
        :meth:`wirecore.gob.Encoder.encode` raises, for None too where there is no such value;
        nothing was sent then, and an error can be.
        """
        made = self.write(request.id, request.method, value, annotation)
        if made is None:
            header = ResponseHeader(request.method, request.id, "")
            sent_as = self._types.of_reply(annotation)
            made = self._encoder.encode_all(
                (header, ResponseHeader), (without_nil(value, annotation), sent_as)
            )
        return [made] if len(made) <= BUFFER_SIZE else cut_as_bufio(made)

    def encode_error(self, request: Request, text: str) -> list[bytes]:
        """The answer to *request* that it failed: *text* says why.

        Raises :class:`~wirecore.errors.LocalLimitExceeded` where that is too long.
        """
        header = ResponseHeader(request.method, request.id, error_text(text))
        return cut_as_bufio(
            self._encoder.encode_all((header, ResponseHeader), (_NOTHING, InvalidRequest))
        )

    def finish(self) -> None:
        """Say that no more bytes come.

        Raises :class:`~wirecore.errors.GobStreamError` where the stream ends within a request.
        """
        self._stream.finish()
