"""JSON-RPC 1.0, as Go's net/rpc/jsonrpc speaks it: the other codec of pools and providers.

One object a message: ``{"method":"Service.Method","params":[ARGUMENT],"id":0}``, answered by
``{"id":0,"result":VALUE,"error":null}`` or ``{"id":0,"result":null,"error":"text"}``, each with a
newline and in this order when written; read are any order, any case, and no newline.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

from wirecore import _backend
from wirecore import gob_rules as rules
from wirecore.errors import (
    JsonStreamError,
    JsonValueError,
    LocalLimitExceeded,
    UnsendableJson,
    kind_of,
    printable,
)
from wirecore.gob.limits import Limits
from wirecore.gob.schema import gob_type
from wirecore.gojson.cutting import MessageBuffer
from wirecore.gojson.parsing import Message, Tree, fold
from wirecore.gojson.printing import print_tree
from wirecore.gojson.raw import RawJson
from wirecore.gojson.reading import (
    Budget,
    Mismatch,
    NeedsText,
    Reader,
    describe_kind,
    read_plain,
    reader_of,
)
from wirecore.gojson.text import finish, quote
from wirecore.gojson.usual import UsualTypes
from wirecore.gojson.writing import write
from wirecore.protocols.pool.codec import (
    MAX_SEQ,
    NEED_DATA,
    Answer,
    Buffer,
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

#: Characters of what the peer sent that an error shows.
_SHOWN: Final = 200

_NULL: Final = b"null"

#: The members of messages.
_CALL: Final = frozenset(("method", "params", "id"))
_ANSWER: Final = frozenset(("id", "result", "error"))


#: Of each backend the plans of what is usual: types are the whole program's.
_usual_types: Final = cache(UsualTypes)


class _End:
    """What both ends have: messages that come, and the value of one that is to be read."""

    #: The member of a message in which its value is.
    _member: str

    def __init__(self, turn: Turn, limits: Limits | None, backend: _backend.Backend | None) -> None:
        self._limits = bounds = limits or Limits()
        chosen = backend or _backend.default
        plan_of = _usual_types(chosen).plan_of
        self._reader = chosen.json_reader.JsonReader(
            plan_of, bounds.max_message_size, bounds.max_depth, bounds.max_elements
        )
        self._writer = chosen.json_writer.JsonWriter(
            plan_of, bounds.max_message_size, bounds.max_depth
        )
        self._buffer = MessageBuffer(self._limits)
        self._turn = turn
        self._message: Message | None = None
        self._holder: Tree = None  # of the message's members, the one in which the value is
        self._broken: JsonStreamError | None = None

    @property
    def buffered(self) -> int:
        """Bytes that came and weren't looked at yet."""
        return self._buffer.buffered

    @property
    def spent(self) -> bool:
        """Whether nothing that came is left to look at."""
        return self._buffer.spent

    def feed(self, data: Buffer) -> None:
        """Take in *data*, any part of the stream. Nothing is read of it yet.

        Raises TypeError or ValueError where that isn't a buffer of single bytes.
        """
        self._buffer.feed(data)

    def finish(self) -> None:
        """Say that no more bytes come.

        Raises :class:`~wirecore.errors.JsonStreamError` where the stream ends within a message.
        """
        if self._broken is not None:
            raise self._broken
        self._buffer.finish()

    def _next(self) -> Message | None:
        self._turn.for_header()
        if self._broken is not None:
            raise self._broken
        return self._buffer.next()

    def _piece(self) -> tuple[bytes, int] | None:
        """Bytes in which the next message is to begin, and where."""
        if self._turn.waiting or self._broken is not None:
            return None
        return self._buffer.piece()

    def _break(self, text: str) -> JsonStreamError:
        self._broken = JsonStreamError(text)
        return self._broken

    def _hold(self, message: Message, holder: Tree) -> None:
        self._message = message
        self._holder = holder
        self._turn.waiting = True

    def _skip(self) -> Literal[True]:
        self._turn.for_value()
        self._turn.waiting = False
        self._message = self._holder = None
        return True

    def _read(self, annotation: Any) -> Any:
        """The value, read as *annotation*."""
        self._turn.for_value()
        if annotation is RawJson:
            return self._raw()
        reader = read_plain if annotation is Any else reader_of(gob_type(annotation))
        message, holder = self._message, self._holder
        assert message is not None
        self._skip()
        try:
            try:
                return self._value(holder, reader)
            except NeedsText:
                return self._value(_last(message.reparse(), self._member), reader)
        except Mismatch as error:
            raise JsonValueError(error.text()) from None

    def _value(self, holder: Tree, reader: Reader) -> Any:
        return reader(holder, Budget(self._limits.max_elements))

    def _raw(self) -> RawJson:
        message, holder = self._message, self._holder
        assert message is not None
        self._skip()
        try:
            text = self._raw_text(message, holder)
        except Mismatch as error:
            raise JsonValueError(error.text()) from None
        return RawJson(text.encode("utf-8", "surrogateescape") or _NULL)

    def _raw_text(self, message: Message, holder: Tree) -> str:
        return message.raw(self._member)

    def _sized(self, message: bytes) -> list[bytes]:
        bound = self._limits.max_message_size
        if len(message) > bound:
            raise LocalLimitExceeded("max_message_size", len(message), bound)
        return [message]


def _last(tree: Tree, name: str) -> Tree:
    """The last member of that name, in any case; None where there is none."""
    found = None
    for other, value in tree or ():
        if other == name or fold(other) == name:
            found = value
    return found


def _label(value: str, what: str) -> str:
    if not isinstance(value, str):
        raise UnsendableJson(rules.not_one(what, "a str", kind_of(value)))
    return quote(value)


class JsonCalling(_End):
    """The end that calls: a :class:`~wirecore.protocols.pool.codec.CallingCodec`.

    *limits*: those of gob, of which *max_message_size*, *max_depth* and *max_elements* bind.
    *backend*: compiled or pure.
    """

    _member = "result"

    def __init__(
        self, limits: Limits | None = None, *, backend: _backend.Backend | None = None
    ) -> None:
        super().__init__(Turn("response", "result"), limits, backend)
        self.write = self._writer.request

    def encode_request(
        self, seq: int, method: str, argument: Any, annotation: Any = Any
    ) -> list[bytes]:
        """A call numbered *seq*, from 0 to 2**64 - 1, of *method*, ``Service.Method``.

        *annotation*: the type of *argument*, as gob takes it; by default it is what it looks
        like. Raises :class:`~wirecore.errors.UnsendableJson` where it isn't of that type,
        :class:`~wirecore.errors.InvalidGobType` and :class:`~wirecore.errors.InvalidJsonType`
        where that has no counterpart, and :class:`~wirecore.errors.LocalLimitExceeded` where it
        is too large. Nothing was sent then, and all is as it was.
        """
        made = self.write(seq, method, argument, annotation)
        if made is not None:
            return [made]
        if not 0 <= seq <= MAX_SEQ:
            raise UnsendableJson(rules.out_of_range("seq"))
        value = write(argument, annotation, self._limits.max_depth)
        return self._sized(
            finish(f'{{"method":{_label(method, "method")},"params":[{value}],"id":{seq:d}}}\n')
        )

    def take_answers(self, table: CallTable[int, Any], answers: list[Answer], most: int) -> None:
        """See :class:`~wirecore.protocols.pool.codec.CallingCodec`."""
        piece = self._piece()
        if piece is not None:
            at = self._reader.answers(*piece, table, answers, most, Answer)
            if at != piece[1]:
                self._buffer.go_to(at)

    def next_response(self) -> Response | NeedData:
        """The next answer, or NEED_DATA.

        Raises :class:`~wirecore.errors.JsonStreamError` for what is no answer: an error that is
        no text, an id that is no number;
        :class:`~wirecore.errors.InvalidState` where the last one's result wasn't taken.
        """
        message = self._next()
        if message is None:
            return NEED_DATA
        number = error = result = None
        for name, value in message.tree or ():
            member = name if name in _ANSWER else fold(name)
            if member == "id":
                number = value
            elif member == "error":
                error = value
            elif member == "result":
                result = value
        if type(number) is not int or not 0 <= number <= MAX_SEQ:
            raise self._break(_bad_id(message, number))
        if error is not None and type(error) is not str:
            shown = print_tree(error)[:_SHOWN]
            raise self._break(f"invalid error {printable(shown)}")
        self._hold(message, result)
        return Response(number, None if error is None else error_text(error))

    def result(self, annotation: Any = Any) -> Any:
        """The result, read as *annotation*; never NEED_DATA, as messages come whole.

        By default it is a plain value: None, bool, int, float, str, list, dict. A null, which no
        Go caller takes, is the type's zero: None, where it has that.

        Raises :class:`~wirecore.errors.JsonValueError` where it isn't of that type;
        :class:`~wirecore.errors.InvalidGobType` and :class:`~wirecore.errors.InvalidJsonType`,
        before anything is read, where that is no type;
        :class:`~wirecore.errors.InvalidState` where no answer came.
        """
        return self._read(annotation)

    def skip_result(self) -> Literal[True]:
        """Pass over the result: True. Raises InvalidState where no answer came."""
        return self._skip()


def _bad_id(message: Message, number: Tree) -> str:
    place = "Go struct field clientResponse.id of type uint64"
    if number is None:
        return f"json: cannot unmarshal null into {place}"
    kind = describe_kind(number)
    if kind == "number":
        kind += f" {message.raw('id')[:_SHOWN]}"
    return f"json: cannot unmarshal {kind} into {place}"


class JsonServing(_End):
    """The end that serves: a :class:`~wirecore.protocols.pool.codec.ServingCodec`.

    Arguments are :class:`JsonCalling`'s. The id of a
    :class:`~wirecore.protocols.pool.codec.Request`
    is any JSON, as bytes: what goes into the answer.
    """

    _member = "params"

    def __init__(
        self, limits: Limits | None = None, *, backend: _backend.Backend | None = None
    ) -> None:
        super().__init__(Turn("request", "argument"), limits, backend)
        self.write = self._writer.answer

    def take_requests(
        self, find: Callable[[str], Any], incoming: list[Incoming], most: int, left: int
    ) -> tuple[int, Any]:
        """See :class:`~wirecore.protocols.pool.codec.ServingCodec`."""
        piece = self._piece()
        if piece is None:
            return left, None
        at, found = self._reader.requests(
            *piece, find, incoming, most, left - self._buffer.later, Incoming, Request
        )
        if at != piece[1]:
            self._buffer.go_to(at)
            left = self._buffer.buffered
        return left, found

    def next_request(self) -> Request | NeedData:
        """The next request, or NEED_DATA.

        Raises :class:`~wirecore.errors.JsonStreamError` for what is no request: no object, a
        method that is no text; :class:`~wirecore.errors.InvalidState` where the last one's
        argument wasn't taken.
        """
        message = self._next()
        if message is None:
            return NEED_DATA
        method: Tree = ""
        number = params = None
        for name, value in message.tree or ():
            member = name if name in _CALL else fold(name)
            if member == "id":
                number = value
            elif member == "method" and value is not None:
                if type(value) is not str:
                    raise self._break(_bad_method(message, value))
                method = value
            elif member == "params":
                params = value
        self._hold(message, params)
        return Request(_echo(message, number), method)

    def argument(self, annotation: Any = Any) -> Any:
        """The argument, read as *annotation*; never NEED_DATA, as messages come whole.

        It is the first of ``params``, and the type's zero where that is empty, or null.

        Raises :class:`~wirecore.errors.JsonValueError` where it isn't of that type, or there are
        no ``params``: its text is what the original answers, and the next request can be read.
        Else as :meth:`JsonCalling.result`.
        """
        return self._read(annotation)

    def skip_argument(self) -> Literal[True]:
        """Pass over the argument: True. Raises InvalidState where no request came."""
        return self._skip()

    def encode_response(self, request: Request, value: Any, annotation: Any = Any) -> list[bytes]:
        """The answer to *request*: *value*, of the type *annotation*.

        It is never null, as that ends the connection of a caller in Go: None is an empty list,
        dict or text where *annotation* is a list, a dict or bytes. Raises
        :class:`~wirecore.errors.UnsendableJson` where it is another None, and else as
        :meth:`JsonCalling.encode_request`; nothing was sent then, and an error can be.
        """
        made = self.write(request.id, request.method, value, annotation)
        if made is not None:
            return [made]
        text = write(without_nil(value, annotation), annotation, self._limits.max_depth)
        if text == "null":
            raise UnsendableJson("a result must not be None: a caller in Go takes it for no answer")
        return self._answer(request, f',"result":{text},"error":null}}\n')

    def encode_error(self, request: Request, text: str) -> list[bytes]:
        """The answer to *request* that it failed: *text* says why.

        Raises :class:`~wirecore.errors.LocalLimitExceeded` where that is too long.
        """
        return self._answer(request, f',"result":null,"error":{quote(error_text(text))}}}\n')

    def _answer(self, request: Request, rest: str) -> list[bytes]:
        return self._sized(b'{"id":' + request.id + finish(rest))

    def _value(self, holder: Tree, reader: Reader) -> Any:
        params = _params(holder)
        return super()._value(params[0] if params else None, reader)

    def _raw_text(self, message: Message, holder: Tree) -> str:
        return message.raw_first(self._member) if _params(holder) else ""


def _params(holder: Tree) -> list[Tree]:
    if holder is None:
        raise JsonValueError("jsonrpc: request body missing params")
    if type(holder) is not list:
        raise Mismatch(describe_kind(holder), "[1]interface {}")
    return holder


def _echo(message: Message, number: Tree) -> bytes:
    """An id as it came, without spaces and escaped as all that is sent."""
    if type(number) is int:
        return b"%d" % number
    if number is None:
        return _NULL
    raw = message.raw("id")
    for mark, escape in _IN_HTML:
        raw = raw.replace(mark, escape)
    return raw.encode("utf-8", "surrogateescape")


_IN_HTML: Final = tuple((mark, f"\\u{ord(mark):04x}") for mark in "<>&\u2028\u2029")


def _bad_method(message: Message, value: Tree) -> str:
    return (
        f"rpc: server cannot decode request: json: cannot unmarshal {describe_kind(value)} into "
        "Go struct field serverRequest.method of type string"
    )
