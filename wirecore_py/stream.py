"""WebSocket payloads handed out as they arrive: the pure twin of ``wirecore._stream``."""

from __future__ import annotations

import codecs
import zlib
from functools import cache
from typing import Any, Final, NamedTuple, Protocol

from wirecore import rules
from wirecore.constants import Opcode
from wirecore.errors import InvalidState
from wirecore.events import Failure
from wirecore_py._buffer import Buffer, as_bytes
from wirecore_py.frames import Inflater
from wirecore_py.mask import xor

_FIN: Final = 0x80
_RSV1: Final = 0x40
_CONTROL: Final = 0x08
_WHOLE_TEXT: Final = _FIN | Opcode.TEXT
_WHOLE_BINARY: Final = _FIN | Opcode.BINARY


class Judge(Protocol):
    """Who words what is wrong with frames, and says what control frames are handed out as."""

    @property
    def bad_data(self) -> Failure:
        """What is wrong with a message that can't be decompressed."""

    def check_head(self, head: bytes) -> Failure | None:
        """Which rule *head*, the first bytes of a frame, breaks.

        It is asked about heads that break one, and about parts of those, at least 2 bytes and
        perhaps too few to tell: None then, and it is asked again when more has come.
        """

    def check_order(self, opcode: int, message: int) -> Failure:
        """What is wrong with a frame of *opcode* inside a message of opcode *message*.

        0 is a continuation frame, or that there is no message to continue.
        """

    def read_control(self, opcode: int, payload: bytes) -> Any:
        """The item for a control frame, a Failure where its payload breaks a rule."""


class _Head(NamedTuple):
    """The head of a frame, as far as it is there; *used* is its length, 0 while it isn't whole."""

    sound: bool
    first: int = 0
    size: int = 0
    key: bytes = b""
    used: int = 0


@cache
def legal_first_bytes(compression: bool) -> bytes:
    """For each first byte of a frame, 1 where it is legal inside a message or outside."""
    inside = rules.legal_first_bytes(True, compression)
    outside = rules.legal_first_bytes(False, compression)
    return bytes(a | b for a, b in zip(inside, outside, strict=True))


class StreamDecoder:
    """Turns the bytes that arrive on one connection into pieces of messages and control frames.

    Where a MessageDecoder gathers whole messages, this one hands out what has come of a frame's
    payload and keeps nothing of it: for those who gather, or pass on, themselves.

    *client*: whether this end is the client (frames that come must then not be masked, else
    they must). *text* and *binary*: the classes of the pieces, plain classes with a ``__dict__``
    whose instances get the attributes ``data`` (str or bytes), ``frame_finished`` (the piece is
    the last of its frame) and ``message_finished`` (and of its message); their constructors
    aren't called. *judge*: words the rules that are broken, and makes the items of control
    frames. *max_message_size* bounds a message, on the wire and decompressed, in bytes, 0 to
    sys.maxsize, else ValueError is raised. *inflater*: set when permessage-deflate was
    negotiated.

    Attributes, all read-only: *failed* and *closed*, whether a Failure or a close frame was
    returned (nothing is after that).
    """

    __slots__ = (
        "_begun",
        "_binary",
        "_busy",
        "_character",
        "_compressed",
        "_first",
        "_in_frame",
        "_inflated",
        "_inflater",
        "_judge",
        "_key",
        "_legal",
        "_mask_bit",
        "_max_message_size",
        "_on_wire",
        "_opcode",
        "_remaining",
        "_rest",
        "_text",
        "closed",
        "failed",
    )

    def __init__(
        self,
        *,
        client: bool,
        text: type[Any],
        binary: type[Any],
        judge: Judge,
        max_message_size: int,
        inflater: Inflater | None = None,
    ) -> None:
        rules.check_limits(0, max_message_size)
        rules.check_piece_classes(text, binary)
        self._mask_bit = 0 if client else 0x80
        self._text = text
        self._binary = binary
        self._judge = judge
        self._max_message_size = max_message_size
        self._inflater = inflater
        self._legal = legal_first_bytes(inflater is not None)
        self._busy = False
        self.failed = False
        self.closed = False
        self._drop()

    def _drop(self) -> None:
        """Hold nothing: no part of a frame, no part of a message."""
        # What came of a head, or of a control frame, that isn't whole.
        self._rest = b""
        # The data frame under way: its first byte, its key turned to the next byte of payload,
        # how much payload is to come, and whether a piece of it was handed out.
        self._in_frame = False
        self._first = 0
        self._key = b""
        self._remaining = 0
        self._begun = False
        self._end_message()

    def _end_message(self) -> None:
        # The message under way: its opcode, 0 where there is none; its size as announced and
        # decompressed; the bytes of a character that isn't whole.
        self._opcode = 0
        self._compressed = False
        self._on_wire = 0
        self._inflated = 0
        self._character = b""

    def receive(self, data: Buffer) -> list[Any]:
        """Take the next bytes from the peer; returns what they hold, in order.

        *data*: any C-contiguous buffer of bytes, of any length; nothing returned refers to it.
        Items: instances of the classes *text* and *binary*, whatever the judge makes of control
        frames, Failure. Of a data frame there is an item whenever some of its payload has come,
        and one for a frame without payload. What the peer does wrong is a Failure, the last
        item; after a close frame or a Failure all input is ignored.

        Raises TypeError or ValueError when *data* is no such buffer, InvalidState when called
        by the judge or the inflater it is calling. After any other exception (of theirs, out of
        memory) the decoder has lost its place: it counts as failed and ignores all input.
        """
        piece = as_bytes(data)
        if self._busy:
            raise InvalidState("receive() was called while it was running on the same decoder")
        items: list[Any] = []
        if self.failed or self.closed:
            return items
        if self._rest:
            piece = self._rest + piece
            self._rest = b""
        self._busy = True
        completed = False
        try:
            self._consume(piece, items)
            completed = True
        finally:
            self._busy = False
            if not completed:
                self.failed = True
                self._drop()
        return items

    def _consume(self, data: bytes, items: list[Any]) -> None:
        at, end = 0, len(data)
        while True:
            if not self._in_frame:
                head = self._parse(data, at)
                size = self._whole_message(data, at, head, items) if head.sound else 0
                size = size or self._begin(data, at, head, items)
                if self.failed or self.closed:
                    return
                if not size:
                    self._rest = data[at:]
                    return
            else:
                size = min(self._remaining, end - at)
                if not size and self._remaining:
                    return
                self._take(data[at : at + size], items)
                if self.failed:
                    return
            at += size

    def _parse(self, data: bytes, at: int) -> _Head:
        """Read the head of a frame, as far as it is there."""
        have = len(data) - at
        if have < 2:
            return _Head(True)
        first, second = data[at], data[at + 1]
        sound = bool(self._legal[first]) and second & 0x80 == self._mask_bit
        size = second & 0x7F
        used = 2
        if size > 125:
            if first & _CONTROL:
                return _Head(False)
            used = 4 if size == 126 else 10
            if have < used:
                return _Head(sound)
            size = int.from_bytes(data[at + 2 : at + used], "big")
            sound = sound and size >= (126 if used == 4 else 0x10000) and not size >> 63
        if not self._mask_bit:
            return _Head(sound, first, size, b"", used)
        used += 4
        if have < used:
            return _Head(sound)
        return _Head(sound, first, size, data[at + used - 4 : at + used], used)

    def _whole_message(self, data: bytes, at: int, head: _Head, items: list[Any]) -> int:
        """Decode an unfragmented message that lies whole in *data*; 0 where it is anything else."""
        _, first, size, key, used = head
        start = at + used
        if (
            not used
            or self._opcode
            or size > len(data) - start
            or size > self._max_message_size
            or (first != _WHOLE_TEXT and first != _WHOLE_BINARY)
        ):
            return 0
        payload = data[start : start + size]
        if self._mask_bit:
            payload = xor(payload, key)
        if first == _WHOLE_BINARY:
            items.append(_new_piece(self._binary, payload, True, True))
        else:
            try:
                items.append(_new_piece(self._text, payload.decode(), True, True))
            except UnicodeDecodeError:
                return 0
        return used + size

    def _begin(self, data: bytes, at: int, head: _Head, items: list[Any]) -> int:
        """Begin the frame with *head*, or do all of a control frame.

        Returns how many bytes that took, 0 where more are needed, or where the frame is wrong.
        """
        sound, first, size, key, used = head
        if not sound:
            problem = self._judge.check_head(data[at : at + 14])
            if problem is not None:
                self._fail(items, problem)
                return 0
            if used:
                raise ValueError("the judge found no fault with a head that breaks a rule")
        if not used:
            return 0
        if first & _CONTROL:
            payload = data[at + used : at + used + size]
            if len(payload) < size:
                return 0
            self._read_control(first & 0x0F, xor(payload, key) if key else payload, items)
            return used + size
        announced = self._on_wire + size
        if announced > self._max_message_size:
            self._fail(items, rules.too_big("max_message_size", announced, self._max_message_size))
            return 0
        self._on_wire = announced
        self._in_frame = True
        self._begun = False
        self._first = first
        self._key = key
        self._remaining = size
        if not self._opcode:
            self._compressed = bool(first & _RSV1)
        return used

    def _read_control(self, opcode: int, payload: bytes, items: list[Any]) -> None:
        said = self._judge.read_control(opcode, payload)
        if isinstance(said, Failure):
            self._fail(items, said)
            return
        items.append(said)
        if opcode == Opcode.CLOSE:
            self.closed = True
            self._drop()

    def _take(self, payload: bytes, items: list[Any]) -> None:
        """Hand out *payload*, the next part of the frame under way."""
        opcode = 0 if self._begun else self._first & 0x0F
        self._remaining -= len(payload)
        if self._mask_bit:
            turn = len(payload) & 3
            payload = xor(payload, self._key)
            self._key = self._key[turn:] + self._key[:turn]
        self._begun = True
        frame_finished = self._remaining == 0
        message_finished = frame_finished and bool(self._first & _FIN)
        self._in_frame = not frame_finished
        if self._compressed and self._inflater:
            found = self._inflate(self._inflater, payload, message_finished)
            if isinstance(found, Failure):
                self._fail(items, found)
                return
            payload = found
        if bool(opcode) == bool(self._opcode):
            self._fail(items, self._judge.check_order(opcode, self._opcode))
            return
        if opcode:
            self._opcode = opcode
        if self._opcode == Opcode.TEXT:
            try:
                text = self._decode(payload, message_finished)
            except UnicodeDecodeError as error:
                self._fail(items, Failure(rules.BAD_UTF8.code, str(error)))
                return
            items.append(_new_piece(self._text, text, frame_finished, message_finished))
        else:
            items.append(_new_piece(self._binary, payload, frame_finished, message_finished))
        if message_finished:
            self._end_message()

    def _inflate(self, inflater: Inflater, payload: bytes, last: bool) -> bytes | Failure:
        """What *payload* decompresses to, with the message's end if it is the *last* of it."""
        room = self._max_message_size - self._inflated
        try:
            found = inflater.inflate(payload, room)
            if last and len(found) <= room:
                found += inflater.finish(room - len(found))
        except zlib.error:
            return self._judge.bad_data
        self._inflated += len(found)
        if len(found) > room:
            return rules.too_big("max_message_size", self._inflated, self._max_message_size)
        return found

    def _decode(self, payload: bytes, last: bool) -> str:
        """*payload* as text, without the begin of a character that may be completed later."""
        payload = self._character + payload
        text, consumed = codecs.utf_8_decode(payload, "strict", last)
        self._character = payload[consumed:]
        return text

    def _fail(self, items: list[Any], failure: Failure) -> None:
        items.append(failure)
        self.failed = True
        self._drop()


def _new_piece(
    kind: type[Any], data: str | bytes, frame_finished: bool, message_finished: bool
) -> Any:
    """An instance of *kind* with the three attributes, made without the call of a constructor."""
    piece: Any = object.__new__(kind)
    # Past what the class itself says of setting attributes: it may be a frozen dataclass.
    object.__setattr__(piece, "data", data)
    object.__setattr__(piece, "frame_finished", frame_finished)
    object.__setattr__(piece, "message_finished", message_finished)
    return piece
