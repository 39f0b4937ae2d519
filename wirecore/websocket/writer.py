"""Messages and fragments on their way into the outbox: RFC 6455 section 5.4, RFC 7692 section 6."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from wirecore.constants import Opcode
from wirecore.errors import InvalidOption
from wirecore.events import Buffer, RawText
from wirecore.long_frame import LONG, LongFrame
from wirecore.session.outbox import Outbox
from wirecore.websocket.deflate import DeflateParameters

if TYPE_CHECKING:
    from wirecore._backend import Backend

Sendable: TypeAlias = str | Buffer

#: A message that is to be fragmented anyway is queued in parts of about this many bytes:
#: control frames go between the parts, but never into one.
PART: Final = 64 * 1024


class MessageWriter:
    """Turns messages into frames, compressed and fragmented as wanted, and queues them.

    It knows nothing of the connection's state. *masked*: whether this is the client's end.
    *fragment_size*: longer payloads are cut, 0 for never. *deflate*: what was agreed on
    compression; messages below its threshold aren't compressed unless asked for.
    """

    __slots__ = (
        "_backend",
        "_begun",
        "_deflater",
        "_encode",
        "_fragment_size",
        "_masked",
        "_outbox",
        "_threshold",
    )

    def __init__(
        self,
        backend: Backend,
        outbox: Outbox,
        masked: bool,
        fragment_size: int,
        deflate: DeflateParameters | None,
    ) -> None:
        self._backend = backend
        self._encode = backend.frames.encode_frame
        self._outbox = outbox
        self._masked = masked
        self._fragment_size = fragment_size
        self._deflater = None if deflate is None else deflate.deflater(client=masked)
        self._threshold = 0 if deflate is None else deflate.threshold
        # The message under way in fragments: its opcode, and whether it is compressed.
        self._begun: tuple[Opcode, bool] | None = None

    @property
    def half_sent(self) -> bool:
        """Whether a message of :meth:`put_fragment` lacks its last fragment."""
        return self._begun is not None

    def put_message(self, message: Sendable, compress: bool | None) -> int:
        """Queue a whole message; its end offset in the data lane.

        *compress*: None leaves it to the threshold. Raises TypeError and ValueError for what
        can't be a message.
        """
        opcode, payload = _split(message)
        if compress is None:
            compress = len(payload) >= self._threshold
        rsv1 = compress and self._deflater is not None
        if rsv1 and self._deflater is not None:
            payload = self._deflater.deflate(payload)
        parts: Iterable[bytes | LongFrame]
        if self._frame_size(payload) > LONG:
            parts = self._long_frames(opcode, payload, rsv1)
        elif self._is_cut(payload):
            parts = self._cut(opcode, payload, rsv1)
        else:
            parts = (self._encode(opcode, payload, self._masked, True, rsv1),)
        for part in parts:
            self._outbox.put(part)
        return self._outbox.queued

    def parts(self, message: Sendable) -> list[bytes]:
        """The frames of a whole message that isn't compressed, in parts that are queued one by one.

        Raises as :meth:`put_message`.
        """
        opcode, payload = _split(message)
        if self._is_cut(payload):
            return list(self._cut(opcode, payload, False))
        return [self._encode(opcode, payload, self._masked, True, False)]

    def _is_cut(self, payload: bytes | memoryview) -> bool:
        return 0 < self._fragment_size < len(payload)

    def _frame_size(self, payload: bytes | memoryview) -> int:
        return self._fragment_size if self._is_cut(payload) else len(payload)

    def _long_frames(
        self, opcode: Opcode, payload: bytes | memoryview, rsv1: bool
    ) -> Iterator[bytes | LongFrame]:
        # It is read as it is sent, and what isn't bytes may have changed until then.
        rest = memoryview(bytes(payload))
        size = self._frame_size(payload)
        while rest:
            piece, rest = rest[:size], rest[size:]
            yield self._frame(opcode, piece, not rest, rsv1)
            opcode, rsv1 = Opcode.CONTINUATION, False

    def _frame(
        self, opcode: Opcode, payload: bytes | memoryview, last: bool, rsv1: bool
    ) -> bytes | LongFrame:
        """One frame; of a long one *payload* mustn't change."""
        if len(payload) <= LONG:
            return self._encode(opcode, payload, self._masked, last, rsv1)
        key = self._backend.entropy.mask_key() if self._masked else b""
        first = last << 7 | rsv1 << 6 | opcode
        return LongFrame(first, memoryview(payload), key, self._backend.mask.apply_mask)

    def _cut(self, opcode: Opcode, payload: bytes | memoryview, rsv1: bool) -> Iterator[bytes]:
        size = self._fragment_size
        total = len(payload)
        frames: list[bytes] = []
        held = 0
        for start in range(0, total, size):
            stop = start + size
            piece = payload[start:stop]
            frames.append(self._encode(opcode, piece, self._masked, stop >= total, rsv1))
            opcode, rsv1 = Opcode.CONTINUATION, False
            held += size
            if held >= PART or stop >= total:
                yield b"".join(frames)
                frames, held = [], 0

    def put_fragment(
        self, data: Sendable, *, last: bool, text: bool | None, compress: bool | None
    ) -> int:
        """Queue *data* as one frame; its end offset in the data lane.

        The first fragment decides on *text* (None: by the type of *data*) and *compress* (None:
        yes). Raises :class:`~wirecore.errors.InvalidOption` where a later one contradicts, and
        TypeError and ValueError for what can't be part of a message.
        """
        kind, payload = _split(data)
        if text is not None:
            kind = Opcode.TEXT if text else Opcode.BINARY
        begun = self._begun
        if begun is None:
            opcode = kind
            begun = (kind, self._deflater is not None and compress is not False)
        else:
            opcode = Opcode.CONTINUATION
            says = text is not None or isinstance(data, str | RawText)
            if (says and kind is not begun[0]) or compress not in (None, begun[1]):
                raise InvalidOption("a message is of the kind that its first fragment was")
        if begun[1] and self._deflater is not None:
            payload = self._deflater.deflate(payload, last=last)
        rsv1 = begun[1] and opcode is not Opcode.CONTINUATION
        if len(payload) > LONG:
            payload = bytes(payload)
        frame = self._frame(opcode, payload, last, rsv1)
        self._begun = None if last else begun
        return self._outbox.put(frame)


def _split(message: Sendable) -> tuple[Opcode, bytes | memoryview]:
    """Kind and content of *message*.

    TypeError for what is neither text nor a buffer, ValueError for a buffer of anything but
    bytes side by side: just what the codec takes of messages that go past this module.
    """
    if isinstance(message, str):
        return Opcode.TEXT, message.encode()
    if isinstance(message, bytes):
        return Opcode.TEXT if isinstance(message, RawText) else Opcode.BINARY, message
    view = memoryview(message)
    if view.itemsize != 1 or not view.c_contiguous:
        raise ValueError("data must be a C-contiguous buffer of single bytes")
    return Opcode.BINARY, view.cast("B")
