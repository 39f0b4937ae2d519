"""What programs get and give in webwire: twin of ``wirecore._webwire_values``."""

from __future__ import annotations

from types import GenericAlias
from typing import TYPE_CHECKING, Any, Final

from wirecore.errors import InvalidMessage, UnsendableMessage, kind_of
from wirecore.webwire_rules import REPLY, Encoding, MessageType

if TYPE_CHECKING:
    from wirecore_py.webwire import Message

_ENCODINGS: Final = tuple(Encoding)
_BINARY: Final = Encoding.BINARY  # a member looked up in its class costs as much as a call
_UTF8: Final = Encoding.UTF8
_CODECS: Final = {Encoding.UTF8: "utf-8", Encoding.UTF16: "utf-16-le"}


class Payload:
    """*data* and how it is to be read: what requests, signals and replies carry.

    Text that came is never checked before somebody asks for it, as :attr:`text`.
    """

    __slots__ = ("data", "encoding")

    data: bytes
    encoding: Encoding

    def __init__(self, data: bytes = b"", encoding: Encoding = Encoding.BINARY) -> None:
        self.data = data
        self.encoding = encoding

    @classmethod
    def of(cls, value: Payload | str | bytes | bytearray | memoryview | None) -> Payload:
        """*value* as a payload: ``str`` in UTF-8, None empty, any buffer of bytes binary.

        Raises TypeError for anything else, :class:`~wirecore.errors.UnsendableMessage` for text
        that can't be encoded.
        """
        return value if isinstance(value, Payload) else cls(*split(value))

    @classmethod
    def utf16(cls, text: str) -> Payload:
        """*text* in UTF-16. Raises :class:`~wirecore.errors.UnsendableMessage` as :meth:`of`."""
        return cls(_encode(text, Encoding.UTF16), Encoding.UTF16)

    @property
    def text(self) -> str:
        """The payload as text: UTF-16 where it says so, else UTF-8, as binary may be text too.

        Raises :class:`~wirecore.errors.InvalidMessage` where it isn't that.
        """
        codec = _CODECS.get(self.encoding, "utf-8")
        try:
            return self.data.decode(codec)
        except UnicodeDecodeError as error:
            raise InvalidMessage(f"the payload is no text in {codec}: {error.reason}") from None

    def __len__(self) -> int:
        return len(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Payload):
            return NotImplemented
        return self.data == other.data and self.encoding == other.encoding

    def __hash__(self) -> int:
        return hash((self.data, self.encoding))

    def __repr__(self) -> str:
        # Without what it says, which may be secret.
        return f"<Payload of {len(self.data)} bytes, {Encoding(self.encoding).name}>"


def split(
    value: Payload | str | bytes | bytearray | memoryview | None,
) -> tuple[bytes, Encoding]:
    """Bytes and encoding of *value*; see :meth:`Payload.of`, of which it is the fast form."""
    if type(value) is bytes:
        return value, _BINARY
    if isinstance(value, Payload):
        return value.data, value.encoding
    if isinstance(value, str):
        return _encode(value, _UTF8), _UTF8
    if value is None:
        return b"", _BINARY
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), _BINARY
    raise TypeError(
        f"a payload must be Payload, str, bytes or None, not {kind_of(value)}: a codec, "
        "webwire.Json() say, sends other values"
    )


def _encode(text: str, encoding: Encoding) -> bytes:
    try:
        return text.encode(_CODECS[encoding])
    except UnicodeEncodeError as error:
        raise UnsendableMessage(f"the text can't be encoded: {error.reason}") from None


class _Delivery:
    """A message as its handler is called with it."""

    __slots__ = ("connection", "name", "payload", "value")

    connection: Any
    name: str
    payload: Payload
    value: Any

    def __init__(self, connection: object, name: str, payload: Payload, value: object) -> None:
        self.connection = connection
        self.name = name
        self.payload = payload
        self.value = value

    def __class_getitem__(cls, parameter: object) -> GenericAlias:
        return GenericAlias(cls, parameter)

    @property
    def text(self) -> str:
        """The payload as text. Raises InvalidMessage where it isn't that."""
        return self.payload.text

    @property
    def data(self) -> bytes:
        """The payload's bytes."""
        return self.payload.data

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, {self.payload!r}>"


class Request(_Delivery):
    """A client's request; what its handler returns is the reply."""

    __slots__ = ()


class Signal(_Delivery):
    """A client's signal; nothing is sent back."""

    __slots__ = ()


#: What a message of each type becomes.
_MADE_OF: Final[dict[int, tuple[type[_Delivery], Encoding]]] = {
    **{MessageType.SIGNAL + encoding: (Signal, encoding) for encoding in Encoding},
    **{MessageType.REQUEST + encoding: (Request, encoding) for encoding in Encoding},
}


def reply_payload(kind: int, data: bytes) -> Payload:
    """What a reply of type *kind* carries. Raises ValueError for a type of another message."""
    encoding = kind - REPLY
    if not 0 <= encoding < len(_ENCODINGS):
        raise ValueError(f"a message of type {kind} is no reply with a payload")
    return Payload(data, _ENCODINGS[encoding])


def delivery(connection: object, message: Message) -> Any:
    """The Request or Signal that *message* is to its handler; its value is the payload.

    Raises ValueError for one of another type.
    """
    kind, _, name, data = message
    made_of = _MADE_OF.get(kind)
    if made_of is None:
        raise ValueError(f"a message of type {kind} has no handler")
    make, encoding = made_of
    payload = Payload(data, encoding)
    return make(connection, name, payload, payload)
