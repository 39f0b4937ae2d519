"""What is wrong with a frame, as wsproto says it.

The decoder knows which frames break no rule. Of the others wsproto's own parts are asked, so
that the code and the words are theirs, whatever they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wsproto.events import CloseConnection, Event, Ping, Pong
from wsproto.extensions import Extension
from wsproto.frame_protocol import (
    CloseReason,
    Frame,
    FrameDecoder,
    FrameProtocol,
    MessageDecoder,
    Opcode,
    ParseFailed,
)

from wirecore.events import Failure


def _failure(error: ParseFailed) -> Failure:
    return Failure(error.code, str(error))


class Judge:
    """Judges the frames that come to one end of a connection with these *extensions*."""

    __slots__ = ("_client", "_extensions")

    #: What wsproto says when an extension can't read a payload.
    bad_data: Final = Failure(CloseReason.INVALID_FRAME_PAYLOAD_DATA, "error in extension")

    def __init__(self, client: bool, extensions: Sequence[Extension]) -> None:
        self._client = client
        self._extensions = extensions

    def check_head(self, head: bytes) -> Failure | None:
        """Which rule *head*, the first bytes of a frame, breaks; None if too few tell it."""
        decoder = FrameDecoder(self._client, list(self._extensions))
        decoder.receive_bytes(head)
        try:
            decoder.parse_header()
        except ParseFailed as error:
            return _failure(error)
        return None

    def check_order(self, opcode: int, message: int) -> Failure:
        """What is wrong with a frame of *opcode* inside a message of opcode *message*, or 0."""
        decoder = MessageDecoder()
        decoder.opcode = Opcode(message) if message else None
        try:
            decoder.process_frame(Frame(Opcode(opcode), b"", True, True))
        except ParseFailed as error:
            return _failure(error)
        raise ValueError(f"a frame of opcode {opcode} may come after one of opcode {message}")

    def read_control(self, opcode: int, payload: bytes) -> Event | Failure:
        """The event of a control frame, or what is wrong with its payload."""
        if opcode == Opcode.PING:
            return Ping(payload=payload)
        if opcode == Opcode.PONG:
            return Pong(payload=payload)
        try:
            # It reads the frame and nothing of the protocol it is a method of.
            frame = FrameProtocol._process_close(
                FrameProtocol(self._client, []), Frame(Opcode.CLOSE, payload, True, True)
            )
        except ParseFailed as error:
            return _failure(error)
        assert isinstance(frame.payload, tuple)
        code, reason = frame.payload
        return CloseConnection(code=code, reason=reason)
