"""Frames: wsproto's FrameProtocol with our codec in it; all else is wsproto's own."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import (
    LOCAL_ONLY_CLOSE_REASONS,
    MAX_PAYLOAD_NORMAL,
    CloseReason,
    Frame,
    FrameDecoder,
    Header,
    MessageDecoder,
    Opcode,
    ParseFailed,
    RsvBits,
)
from wsproto.frame_protocol import FrameProtocol as _FrameProtocol

from wirecore._backend import Backend, default
from wirecore.dropin.wsproto._bound import check_bound
from wirecore.dropin.wsproto._judge import Judge
from wirecore.events import Failure
from wirecore.websocket.deflate import Inflater

if TYPE_CHECKING:
    from wirecore_py.stream import StreamDecoder

__all__ = [
    "LOCAL_ONLY_CLOSE_REASONS",
    "MAX_PAYLOAD_NORMAL",
    "CloseReason",
    "Frame",
    "FrameDecoder",
    "FrameProtocol",
    "Header",
    "MessageDecoder",
    "Opcode",
    "ParseFailed",
    "RsvBits",
]

#: What the decoder hands out.
Item: TypeAlias = TextMessage | BytesMessage | Ping | Pong | CloseConnection | Failure

_NOTHING: Final[Iterator[Item]] = iter(())
_NO_BITS: Final = RsvBits(False, False, False)


class FrameProtocol(_FrameProtocol):
    """What a Connection makes frames with, and reads them.

    *client*: whether this end is the client. *extensions*: those that are enabled count. With
    one that isn't wsproto's PerMessageDeflate all work is left to wsproto's own code, since
    an extension may do anything to a frame.

    *max_message_size*: the most bytes a message may have, on the wire and decompressed, 1 to
    sys.maxsize (else InvalidOption is raised, and TypeError where it isn't an int); None, as in
    wsproto, for any number. A message over it fails with code 1009 before more of it is
    decompressed or waited for.
    """

    #: Which modules do the work.
    backend: ClassVar[Backend] = default

    #: Whether an extension that is not known here has all work left to wsproto's code.
    foreign = False

    #: What was read and not yet taken: whoever takes only some leaves the others to the next.
    pending: Iterator[Item]

    def __init__(
        self, client: bool, extensions: list[Extension], *, max_message_size: int | None = None
    ) -> None:
        bound = check_bound(max_message_size)
        enabled = [extension for extension in extensions if extension.enabled()]
        self.pending = _NOTHING
        self._held: list[bytes] = []
        self._decoder: StreamDecoder | None = None
        if len(enabled) > 1 or any(type(each) is not PerMessageDeflate for each in enabled):
            self.foreign = True
            super().__init__(client, extensions)
            return
        # The base's constructor isn't called: it makes wsproto's decoders, a kilobyte of them
        # for each connection, and what it sets beside them is set here.
        self.client = client
        self.extensions = enabled
        self._outbound_opcode = None
        self._decoder = self.backend.stream.StreamDecoder(
            client=client,
            text=TextMessage,
            binary=BytesMessage,
            judge=Judge(client, enabled),
            max_message_size=bound,
            inflater=_inflater(client, enabled),
        )

    def receive_bytes(self, data: bytes) -> None:
        """Take what came from the peer, in any buffer of bytes; it isn't looked at yet."""
        if self._decoder is None:
            super().receive_bytes(data)
        elif data:
            self._held.append(data if type(data) is bytes else memoryview(data).tobytes())

    def read(self) -> bool:
        """Decode what was received, to `pending`, of which nothing is left; False for nothing."""
        held = self._held
        if not held or self._decoder is None:
            return False
        data = held[0] if len(held) == 1 else b"".join(held)
        held.clear()
        items = self._decoder.receive(data)
        self.pending = iter(items)
        return bool(items)

    def items(self) -> Generator[Item, None, None]:
        """What has come, one by one; more may be received meanwhile."""
        while True:
            pending = self.pending
            yield from pending
            # Another one may run at the same time, and have read more than it took.
            if self.pending is pending and not self.read():
                return

    def received_frames(self) -> Generator[Frame, None, None]:
        """The frames, and parts of frames, that have come; ParseFailed where one is wrong."""
        if self._decoder is None:
            yield from super().received_frames()
            return
        for item in self.items():
            yield _frame(item)

    def send_message(self, data: bytes | bytearray | str, finished: bool) -> bytes:
        """A message or a part of one as it is sent; *finished*: it is all, or the end.

        Raises TypeError where *data* is no such thing, or of another kind than what began.
        """
        kind = type(data)
        if (
            finished
            and self._outbound_opcode is None
            and not self.extensions
            and (kind is bytes or kind is str or kind is bytearray)
        ):
            return self.backend.frames.encode_message(data, self.client)
        return bytes(self.send_data(data, finished))

    def _serialize_frame(
        self, opcode: Opcode, payload: bytes | bytearray = b"", fin: bool = True
    ) -> bytearray:
        if self._decoder is None:
            return super()._serialize_frame(opcode, payload, fin)
        bits = _NO_BITS
        packed = bytes(payload)
        for extension in self.extensions:
            bits, packed = extension.frame_outbound(self, opcode, bits, packed, fin)
        if opcode.iscontrol() and len(packed) > MAX_PAYLOAD_NORMAL:
            raise ValueError("payload too long for control frame")
        encode = self.backend.frames.encode_frame
        return bytearray(encode(opcode, packed, self.client, fin, bits.rsv1))


def _inflater(client: bool, extensions: list[Extension]) -> Inflater | None:
    """For the compressed messages that come to this end; it never makes more than is allowed."""
    for extension in extensions:
        assert isinstance(extension, PerMessageDeflate)
        if client:
            bits, fresh = (
                extension.server_max_window_bits,
                extension.server_no_context_takeover,
            )
        else:
            bits, fresh = (
                extension.client_max_window_bits,
                extension.client_no_context_takeover,
            )
        return Inflater(bits, fresh=fresh)
    return None


def _frame(said: Item) -> Frame:
    """The frame that an event was made of, as wsproto's FrameProtocol gives it."""
    if isinstance(said, Failure):
        raise ParseFailed(said.reason, CloseReason(said.code))
    if isinstance(said, TextMessage):
        return Frame(Opcode.TEXT, said.data, said.frame_finished, said.message_finished)
    if isinstance(said, BytesMessage):
        return Frame(Opcode.BINARY, bytes(said.data), said.frame_finished, said.message_finished)
    if isinstance(said, CloseConnection):
        return Frame(Opcode.CLOSE, (said.code, said.reason or ""), True, True)
    opcode = Opcode.PING if isinstance(said, Ping) else Opcode.PONG
    return Frame(opcode, said.payload, True, True)
