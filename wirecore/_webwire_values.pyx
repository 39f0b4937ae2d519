# cython: language_level=3
"""What programs get and give in webwire: twin of ``wirecore_py.webwire_values``.

One of each is made for every message, and a class of Python would take a frame for it.
"""

from types import GenericAlias

from wirecore.errors import InvalidMessage, UnsendableMessage, kind_of
from wirecore.webwire_rules import Encoding, MessageType

cdef object BINARY = Encoding.BINARY
cdef object UTF8 = Encoding.UTF8
cdef object UTF16 = Encoding.UTF16
cdef dict CODECS = {UTF8: "utf-8", UTF16: "utf-16-le"}
cdef tuple ENCODINGS = tuple(Encoding)
cdef int SIGNAL = int(MessageType.SIGNAL)
cdef int REQUEST = int(MessageType.REQUEST)
cdef int REPLY = int(MessageType.REPLY)


cdef class Payload:
    """*data* and how it is to be read: what requests, signals and replies carry.

    Text that came is never checked before somebody asks for it, as :attr:`text`.
    """

    cdef public object data
    cdef public object encoding

    def __init__(self, data=b"", encoding=BINARY):
        self.data = data
        self.encoding = encoding

    @classmethod
    def of(cls, value):
        """*value* as a payload: ``str`` in UTF-8, None empty, any buffer of bytes binary."""
        return value if isinstance(value, Payload) else cls(*split(value))

    @classmethod
    def utf16(cls, text):
        """*text* in UTF-16."""
        return cls(encode(text, UTF16), UTF16)

    @property
    def text(self):
        """The payload as text: UTF-16 where it says so, else UTF-8, as binary may be text too."""
        codec = CODECS.get(self.encoding, "utf-8")
        try:
            return self.data.decode(codec)
        except UnicodeDecodeError as error:
            raise InvalidMessage(f"the payload is no text in {codec}: {error.reason}") from None

    def __len__(self):
        return len(self.data)

    def __bool__(self):
        return bool(self.data)

    def __eq__(self, other):
        if not isinstance(other, Payload):
            return NotImplemented
        return self.data == other.data and self.encoding == other.encoding

    def __hash__(self):
        return hash((self.data, self.encoding))

    def __repr__(self):
        return f"<Payload of {len(self.data)} bytes, {Encoding(self.encoding).name}>"


def split(value):
    """Bytes and encoding of *value*; see :meth:`Payload.of`, of which it is the fast form."""
    if type(value) is bytes:
        return value, BINARY
    if isinstance(value, Payload):
        return (<Payload>value).data, (<Payload>value).encoding
    if isinstance(value, str):
        return encode(value, UTF8), UTF8
    if value is None:
        return b"", BINARY
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value), BINARY
    raise TypeError(
        f"a payload must be Payload, str, bytes or None, not {kind_of(value)}: a codec, "
        "webwire.Json() say, sends other values"
    )


cdef object encode(text, encoding):
    try:
        return text.encode(CODECS[encoding])
    except UnicodeEncodeError as error:
        raise UnsendableMessage(f"the text can't be encoded: {error.reason}") from None


cdef class _Delivery:
    """A message as its handler is called with it."""

    cdef public object connection
    cdef public object name
    cdef public object payload
    cdef public object value

    def __init__(self, connection, name, payload, value):
        self.connection = connection
        self.name = name
        self.payload = payload
        self.value = value

    @classmethod
    def __class_getitem__(cls, parameter):
        return GenericAlias(cls, parameter)

    @property
    def text(self):
        """The payload as text. Raises InvalidMessage where it isn't that."""
        return self.payload.text

    @property
    def data(self):
        """The payload's bytes."""
        return self.payload.data

    def __repr__(self):
        return f"<{type(self).__name__} {self.name!r}, {self.payload!r}>"


cdef class Request(_Delivery):
    """A client's request; what its handler returns is the reply."""


cdef class Signal(_Delivery):
    """A client's signal; nothing is sent back."""


def reply_payload(Py_ssize_t kind, data):
    """What a reply of type *kind* carries. Raises ValueError for a type of another message."""
    cdef Py_ssize_t encoding = kind - REPLY
    if not 0 <= encoding < len(ENCODINGS):
        raise ValueError(f"a message of type {kind} is no reply with a payload")
    cdef Payload made = Payload.__new__(Payload)
    made.data = data
    made.encoding = ENCODINGS[encoding]
    return made


def delivery(connection, tuple message not None):
    """The Request or Signal that *message* is to its handler; its value is the payload.

    Raises ValueError for one of another type.
    """
    cdef int kind = message[0]
    cdef int encoding = kind - REQUEST
    cdef _Delivery made
    if 0 <= encoding < len(ENCODINGS):
        made = Request.__new__(Request)
    else:
        encoding = kind - SIGNAL
        if not 0 <= encoding < len(ENCODINGS):
            raise ValueError(f"a message of type {kind} has no handler")
        made = Signal.__new__(Signal)
    cdef Payload payload = Payload.__new__(Payload)
    payload.data = message[3]
    payload.encoding = ENCODINGS[encoding]
    made.connection = connection
    made.name = message[2]
    made.payload = made.value = payload
    return made
