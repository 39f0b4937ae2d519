"""WebSocket frames of one direction, as an observer sees them: RFC 6455 section 5.

The package's own decoder reads them, and judges them as an end would. It is given one frame at a
time, so that each message's frames and bytes are known, and what is too long can be passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from wirecore import _backend
from wirecore.constants import Opcode
from wirecore.events import Close, Failure, Ping, Pong

from .records import Sender

if TYPE_CHECKING:
    from wirecore.websocket.deflate import DeflateParameters
    from wirecore_py.frames import MessageDecoder

_FIN: Final = 0x80
_RSV1: Final = 0x40
_CONTROL: Final = 0x08
#: Two bytes, the longest form of the length, the masking key.
_MAX_HEAD: Final = 14


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message: *text* or binary. *wire*: bytes of payload in its *frames*.

    *data* is None where it was passed over, as it is longer than is decoded.
    """

    text: bool
    data: bytes | None
    wire: int
    frames: int
    compressed: bool

    @property
    def size(self) -> int:
        """Bytes of it; where it was passed over, as it came."""
        return self.wire if self.data is None else len(self.data)


Item: TypeAlias = Message | Ping | Pong | Close | Failure


class FrameReader:
    """Reads what *sender* sends behind its part of the handshake.

    *deflate*: what was agreed on compression. *max_message*: bytes of a message that is decoded,
    as it came and decompressed.
    """

    def __init__(
        self,
        sender: Sender,
        deflate: DeflateParameters | None = None,
        *,
        max_message: int,
        backend: _backend.Backend | None = None,
    ) -> None:
        self._client = sender == "server"  # whose end would read this
        self._deflate = deflate
        self._max_message = max_message
        self._backend = backend or _backend.default
        self._inflater = None if deflate is None else deflate.inflater(client=self._client)
        self._decoder = self._make_decoder()
        self._rest = b""  # of a head that isn't whole
        self._left = 0  # bytes of the frame under way, its head among them
        self._first = 0  # its first byte
        self._opcode = 0  # of the message under way; 0: there is none
        self._compressed = False
        self._wire = 0  # bytes of payload of its frames
        self._frames = 0
        self._passing = False  # it is too long, and passed over
        #: Frames that came.
        self.frames = 0
        self._failed = False

    def _make_decoder(self) -> MessageDecoder:
        return self._backend.frames.MessageDecoder(
            client=self._client,
            max_frame_size=self._max_message,
            max_message_size=self._max_message,
            raw_text=True,  # a wire may cut characters in two
            inflater=self._inflater,
        )

    def receive(self, data: bytes) -> list[Item]:
        """Take the next bytes; returns all that became whole, in order.

        After a Failure, which is what breaks a rule, nothing more is read; nor after a Close.
        """
        items: list[Item] = []
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at, end = 0, len(data)
        while at < end and not self._failed:
            if not self._left and not self._begin(data[at : at + _MAX_HEAD], items):
                self._rest = data[at:]
                break
            piece = data[at : at + self._left] if at or self._left < end else data
            at += len(piece)
            self._left -= len(piece)
            self._take(piece, items)
        return items

    def _begin(self, head: bytes, items: list[Item]) -> bool:
        """Begin a frame, if all that says how long it is has come."""
        if len(head) < 2:
            return False
        size = head[1] & 0x7F
        used = 2
        if size > 125:
            used = 4 if size == 126 else 10
            if len(head) < used:
                return False
            size = int.from_bytes(head[2:used], "big")
        first = head[0]
        self.frames += 1
        self._first = first
        self._left = used + (4 if head[1] & 0x80 else 0) + size
        if first & _CONTROL:
            return True
        if first & 0x0F:
            self._opcode = first & 0x0F
            self._compressed = bool(first & _RSV1)
            self._wire = self._frames = 0
        self._frames += 1
        self._wire += size
        # A length with the top bit set is for the decoder to judge.
        if self._wire > self._max_message and not self._passing and not size >> 63:
            self._pass_over(items)
        return True

    def _pass_over(self, items: list[Item]) -> None:
        self._passing = True
        if self._compressed and self._keeps_window():
            # What follows refers to it.
            why = f"a compressed message is longer than the {self._max_message} bytes that are "
            self._fail(items, Failure(0, why + "decoded, and those behind it build on it"))
            return
        # It may hold what came of this message.
        self._decoder = self._make_decoder()

    def _keeps_window(self) -> bool:
        if self._deflate is None:
            return False
        if self._client:
            return not self._deflate.server_no_context_takeover
        return not self._deflate.client_no_context_takeover

    def _take(self, piece: bytes, items: list[Item]) -> None:
        if self._failed:
            return  # by the head that begins it
        control = bool(self._first & _CONTROL)
        if control or not self._passing:
            for item in self._decoder.receive(piece):
                if isinstance(item, bytes | str):
                    items.append(self._message(item))
                elif isinstance(item, Failure):
                    self._fail(items, item)
                else:
                    items.append(item)
                    # Behind a close frame an end reads nothing, and nothing is there.
                    self._failed = self._failed or isinstance(item, Close)
        elif not self._left and self._first & _FIN:
            self._passing = False
            items.append(self._message(None))

    def _message(self, data: bytes | str | None) -> Message:
        text = self._opcode == Opcode.TEXT
        whole = None if data is None else bytes(data.encode() if isinstance(data, str) else data)
        return Message(text, whole, self._wire, self._frames, self._compressed)

    def _fail(self, items: list[Item], failure: Failure) -> None:
        self._failed = True
        items.append(failure)
