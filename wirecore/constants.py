"""Numbers that the whole package shares: opcodes, close codes, default bounds.

A leaf: it imports nothing of the package, and everything may import it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Opcode(IntEnum):
    """Frame types, RFC 6455 section 5.2."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """Close codes, RFC 6455 section 7.4.1 and the IANA registry."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_FAILED = 1015


#: RFC 6455 section 5.5: payload of a control frame, in bytes.
MAX_CONTROL_PAYLOAD: Final = 125

#: Longest reason of a close frame: a control payload less the two bytes of the code.
MAX_CLOSE_REASON: Final = 123

#: Default bound on one received message, in bytes, compressed or not.
DEFAULT_MAX_MESSAGE_SIZE: Final = 16 * 1024 * 1024


def is_valid_close_code(code: int) -> bool:
    """Whether *code* may stand in a close frame on the wire (RFC 6455 section 7.4.2).

    1004, 1005, 1006 and 1015 are reserved, 1016 to 2999 unassigned, 3000 to 4999 free for
    libraries and applications.
    """
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
