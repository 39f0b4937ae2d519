"""Frames one by one, right or wrong: RFC 6455 section 5.2, for a peer that isn't bound by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wirecore.constants import Opcode

from .._arguments import require_type
from ._bounds import require_between


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it came, or is to be sent. *opcode*: 0 to 15; *rsv*: the reserved bits, 0 to 7.

    *length*: what the head says in place of the payload's length, 0 to 2**64 - 1.

    Raises InvalidOption for a figure out of its bounds, TypeError for other types.
    """

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    masked: bool = False
    length: int | None = None

    def __post_init__(self) -> None:
        require_between("opcode", self.opcode, 0, 15)
        require_between("rsv", self.rsv, 0, 7)
        if self.length is not None:
            require_between("length", self.length, 0, (1 << 64) - 1)
        require_type("payload", self.payload, bytes, hint="encode it")
        require_type("fin", self.fin, bool)
        require_type("masked", self.masked, bool)

    def encode(self, mask: bytes) -> bytes:
        """It as bytes. *mask*: 4 bytes, used where it is masked."""
        first = (0x80 if self.fin else 0) | self.rsv << 4 | self.opcode
        length = len(self.payload) if self.length is None else self.length
        bit = 0x80 if self.masked else 0
        if length < 126:
            head = bytes((first, bit | length))
        elif length < 1 << 16:
            head = bytes((first, bit | 126)) + length.to_bytes(2, "big")
        else:
            head = bytes((first, bit | 127)) + length.to_bytes(8, "big")
        if self.masked:
            return head + mask + masked(self.payload, mask)
        return head + self.payload

    @property
    def kind(self) -> str:
        """ "text", "binary", "continuation", "close", "ping", "pong", or the opcode's number."""
        try:
            return Opcode(self.opcode).name.lower()
        except ValueError:
            return str(self.opcode)

    @property
    def close_code(self) -> int:
        """The code of a close frame, 1005 where it has none."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) > 1 else 1005

    @property
    def close_reason(self) -> str:
        """The reason of a close frame."""
        return self.payload[2:].decode(errors="replace")


def masked(payload: bytes, mask: bytes) -> bytes:
    """*payload* masked, or unmasked: RFC 6455 section 5.3."""
    size = len(payload)
    keys = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def read_frames(data: bytearray) -> Iterator[Frame]:
    """The whole frames at the beginning of *data*, which are taken out of it."""
    while (found := _first_frame(data)) is not None:
        frame, size = found
        del data[:size]
        yield frame


def _first_frame(data: bytearray) -> tuple[Frame, int] | None:
    if len(data) < 2:
        return None
    first, second = data[:2]
    length, size = second & 0x7F, 2
    if length > 125:
        size = 4 if length == 126 else 10
        if len(data) < size:
            return None
        length = int.from_bytes(data[2:size], "big")
    is_masked = second > 127
    begin = size + 4 if is_masked else size
    if len(data) < begin + length:
        return None
    payload = bytes(data[begin : begin + length])
    if is_masked:
        payload = masked(payload, bytes(data[size:begin]))
    frame = Frame(first & 15, payload, first > 127, first >> 4 & 7, is_masked)
    return frame, begin + length
