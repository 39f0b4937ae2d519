"""Reading one gob stream."""

from __future__ import annotations

from array import array
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, overload

from wirecore import _backend
from wirecore import gob_rules as rules
from wirecore.errors import GobError, GobStreamError, GobValueError
from wirecore.gob.cursor import Cursor
from wirecore.gob.limits import Limits
from wirecore.gob.raw import Parts, Raw, make_raw
from wirecore.gob.reading import Planner
from wirecore.gob.registry import Registry
from wirecore.gob.scanner import Scanner
from wirecore.gob.schema import gob_type
from wirecore.gob.types import GobType
from wirecore.gob.wire import WireTypes
from wirecore.gob_rules import DefinitionInside

if TYPE_CHECKING:
    from wirecore_py.gob_calls import CallReader

T = TypeVar("T")


class _Marker(Enum):
    NEED_DATA = "NEED_DATA"

    def __repr__(self) -> str:
        return self.name


#: What a decoder gives where the next value isn't all there yet.
NEED_DATA: Final = _Marker.NEED_DATA
#: The type of NEED_DATA.
NeedData: TypeAlias = Literal[_Marker.NEED_DATA]


#: A value that came: its type's id, and the bytes that it is in, from where to where.
_Waiting: TypeAlias = tuple[int, bytes, int, int]


class Decoder:
    """Reads one stream: one for each connection and direction, as long as it lives.

    It is fed with bytes in any cut, and asked for values one after another. *registry*: the
    names of types in interfaces; *limits*: what the stream may make of this process;
    *backend*: compiled or pure.
    """

    def __init__(
        self,
        registry: Registry | None = None,
        limits: Limits | None = None,
        *,
        backend: _backend.Backend | None = None,
    ) -> None:
        self._limits = limits or Limits()
        chosen = backend or _backend.default
        self._frames = chosen.gob_frames.FrameBuffer(self._limits.max_message_size)
        self._types = WireTypes(self._limits)
        self._planner = Planner(chosen, self._types, registry or Registry())
        self._plans = self._planner.plans
        self._reader = chosen.gob_reader.ValueReader(
            self._planner.resolve, self._limits.max_depth, self._limits.max_elements
        )
        #: The id of the type of the value that was read last.
        self.last_type = 0
        self._backend = chosen
        self._wanted: dict[Any, GobType | None] = {Any: None}
        self._closed: set[int] = set()  # types whose values end with their message
        self._waiting: _Waiting | None = None
        self._whole = False  # that value ends in its bytes, and no definition is in it
        self._scanner: Scanner | None = None
        self._scanned = 0  # the id of the scanner's type
        self._between = True  # no definition came since the last value
        self._broken = ""

    @property
    def buffered(self) -> int:
        """Bytes that came and weren't looked at yet."""
        return self._frames.buffered

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take in *data*, any part of the stream. Nothing is read of it yet.

        Raises TypeError or ValueError where that isn't a buffer of single bytes.
        """
        self._frames.feed(data)

    @overload
    def decode(self, annotation: type[T]) -> T | NeedData: ...
    @overload
    def decode(self, annotation: Any = ...) -> Any: ...
    def decode(self, annotation: Any = Any) -> Any:
        """The next value, read as *annotation*; NEED_DATA where it isn't all there yet.

        By default it is read as plain values: numbers, str, bytes (also of what encodes itself),
        lists, dicts, and dicts by field name for structs. In keys of dicts these are tuples.
        ``Any | None`` takes an interface alone, whose name must be registered;
        :class:`~wirecore.gob.Raw` any value, with its types.

        Raises :class:`~wirecore.errors.GobValueError` where the value isn't of that type: it has
        been passed over then, and the next one can be read.
        :class:`~wirecore.errors.GobStreamError`: nothing more can be read, ever. One that
        passed a bound is a :class:`~wirecore.errors.RemoteLimitExceeded` too.
        :class:`~wirecore.errors.InvalidGobType`, before anything is read, where *annotation* is
        no type in gob.
        """
        try:
            wanted = self._wanted[annotation]
        except KeyError:
            if annotation is Raw:
                return self._decode_raw()
            wanted = self._wanted[annotation] = gob_type(annotation)
        except TypeError:  # an annotation that isn't hashable
            wanted = gob_type(annotation)
        while True:
            value = self._waiting or self._pull()
            if value is None:
                return NEED_DATA
            number, message, at, end = value
            self.last_type = number
            try:
                plan = self._plans.get((number, wanted)) or self._planner.top(number, wanted)
                found = self._reader.read(plan, message, at, end)
            except GobStreamError as error:
                self._break(error)
                raise
            except (DefinitionInside, GobValueError) as error:
                if not self._whole:
                    self._scan(value)
                    continue
                self._waiting = None
                if isinstance(error, GobValueError):
                    raise
                raise GobValueError(rules.EOF) from None
            self._waiting = None
            return found

    @property
    def at_rest(self) -> bool:
        """Whether all that was looked at belongs to values that were read, or passed over."""
        return (
            self._between and self._waiting is None and self._scanner is None and not self._broken
        )

    def call_reader(self) -> CallReader:
        """What reads several values in one step, where this decoder is at rest."""
        reader: CallReader = self._backend.gob_calls.CallReader(
            self._frames, self._reader.read, self._plans, self._wanted, self._closed
        )
        return reader

    def has_fields(self, number: int, fields: tuple[tuple[str, int], ...]) -> bool:
        """Whether the type *number* is a struct of these *fields*: names and ids of types."""
        return self._types[number].fields == fields

    def skip(self) -> bool | NeedData:
        """Pass over the next value: True, or NEED_DATA where it isn't all there yet.

        Raises :class:`~wirecore.errors.GobStreamError` as :meth:`decode`.
        """
        while True:
            value = self._waiting or self._pull()
            if value is None:
                return NEED_DATA
            if self._whole:
                self._waiting = None
                return True
            self._scan(value)

    def take_parts(self) -> Parts | NeedData:
        """The next value, as :class:`~wirecore.gob.raw.Parts`; raises as :meth:`skip`."""
        while True:
            value = self._waiting or self._pull()
            if value is None:
                return NEED_DATA
            if not self._whole:
                self._scan(value)
                continue
            number, message, at, end = value
            places = array("q")
            try:
                self._types.check(number)
                if self._types.may_go_on(number):
                    Scanner(self._types, self._limits, *value, places=places).run()
            except GobStreamError as error:
                self._break(error)
                raise
            self._waiting = None
            return Parts(self._types, number, message[at:end], places)

    def _decode_raw(self) -> Raw | NeedData:
        parts = self.take_parts()
        if parts is NEED_DATA:
            return NEED_DATA
        try:
            return make_raw(parts)
        except GobStreamError as error:
            self._break(error)
            raise

    def finish(self) -> None:
        """Say that no more bytes come.

        Raises :class:`~wirecore.errors.GobStreamError` where the stream ends within a value. One
        that is there and wasn't asked for doesn't matter.
        """
        if self._waiting is None:
            value = self._pull()
            if value is None and (self.buffered or self._scanner is not None or not self._between):
                raise GobStreamError(rules.UNEXPECTED_EOF)

    # --- from messages to values ---

    def _break(self, error: GobError) -> None:
        self._broken = str(error)
        self._waiting = self._scanner = None

    def _pull(self) -> _Waiting | None:
        """The next value, with the definitions before it taken in; None: it isn't all there."""
        if self._broken:
            raise GobStreamError(self._broken)
        try:
            while self._waiting is None:
                frame = self._frames.next()
                if frame is None:
                    return None
                if frame[0] in self._closed and self._scanner is None:
                    self._whole = self._between = True
                    self._waiting = frame
                else:
                    self._take(*frame)
        except GobStreamError as error:
            self._break(error)
            raise
        return self._waiting

    def _take(self, number: int, message: bytes, at: int, end: int) -> None:
        """One message more: a definition, a value, or more of a value."""
        if self._scanner is not None:
            self._scanner.take(number, message, at, end)
            self._scan_on()
        elif number < 0:
            cursor = Cursor(message, at, end)
            self._types.define(-number, cursor)
            if cursor.left:
                raise GobStreamError(rules.EXTRA_DATA)
            self._between = False
        else:
            self._types.check(number)
            self._whole = not self._types.may_go_on(number)
            if self._whole:
                self._closed.add(number)
            self._waiting = number, message, at, end
            self._between = True

    def _scan(self, value: _Waiting) -> None:
        """Find the end of a value, which may be in a later message."""
        self._scanner = Scanner(self._types, self._limits, *value)
        self._scanned = value[0]
        self._waiting = None
        try:
            self._scan_on()
        except GobStreamError as error:
            self._break(error)
            raise

    def _scan_on(self) -> None:
        assert self._scanner is not None
        if self._scanner.run():
            found = self._scanner.value
            self._waiting = self._scanned, found, 0, len(found)
            self._whole = True
            self._scanner = None


@overload
def loads(
    data: bytes,
    annotation: type[T],
    *,
    registry: Registry | None = ...,
    limits: Limits | None = ...,
    backend: _backend.Backend | None = ...,
) -> T: ...
@overload
def loads(
    data: bytes,
    annotation: Any = ...,
    *,
    registry: Registry | None = ...,
    limits: Limits | None = ...,
    backend: _backend.Backend | None = ...,
) -> Any: ...
def loads(
    data: bytes,
    annotation: Any = Any,
    *,
    registry: Registry | None = None,
    limits: Limits | None = None,
    backend: _backend.Backend | None = None,
) -> Any:
    """The only value of a stream. Arguments and errors are :class:`Decoder`'s.

    Raises :class:`~wirecore.errors.GobStreamError` too where there is no value, or more.
    """
    decoder = Decoder(registry, limits, backend=backend)
    decoder.feed(data)
    return _only(decoder, decoder.decode(annotation))


def take_apart(raw: Raw, limits: Limits) -> Parts:
    """The value that *raw* is. Raises GobStreamError where it is none, or passes a bound."""
    decoder = Decoder(limits=limits)
    decoder.feed(raw.data)
    found: Parts = _only(decoder, decoder.take_parts())
    return found


def _only(decoder: Decoder, found: Any) -> Any:
    """*found*, where that is a value, and the stream has no other."""
    if found is NEED_DATA:
        decoder.finish()
        raise GobStreamError(rules.EOF)
    if decoder.buffered:
        raise GobStreamError(rules.EXTRA_DATA)
    return found
