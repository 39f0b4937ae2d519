"""What webwire messages are made of, protocol 2.0: types, encodings, and what may be written.

Both backends go by these figures. It imports nothing but the leaves.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from wirecore.errors import UnsendableMessage, kind_of


class Encoding(IntEnum):
    """How a payload is to be read. A message's type is that of its kind plus this."""

    BINARY = 0
    UTF8 = 1
    #: Little-endian; its message pads the header, so that the payload begins at an even offset.
    UTF16 = 2


class MessageType(IntEnum):
    """The first byte of a message. What has encodings stands for its binary form."""

    REPLY_ERROR = 0
    REPLY_SHUTDOWN = 1
    REPLY_INTERNAL_ERROR = 2
    REPLY_SESSION_NOT_FOUND = 3
    REPLY_MAX_SESSION_CONNECTIONS = 4
    REPLY_SESSIONS_DISABLED = 5
    SESSION_CREATED = 21
    SESSION_CLOSED = 22
    ACCEPT_CONF = 23
    CLOSE_SESSION = 31
    RESTORE_SESSION = 32
    HEARTBEAT = 33
    SIGNAL = 63
    REQUEST = 127
    REPLY = 191


#: The types of signals, requests and replies, one for each encoding, as plain numbers: comparing
#: members of an enum costs as much as a call.
SIGNAL: Final = int(MessageType.SIGNAL)
SIGNAL_END: Final = SIGNAL + len(Encoding)
REQUEST: Final = int(MessageType.REQUEST)
REQUEST_END: Final = REQUEST + len(Encoding)
REPLY: Final = int(MessageType.REPLY)

#: What stands in a type's place for bytes that are no message.
MALFORMED: Final = -1

#: Bytes of a request's id, which the requester chooses and the answer repeats.
ID_SIZE: Final = 8

#: Longest name of a request or signal, and longest code of an error, in bytes.
MAX_NAME: Final = 255

#: Names and codes are written in printable ASCII only; whoever reads takes any byte.
FIRST_PRINTABLE: Final = 32
LAST_PRINTABLE: Final = 126

# --- what is wrong with bytes that came -----------------------------------------------------

TEXT_MESSAGE: Final = "a text message, where all of webwire's are binary"
EMPTY_MESSAGE: Final = "an empty message"
UNKNOWN_TYPE: Final = "a message of a type that doesn't exist"
TOO_SHORT: Final = "a message shorter than its type or the length in it says"
TOO_LONG: Final = "a message longer than its type"
ODD_LENGTH: Final = "a UTF-16 message of odd length"
NO_CODE: Final = "an error without a code"

# --- what is wrong with what is to be written -----------------------------------------------

BAD_ID: Final = f"a request's id must be 0 to 2^{8 * ID_SIZE} - 1"
BAD_ENCODING: Final = "an encoding must be one of Encoding's"
LONG_NAME: Final = f"a name must be no longer than {MAX_NAME} characters"
UNPRINTABLE_NAME: Final = "a name must be printable ASCII"
NOTHING: Final = "a message must have a name or a payload"
ODD_PAYLOAD: Final = "a payload in UTF-16 must have an even number of bytes"
#: The original writes such a signal, and then drops the connection that it comes over.
NAME_ONLY: Final = "a signal in UTF-16 must have a payload; send it as binary or UTF-8"
EMPTY_CODE: Final = "an error must have a code"
LONG_CODE: Final = f"a code must be no longer than {MAX_NAME} characters"
UNPRINTABLE_CODE: Final = "a code must be printable ASCII"


def encode_id(request_id: int) -> bytes:
    """*request_id* as the 8 bytes on the wire.

    Raises TypeError where it is no int, :class:`~wirecore.errors.UnsendableMessage` outside 0 to
    2^64 - 1.
    """
    if not isinstance(request_id, int):
        raise TypeError(f"a request's id must be an int, not {kind_of(request_id)}")
    try:
        return request_id.to_bytes(ID_SIZE, "little")
    except OverflowError:
        raise UnsendableMessage(BAD_ID) from None
