"""Calls of net/rpc over gob, header and value in one step: twin of ``wirecore._gob_calls``.

For what is usual: types that the stream has defined, and nothing that is wrong. All else goes the
long way, where it has its error; nothing was read or written then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from wirecore import gob_rules as rules

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable
    from wirecore_py.gob_frames import FrameBuffer

#: The fields of both headers; an answer's has its error's text as well.
_METHOD: Final = 1
_SEQ: Final = 2

_NOTHING: Final = object()


class CallReader:
    """Reads headers and values of a decoder's: its *frames*, and what it has found of types.

    *read* reads a value by a plan; *plans* are those that were made, *wanted* the types of
    annotations, *closed* the ids of types whose values end with their message. *header*: the id
    of the type of headers, which has the first *fields* of Go's; 0 as long as there is none.
    """

    def __init__(
        self,
        frames: FrameBuffer,
        read: Callable[..., Any],
        plans: dict[Any, Any],
        wanted: dict[Any, Any],
        closed: set[int],
    ) -> None:
        self._frames = frames
        self._read = read
        self._plans = plans
        self._wanted = wanted
        self._closed = closed
        self.header = 0
        self.fields = 0
        # Of the message that was opened: its header, and its value with the id of its type.
        self._seq = 0
        self._method = (0, 0)
        self._failed = False
        self._number = 0
        self._value = (0, 0)

    def answers(self, table: CallTable[Any, Any], found: list[Any], most: int, make: type) -> None:
        """Add the answers at hand to *found*, until it has *most*; their calls leave *table*.

        Each is a *make*, a class of tuples, of the call, the result and None. It stops before an
        answer that isn't usual, that tells an error or that nobody waits for.
        """
        while len(found) < most and self._open() and not self._failed:
            seq = self._seq
            call = table.get(seq)
            if call is None:
                break
            result = self._take(call.annotation)
            if result is _NOTHING:
                break
            table.answer(seq)
            found.append(make(call, result, None))

    def requests(
        self,
        find: Callable[[str], Any],
        found: list[Any],
        most: int,
        left: int,
        make: type,
        make_request: type,
    ) -> tuple[int, Any]:
        """Add the requests at hand to *found*, until it has *most*.

        Each is a *make* of a *make_request* of its number and method, of what *find* gives for
        the method, the argument, and its bytes. *left*: those that weren't counted for a request
        yet. It stops before a request that isn't usual, or whose method *find* answers with a
        str. Returned are what remains of *left*, and what *find* gave for the next request, if it
        was asked for that.
        """
        while len(found) < most and self._open():
            at, end = self._method
            method = self._frames._data[at:end].decode("utf-8", "surrogateescape")
            target = find(method)
            if isinstance(target, str):
                return left, target
            seq = self._seq
            argument = self._take(target.argument)
            if argument is _NOTHING:
                return left, target
            rest = self._frames.buffered
            found.append(make(make_request(seq, method), target, argument, left - rest))
            left = rest
        return left, None

    def _open(self) -> bool:
        """Whether a header and its value are all there."""
        if not self.header:
            return False
        data = self._frames._data
        header = self._next(data, self._frames._at)
        if header is None or self._number != self.header or not self._read_header(data, *header):
            return False
        value = self._next(data, header[1])
        if value is None or self._number <= 0:
            return False
        self._value = value
        return True

    def _next(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Read the length and the type id of the message at *at*: where it goes on and ends."""
        length, at = _read_uint(data, at, len(data))
        if not 0 <= length <= min(self._frames._largest, rules.GO_MAX_MESSAGE - 1, len(data) - at):
            return None
        end = at + length
        number, at = _read_uint(data, at, end)
        if number < 0:
            return None
        self._number = ~(number >> 1) if number & 1 else number >> 1
        return at, end

    def _read_header(self, data: bytes, at: int, end: int) -> bool:
        self._method = at, at
        self._seq = 0
        self._failed = False
        field = 0
        while True:
            delta, at = _read_uint(data, at, end)
            if delta == 0:
                return at == end
            if delta < 0 or delta > self.fields - field:
                return False
            field += delta
            size, at = _read_uint(data, at, end)
            if size < 0:
                return False
            if field == _SEQ:
                self._seq = size
                continue
            if size > end - at:
                return False
            if field == _METHOD:
                self._method = at, at + size
            else:
                self._failed = size > 0
            at += size

    def _take(self, annotation: Any) -> Any:
        """The value as *annotation*, and both are behind us; _NOTHING: they are as they were."""
        if self._number not in self._closed:
            return _NOTHING
        try:
            wanted = self._wanted.get(annotation, _NOTHING)
        except TypeError:  # an annotation that isn't hashable
            return _NOTHING
        plan = self._plans.get((self._number, wanted))
        if plan is None:
            return _NOTHING
        frames = self._frames
        at, end = self._value
        try:
            found = self._read(plan, frames._data, at, end)
        except Exception:  # noqa: BLE001 - also what a class of the program's raises: the same again
            return _NOTHING
        if end == len(frames._data):
            frames._data = b""
            frames._at = 0
        else:
            frames._at = end
        return found


class CallWriter:
    """Writes headers and values of an encoder's, *ready* for those types that were defined.

    *write* writes a value. *header* is the key in *ready* of the headers' type. A value that
    brings definitions, which *added* then holds, is taken back with *forget*. *largest*: bytes.
    """

    def __init__(
        self,
        write: Callable[..., bytes],
        ready: dict[Any, Any],
        added: list[Any],
        forget: Callable[[], None],
        header: Any,
        largest: int,
    ) -> None:
        self._write = write
        self._ready = ready
        self._added = added
        self._forget = forget
        self._header = header
        self._largest = largest

    def write(self, seq: int, method: str, value: Any, annotation: Any) -> bytes | None:
        """What is to be sent for a header without an error, and *value*; None: the long way."""
        header = self._ready.get(self._header)
        if header is None or value is None or type(method) is not str or not method.isascii():
            return None
        if type(seq) is not int or not 0 <= seq <= rules.MAX_UINT:
            return None
        try:
            plan = self._ready.get(type(value) if annotation is Any else annotation)
            if plan is None:
                return None
            made = self._write(plan[0], plan[1], value)
        except Exception:  # noqa: BLE001 - also what a class of the program's raises: the same again
            self._forget()
            return None
        except BaseException:
            self._forget()
            raise
        if self._added:
            self._forget()
            return None
        parts = [header[1]]
        if method:
            parts += b"\1", rules.encode_uint(len(method)), method.encode("ascii")
        if seq:
            parts += b"\1" if method else b"\2", rules.encode_uint(seq)
        parts.append(b"\0")
        whole = b"".join(parts)
        whole = rules.encode_uint(len(whole)) + whole
        if max(len(whole), len(made)) > self._largest:
            return None
        return whole + made


def _read_uint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The unsigned integer at *at*, and where it ends; -1: there is none."""
    if at >= end:
        return -1, at
    first = data[at]
    at += 1
    if first < 0x80:
        return first, at
    width = 0x100 - first
    if width > 8 or end - at < width:
        return -1, at
    return int.from_bytes(data[at : at + width], "big"), at + width
