"""WebSocket frames, RFC 6455 section 5, in and out: the pure twin of ``wirecore._frames``."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final, Protocol, TypeAlias

from wirecore import rules
from wirecore.constants import Opcode
from wirecore.errors import InvalidState
from wirecore.events import Failure, Item, Message, Ping, Pong, RawText
from wirecore_py._buffer import Buffer, as_bytes
from wirecore_py.entropy import mask_key
from wirecore_py.mask import TRANSLATE_FROM, xor
from wirecore_py.utf8 import Utf8Validator

Payload: TypeAlias = Message | Buffer

_FIN: Final = 0x80
_RSV1: Final = 0x40
_CONTROL: Final = 0x08
_WHOLE_TEXT: Final = _FIN | Opcode.TEXT
_WHOLE_BINARY: Final = _FIN | Opcode.BINARY
#: Two bytes, the longest form of the length, the masking key.
_MAX_HEAD: Final = 2 + 8 + 4


class Inflater(Protocol):
    """What a decoder asks of permessage-deflate (RFC 7692 section 7.2.2).

    Both methods return at most ``room + 1`` bytes: more than *room* says that the message is
    over its limit. Both raise zlib.error for data that can't be decompressed.
    """

    def inflate(self, chunk: bytes, room: int) -> bytes:
        """What *chunk*, the next bytes of a message, decompresses to."""

    def finish(self, room: int) -> bytes:
        """What is left of the message, which ends here; the next chunk begins another."""


class MessageDecoder:
    """Turns the bytes that arrive on one connection into whole messages and control frames.

    *client*: whether this end is the client (frames that come must then not be masked, else
    they must). *max_frame_size* bounds the payload of a data frame as it is on the wire,
    *max_message_size* a message, on the wire and decompressed; both in bytes, 0 to sys.maxsize,
    else ValueError is raised. *raw_text*: hand out text messages as RawText, unchecked.
    *inflater*: set when permessage-deflate was negotiated.

    Attributes, all read-only: *controls*, how many items of the list returned last are no
    messages; *failed* and *closed*, whether a Failure or Close was returned (nothing is after
    that); *in_message*, whether part of a message has come; *buffered*, how many bytes are
    held for what is incomplete.
    """

    __slots__ = (
        "_busy",
        "_compressed",
        "_control",
        "_first",
        "_gathered",
        "_head",
        "_idle_legal",
        "_in_frame",
        "_inflater",
        "_key",
        "_mask_bit",
        "_max_frame_size",
        "_max_message_size",
        "_message_legal",
        "_on_wire",
        "_opcode",
        "_raw_text",
        "_remaining",
        "_utf8",
        "closed",
        "controls",
        "failed",
    )

    def __init__(
        self,
        *,
        client: bool,
        max_frame_size: int,
        max_message_size: int,
        raw_text: bool = False,
        inflater: Inflater | None = None,
    ) -> None:
        rules.check_limits(max_frame_size, max_message_size)
        self._mask_bit = 0 if client else 0x80
        self._max_frame_size = max_frame_size
        self._max_message_size = max_message_size
        self._raw_text = raw_text
        self._inflater = inflater
        self._idle_legal = rules.legal_first_bytes(False, inflater is not None)
        self._message_legal = rules.legal_first_bytes(True, inflater is not None)
        self._utf8 = Utf8Validator()
        self._busy = False
        self.controls = 0
        self.failed = False
        self.closed = False
        self._drop()

    def _drop(self) -> None:
        """Hold nothing: no part of a frame, no part of a message."""
        # The frame under way: its head while that is incomplete; then its first byte, its key
        # turned to the next byte of payload, and how much payload is to come.
        self._head = b""
        self._in_frame = False
        self._first = 0
        self._key = b""
        self._remaining = 0
        self._control = bytearray()
        self._end_message()

    def _end_message(self) -> None:
        # The message under way: its opcode, 0 where there is none, and its payload so far,
        # decompressed; `_on_wire` counts it as announced, compressed.
        self._opcode = 0
        self._compressed = False
        self._on_wire = 0
        self._gathered = bytearray()
        self._utf8.reset()

    @property
    def in_message(self) -> bool:
        """Whether the head of a message's first frame has come, and not yet its last byte."""
        return self._opcode != 0

    @property
    def buffered(self) -> int:
        """Bytes held for what is incomplete: of a head, a control frame, a message."""
        return len(self._head) + len(self._control) + len(self._gathered)

    def receive(self, data: Buffer) -> list[Item]:
        """Take the next bytes from the peer; returns all that became whole, in order.

        *data*: any C-contiguous buffer of bytes, of any length; nothing returned refers to it.
        Items: ``bytes`` (binary message), ``str`` or RawText (text message), Ping, Pong, Close,
        Failure. What the peer does wrong is a Failure, the last item, found at the first byte
        that shows it; after a Close or a Failure all input is ignored.

        Raises TypeError or ValueError when *data* is no such buffer, InvalidState when called
        by the inflater it is calling. After any other exception (of the inflater, out of
        memory) the decoder has lost its place: it counts as failed and ignores all input.
        """
        piece = as_bytes(data)
        if self._busy:
            raise InvalidState("receive() was called while it was running on the same decoder")
        self.controls = 0
        items: list[Item] = []
        if self.failed or self.closed:
            return items
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

    def _consume(self, data: bytes, items: list[Item]) -> None:
        at, end = 0, len(data)
        while True:
            if not (self._in_frame or self._head or self._opcode):
                at = self._whole_frames(data, at, items)
            if not self._in_frame:
                if at == end:
                    return
                at = self._read_head(data, at, items)
                if not self._in_frame:
                    return
            at = self._read_payload(data, at, items)
            if self._in_frame or self.failed or self.closed:
                return

    def _whole_frames(self, data: bytes, at: int, items: list[Item]) -> int:
        """Decode the unfragmented data frames that lie whole in *data* from *at* on.

        Returns the index of the first byte that is left: of a frame of another kind, of one
        that isn't whole, or of one that breaks some rule. Which it is, the careful path finds.
        """
        mask_bit = self._mask_bit
        key_size = 4 if mask_bit else 0
        bound = min(self._max_frame_size, self._max_message_size)
        end = len(data)
        number = int.from_bytes
        while end - at >= 2:
            first = data[at]
            size = data[at + 1] ^ mask_bit
            start = at + 2 + key_size
            if size > 125:
                size, length_size = _long_length(data, at + 2, size)
                start += length_size
            stop = start + size
            if stop > end or size > bound:
                break
            payload = data[start:stop]
            if key_size:
                key = data[start - 4 : start]
                if size < TRANSLATE_FROM:
                    # What `xor` does; the call would be a tenth of the cost of a small frame.
                    mask = number((key * ((size >> 2) + 1))[:size], "little")
                    payload = (number(payload, "little") ^ mask).to_bytes(size, "little")
                else:
                    payload = xor(payload, key)
            if first == _WHOLE_BINARY:
                items.append(payload)
            elif first == _WHOLE_TEXT:
                try:
                    items.append(RawText(payload) if self._raw_text else payload.decode())
                except UnicodeDecodeError:
                    break
            else:
                break
            at = stop
        return at

    def _read_head(self, data: bytes, at: int, items: list[Item]) -> int:
        """Read the head of a frame, or the rest of it; returns the index after it."""
        held = len(self._head)
        head = self._head + data[at : at + _MAX_HEAD - held]
        used = self._check_head(head)
        if isinstance(used, Failure):
            self._fail(items, used)
            return at
        if not used:
            self._head = head
            return len(data)
        self._head = b""
        return at + used - held

    def _check_head(self, head: bytes) -> int | Failure:
        """Begin the frame with *head*: its length if it is whole, 0 if not, or what's wrong.

        Each rule is checked as soon as its bytes are there, so that the same one is found
        however the head was cut.
        """
        first = head[0]
        legal = self._message_legal if self._opcode else self._idle_legal
        if not legal[first]:
            return rules.illegal_first_byte(first, self._opcode != 0, self._inflater is not None)
        if len(head) < 2:
            return 0
        size = head[1] ^ self._mask_bit
        if size > 127:
            return rules.MASK_MISSING if self._mask_bit else rules.MASK_UNWANTED
        used = 2
        if size > 125:
            if first & _CONTROL:
                return rules.CONTROL_TOO_LONG
            used = 4 if size == 126 else 10
            if len(head) < used:
                return 0
            size = int.from_bytes(head[2:used], "big")
        if not first & _CONTROL:
            problem = self._check_size(size, used)
            if problem:
                return problem
        key_end = used + 4 if self._mask_bit else used
        if len(head) < key_end:
            return 0
        self._key = head[used:key_end]
        self._begin_frame(first, size)
        return key_end

    def _check_size(self, size: int, head_size: int) -> Failure | None:
        """What is wrong with a data frame's payload length, written in a head of *head_size*."""
        if head_size > 2:
            if size >> 63:
                return rules.LENGTH_TOP_BIT
            if size < (126 if head_size == 4 else 0x10000):
                return rules.LENGTH_NOT_MINIMAL
        if size > self._max_frame_size:
            return rules.too_big("max_frame_size", size, self._max_frame_size)
        total = self._on_wire + size
        if total > self._max_message_size:
            return rules.too_big("max_message_size", total, self._max_message_size)
        return None

    def _begin_frame(self, first: int, size: int) -> None:
        self._in_frame = True
        self._first = first
        self._remaining = size
        if first & _CONTROL:
            return
        self._on_wire += size
        if not self._opcode:
            self._opcode = first & 0x0F
            self._compressed = bool(first & _RSV1)

    def _read_payload(self, data: bytes, at: int, items: list[Item]) -> int:
        """Take what is there of the frame's payload; returns the index after it."""
        piece = data[at : at + self._remaining]
        size = len(piece)
        self._remaining -= size
        if self._mask_bit:
            piece = xor(piece, self._key)
            turn = size & 3
            self._key = self._key[turn:] + self._key[:turn]
        self._in_frame = self._remaining > 0
        if self._first & _CONTROL:
            self._control += piece
            if not self._in_frame:
                self._end_control(items)
            return at + size
        problem = self._gather(piece) if piece else None
        if problem:
            self._fail(items, problem)
        elif not self._in_frame and self._first & _FIN:
            self._finish_message(items)
        return at + size

    def _gather(self, piece: bytes, last: bool = False) -> Failure | None:
        """Add *piece*, or what ends the message, to it; returns what is wrong with it."""
        room = self._max_message_size - len(self._gathered)
        if self._compressed and self._inflater:
            inflate = self._inflater.inflate
            try:
                piece = self._inflater.finish(room) if last else inflate(piece, room)
            except zlib.error:
                return rules.BAD_DEFLATE
        if self._opcode == Opcode.TEXT and not self._raw_text:
            valid = self._utf8.feed(piece)
            if not valid or (last and not self._utf8.finish()):
                return rules.BAD_UTF8
        if len(piece) > room:
            size = len(self._gathered) + len(piece)
            return rules.too_big("max_message_size", size, self._max_message_size)
        self._gathered += piece
        return None

    def _finish_message(self, items: list[Item]) -> None:
        problem = self._gather(b"", last=True)
        if problem:
            self._fail(items, problem)
            return
        if self._opcode == Opcode.BINARY:
            items.append(bytes(self._gathered))
        elif self._raw_text:
            items.append(RawText(self._gathered))
        else:
            items.append(self._gathered.decode())
        self._end_message()

    def _end_control(self, items: list[Item]) -> None:
        payload = bytes(self._control)
        self._control.clear()
        opcode = self._first & 0x0F
        if opcode == Opcode.CLOSE:
            said = rules.read_close(payload)
            if isinstance(said, Failure):
                self._fail(items, said)
                return
            self.closed = True
            self._drop()
            items.append(said)
        else:
            items.append(Ping(payload) if opcode == Opcode.PING else Pong(payload))
        self.controls += 1

    def _fail(self, items: list[Item], failure: Failure) -> None:
        items.append(failure)
        self.controls += 1
        self.failed = True
        self._drop()


def _long_length(data: bytes, at: int, marker: int) -> tuple[int, int]:
    """A payload length of 2 or 8 bytes at *at*, and how many; more than any buffer has if bad."""
    width = 2 if marker == 126 else 8
    size = int.from_bytes(data[at : at + width], "big")
    if marker > 127 or at + width > len(data) or size < (126 if width == 2 else 0x10000):
        return 1 << 64, 0
    return size, width


def encode_frame(
    opcode: int,
    payload: Buffer,
    masked: bool,
    fin: bool = True,
    rsv1: bool = False,
    key: bytes | None = None,
) -> bytes:
    """One frame (RFC 6455 section 5.2), masked with *key*, 4 bytes, or with a random one.

    *payload*: any C-contiguous buffer of bytes, up to 125 of them in a control frame. *rsv1*
    marks the first frame of a compressed message (RFC 7692 section 6).

    Raises TypeError when *payload* is no buffer or *key* no bytes; ValueError when the frame
    would be illegal in any state, *payload* isn't contiguous, or *key* isn't 4 bytes long or
    was given for a frame that isn't masked.
    """
    content = as_bytes(payload)
    rules.check_frame(opcode, len(content), fin, rsv1, masked, key)
    first = opcode | (_FIN if fin else 0) | (_RSV1 if rsv1 else 0)
    if masked and key is None:
        key = mask_key()
    return _frame(first, content, key)


def encode_message(data: Payload, masked: bool, fragment_size: int = 0) -> bytes:
    """A message as one frame, or cut into fragments of *fragment_size* bytes of payload.

    ``str`` and RawText make a text message, any other C-contiguous buffer of bytes a binary
    one. *fragment_size* 0 means never to cut; a message no longer than it is one frame. Each
    masked frame has a random key of its own.

    Raises TypeError when *data* is neither text nor a buffer, ValueError when *fragment_size*
    is negative, the buffer isn't contiguous or the text has surrogates (UnicodeEncodeError).
    """
    _check_fragment_size(fragment_size)
    opcode = Opcode.TEXT if isinstance(data, str | RawText) else Opcode.BINARY
    content = str.encode(data) if isinstance(data, str) else as_bytes(data)
    if not 0 < fragment_size < len(content):
        return _frame(_FIN | opcode, content, mask_key() if masked else None)
    frames = []
    first = int(opcode)
    for start in range(0, len(content), fragment_size):
        stop = start + fragment_size
        if stop >= len(content):
            first |= _FIN
        frames.append(_frame(first, content[start:stop], mask_key() if masked else None))
        first = Opcode.CONTINUATION
    return b"".join(frames)


def encode_messages(messages: Iterable[Payload], masked: bool, fragment_size: int = 0) -> bytes:
    """All *messages*, each as `encode_message` makes it, one behind the other."""
    _check_fragment_size(fragment_size)
    return b"".join([encode_message(message, masked, fragment_size) for message in messages])


def _check_fragment_size(fragment_size: int) -> None:
    if fragment_size < 0:
        raise ValueError(f"fragment_size must not be negative, got {fragment_size}")


def _frame(first: int, payload: bytes, key: bytes | None) -> bytes:
    size = len(payload)
    mask_bit = 0 if key is None else 0x80
    if size < 126:
        head = bytes((first, size | mask_bit))
    elif size < 0x10000:
        head = bytes((first, 126 | mask_bit, size >> 8, size & 0xFF))
    else:
        head = bytes((first, 127 | mask_bit)) + size.to_bytes(8, "big")
    if key is None:
        return head + payload
    return head + key + xor(payload, key)
