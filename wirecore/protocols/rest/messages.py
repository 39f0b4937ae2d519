"""Messages of a WebSocket within the two bodies of an exchange, between our own ends.

A request with GET and the scheme ws or wss asks for a WebSocket; a response of 101 grants it. From
then on each body is a sequence of messages:

    kind: 1 byte; they are the opcodes of RFC 6455: 1 TEXT, 2 BINARY, 8 CLOSE
    length: 4 bytes, big endian
    payload: UTF-8; any bytes; what a close frame has, or a code of 1006

CLOSE is the last one, and the body ends behind it. 1006 says that the end for which the messages
are passed on was lost. A body that ends without a CLOSE, or an exchange that is reset, is a loss.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, TypeAlias

from wirecore.constants import (
    DEFAULT_MAX_MESSAGE_SIZE,
    MAX_CONTROL_PAYLOAD,
    CloseCode,
    Opcode,
    is_valid_close_code,
)
from wirecore.errors import (
    InvalidMessage,
    LocalLimitExceeded,
    RemoteLimitExceeded,
    UnsendableMessage,
    without_frames,
)
from wirecore.events import Buffer, Close
from wirecore.session.limits import check_at_least
from wirecore.websocket.closing import close_payload

#: Bytes before the payload.
HEAD_SIZE: Final = 5

_HEAD: Final = Struct(">BI")
_LARGEST: Final = (1 << 32) - 1
_KINDS: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CLOSE})

#: What a body is made of: text, binary, and the end.
Item: TypeAlias = str | bytes | Close


def encode_message(message: str | Buffer) -> bytes:
    """A message: text for ``str``, else binary.

    Raises UnsendableMessage for text that UTF-8 hasn't, LocalLimitExceeded beyond 4 GiB.
    """
    kind = Opcode.BINARY
    if isinstance(message, str):
        kind = Opcode.TEXT
        try:
            message = message.encode()
        except UnicodeEncodeError:
            raise UnsendableMessage("a text message holds a lone surrogate") from None
    size = memoryview(message).nbytes
    if size > _LARGEST:
        raise LocalLimitExceeded("a message", size, _LARGEST)
    return b"".join((_HEAD.pack(kind, size), message))


def encode_close(close: Close) -> bytes:
    """The last message. *close*: as ``make_close`` makes it, or with 1006."""
    payload = close_payload(close)
    return _HEAD.pack(Opcode.CLOSE, len(payload)) + payload


class MessageDecoder:
    """Takes a body piece by piece, cut anywhere.

    *max_size*: bytes of one message, 1 at least. It holds what came of one message, and no more.
    """

    __slots__ = ("_body", "_head", "_kind", "_max_size", "_missing", "closed", "problem")

    def __init__(self, max_size: int = DEFAULT_MAX_MESSAGE_SIZE) -> None:
        check_at_least("max_message_size", max_size, 1)
        self._max_size = max_size
        self._head = b""  # what came of one that isn't whole
        self._kind = 0  # of the message that has begun; 0: none has
        self._missing = 0
        self._body = bytearray()
        #: The peer's CLOSE, once it came.
        self.closed: Close | None = None
        #: What came that is no message, once it did.
        self.problem: InvalidMessage | RemoteLimitExceeded | None = None

    def receive(self, data: bytes) -> list[Item]:
        """The messages that are whole with *data*.

        Raises :class:`~wirecore.errors.InvalidMessage` for what isn't one, or comes behind the
        last; :class:`~wirecore.errors.RemoteLimitExceeded` for a message that says it is too long.
        Nothing can be decoded after that. Where messages came before it in *data*, they are given
        out, *problem* is set, and the next call raises it.
        """
        items: list[Item] = []
        self._check()
        try:
            self._take(data, items)
        except (InvalidMessage, RemoteLimitExceeded) as error:
            self.problem = without_frames(error)
            if not items:
                raise
        return items

    def _check(self) -> None:
        if self.problem is not None:
            raise self.problem.with_traceback(None)

    def _take(self, data: bytes, items: list[Item]) -> None:
        at = 0
        size = len(data)
        while True:
            if not self._kind:
                if at == size:
                    break
                at = self._begin(data, at)
                if not self._kind:
                    break
            end = min(size, at + self._missing)
            self._missing -= end - at
            if self._missing:
                self._body += memoryview(data)[at:end]
                break
            items.append(self._finish(data[at:end]))
            at = end

    @property
    def held(self) -> int:
        """Bytes that are kept of a message that isn't whole."""
        return len(self._body)

    def end(self) -> None:
        """The body ended. Raises *problem*, and InvalidMessage if that is no end."""
        self._check()
        if self.closed is None:
            what = "within a message" if self._kind or self._head else "without a last message"
            raise InvalidMessage(f"the messages ended {what}")

    def _begin(self, data: bytes, at: int) -> int:
        """Read a head; where *data* goes on behind it."""
        if self.closed is not None:
            raise InvalidMessage("a message came behind the last one")
        end = at + HEAD_SIZE - len(self._head)
        head = self._head + data[at:end]
        if len(head) < HEAD_SIZE:
            self._head = head
            return len(data)
        self._head = b""
        kind, size = _HEAD.unpack(head)
        if kind not in _KINDS:
            raise InvalidMessage(f"a message is of no kind that there is: {kind}")
        if kind == Opcode.CLOSE:
            if size > MAX_CONTROL_PAYLOAD:
                raise InvalidMessage("a close message is longer than a close frame may be")
        elif size > self._max_size:
            raise RemoteLimitExceeded("max_message_size", size, self._max_size)
        self._kind = kind
        self._missing = size
        return end

    def _finish(self, rest: bytes) -> Item:
        kind, self._kind = self._kind, 0
        if self._body:
            self._body += rest
            rest = bytes(self._body)
            self._body = bytearray()
        if kind == Opcode.BINARY:
            return rest
        if kind == Opcode.CLOSE:
            self.closed = _read_close(rest)
            return self.closed
        return _text(rest)


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise InvalidMessage("a text message isn't UTF-8") from None


def _read_close(payload: bytes) -> Close:
    if not payload:
        return Close(None, "")
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not (is_valid_close_code(code) or code == CloseCode.ABNORMAL):
        raise InvalidMessage("a close message has a code that there isn't")
    return Close(code, _text(payload[2:]))
