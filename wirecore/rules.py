"""What frames may hold (RFC 6455 section 5, RFC 7692 section 6), and what breaking a rule is.

Both backends decide by these tables and answer with these failures; only the legal, frequent
case is written twice. It imports nothing but the leaves.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Final

from wirecore.constants import MAX_CONTROL_PAYLOAD, CloseCode, Opcode, is_valid_close_code
from wirecore.events import Close, Failure

_OPCODES: Final = frozenset(Opcode)
_DATA: Final = (Opcode.TEXT, Opcode.BINARY)
_FIN: Final = 0x80
_RSV1: Final = 0x40
_RSV2_RSV3: Final = 0x30
#: The bit that all control opcodes have (RFC 6455 section 5.5).
_CONTROL: Final = 0x08

MASK_MISSING: Final = Failure(CloseCode.PROTOCOL_ERROR, "frame from a client is not masked")
MASK_UNWANTED: Final = Failure(CloseCode.PROTOCOL_ERROR, "frame from a server is masked")
CONTROL_TOO_LONG: Final = Failure(
    CloseCode.PROTOCOL_ERROR, f"control frame is longer than {MAX_CONTROL_PAYLOAD} bytes"
)
LENGTH_NOT_MINIMAL: Final = Failure(
    CloseCode.PROTOCOL_ERROR, "payload length is not written in the shortest form"
)
LENGTH_TOP_BIT: Final = Failure(
    CloseCode.PROTOCOL_ERROR, "most significant bit of the payload length is set"
)
BAD_UTF8: Final = Failure(CloseCode.INVALID_DATA, "text message is not valid UTF-8")
BAD_DEFLATE: Final = Failure(CloseCode.INVALID_DATA, "compressed message cannot be decompressed")


def too_big(limit: str, figure: int, bound: int) -> Failure:
    """The failure of a peer that passed *bound*, called *limit*, with *figure* bytes."""
    return Failure(
        CloseCode.TOO_BIG, f"{limit} is {bound} bytes, got {figure}", limit, figure, bound
    )


def first_byte_problem(first: int, in_message: bool, compression: bool) -> str:
    """Which rule the first byte of a frame breaks, in words; "" where it is legal.

    *in_message*: whether a fragmented message is under way; *compression*: whether
    permessage-deflate was negotiated.
    """
    opcode = first & 0x0F
    if opcode not in _OPCODES:
        return f"frame has the reserved opcode 0x{opcode:x}"
    if first & _RSV2_RSV3:
        return "frame has a reserved bit set that no extension uses"
    if first & _RSV1:
        if not compression:
            return "frame is marked compressed, but compression was not negotiated"
        if opcode not in _DATA:
            return "only the first frame of a message may be marked compressed"
    if opcode & _CONTROL:
        return "" if first & _FIN else "control frame is fragmented"
    if in_message:
        return "new message begins inside a fragmented one" if opcode else ""
    return "" if opcode else "continuation frame has no message to continue"


@cache
def legal_first_bytes(in_message: bool, compression: bool) -> bytes:
    """For each first byte of a frame, 1 where it breaks no rule; `first_byte_problem` says 0."""
    return bytes(not first_byte_problem(byte, in_message, compression) for byte in range(256))


def illegal_first_byte(first: int, in_message: bool, compression: bool) -> Failure:
    """The failure of a frame whose first byte is 0 in `legal_first_bytes`."""
    return Failure(CloseCode.PROTOCOL_ERROR, first_byte_problem(first, in_message, compression))


def read_close(payload: bytes) -> Close | Failure:
    """What the payload of a close frame says (RFC 6455 section 5.5.1), or the rule it breaks."""
    if not payload:
        return Close(None, "")
    if len(payload) == 1:
        return Failure(CloseCode.PROTOCOL_ERROR, "close frame has a payload of one byte")
    code = int.from_bytes(payload[:2], "big")
    if not is_valid_close_code(code):
        return Failure(CloseCode.PROTOCOL_ERROR, f"close frame has the illegal code {code}")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        return Failure(CloseCode.INVALID_DATA, "reason of a close frame is not valid UTF-8")


def check_frame(
    opcode: int, size: int, fin: bool, rsv1: bool, masked: bool, key: bytes | None
) -> None:
    """Raise ValueError where a frame of ours would break a rule whatever the connection's state.

    *size*: length of its payload in bytes. *key*: as given for it, checked too: TypeError when
    it is no bytes, ValueError when it isn't 4 of them or there is nothing to mask.
    """
    if not 0 <= opcode <= 0x0F:
        raise ValueError(f"opcode must be between 0 and 15, got {opcode}")
    first = opcode | (_FIN if fin else 0) | (_RSV1 if rsv1 else 0)
    problem = first_byte_problem(first, in_message=not opcode, compression=True)
    if problem:
        raise ValueError(problem)
    if opcode & _CONTROL and size > MAX_CONTROL_PAYLOAD:
        raise ValueError(
            f"payload of a control frame is at most {MAX_CONTROL_PAYLOAD} bytes, got {size}"
        )
    if key is not None:
        if not masked:
            raise ValueError("a key was given for a frame that isn't to be masked")
        check_key(key)


def check_key(key: bytes) -> None:
    """Raise TypeError where a masking key is no bytes, ValueError where it isn't 4 of them."""
    if not isinstance(key, bytes):
        raise TypeError(f"key must be bytes, not {type(key).__name__}")
    if len(key) != 4:
        raise ValueError(f"key must be 4 bytes long, not {len(key)}")


def check_limits(max_frame_size: int, max_message_size: int) -> None:
    """Raise ValueError where a decoder's limit, in bytes, is negative or over sys.maxsize."""
    for name, value in (("max_frame_size", max_frame_size), ("max_message_size", max_message_size)):
        if not 0 <= value <= sys.maxsize:
            raise ValueError(f"{name} must be between 0 and {sys.maxsize}, got {value}")


def check_piece_classes(text: type, binary: type) -> None:
    """Raise TypeError where a class can't be that of pieces of messages.

    Its instances are made past its constructor and given attributes past its own ways of setting
    them, so it must be a plain class with a ``__dict__``, and no subclass of a built-in one.
    """
    for kind in (text, binary):
        if not isinstance(kind, type):
            raise TypeError(f"text and binary must be classes, got {kind!r}")
        object.__new__(kind)  # TypeError where it would make half an object
        if not kind.__dictoffset__:
            raise TypeError(
                f"text and binary must be classes whose instances have a __dict__, got {kind!r}"
            )
