"""The messages of the original's example and tests, without a protobuf library.

Source of the layout, proto3: ``ping.Ping``, ``ping.Gnip`` and ``rpcs.Echo``. Each message has a
``string body = 1``; EchoRequest also an ``int64 delayMs = 2``, milliseconds before the answer.
Names are protobuf's, so that these and generated classes can stand for each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from wirecore.errors import InvalidMessage
from wirecore.protobuf import (
    VARINT,
    read_fields,
    read_text,
    write_field,
    write_varint,
)

_BODY = 1
_DELAY = 2


@dataclass(slots=True, init=False)
class _Message:
    """A message with a body. Raises TypeError for a body that isn't ``str``."""

    body: str

    def __init__(self, body: str = "") -> None:
        if not isinstance(body, str):
            raise TypeError(f"body must be str, not {type(body).__name__}")
        self.body = body

    def SerializeToString(self) -> bytes:  # noqa: N802  # protobuf's name
        """The message's bytes; raises UnicodeEncodeError for a lone surrogate in *body*."""
        return write_field(_BODY, self.body.encode())

    @classmethod
    def FromString(cls, data: bytes) -> Self:  # noqa: N802  # protobuf's name
        """The message that *data* encodes; fields that it doesn't have are skipped.

        Raises :class:`~wirecore.errors.InvalidMessage` where *data* is no message.
        """
        message = cls()
        try:
            for number, value in read_fields(data):
                message._take(number, value)
        except InvalidMessage as error:
            raise InvalidMessage(f"{cls.__name__}: {error}") from None
        return message

    def _take(self, number: int, value: int | bytes) -> None:
        if number == _BODY and isinstance(value, bytes):
            self.body = read_text(value)


@dataclass(slots=True, init=False)
class PingRequest(_Message):
    """What ``ping.Ping`` takes."""


@dataclass(slots=True, init=False)
class PingResponse(_Message):
    """What ``ping.Ping`` answers."""


@dataclass(slots=True, init=False)
class GnipRequest(_Message):
    """What ``ping.Gnip`` takes."""


@dataclass(slots=True, init=False)
class GnipResponse(_Message):
    """What ``ping.Gnip`` answers."""


@dataclass(slots=True, init=False)
class EchoRequest(_Message):
    """What ``rpcs.Echo`` takes."""

    delayMs: int  # noqa: N815  # the field's name

    def __init__(self, body: str = "", delayMs: int = 0) -> None:  # noqa: N803  # the field's name
        if not isinstance(delayMs, int):
            raise TypeError(f"delayMs must be int, not {type(delayMs).__name__}")
        _Message.__init__(self, body)
        self.delayMs = delayMs

    def SerializeToString(self) -> bytes:  # noqa: N802  # protobuf's name
        """The message's bytes; raises UnicodeEncodeError for a lone surrogate in *body*.

        And OverflowError where *delayMs* is no int64.
        """
        encoded = _Message.SerializeToString(self)
        if self.delayMs:
            # An int64 travels as its two's complement.
            unsigned = int.from_bytes(self.delayMs.to_bytes(8, "big", signed=True), "big")
            encoded += write_varint(_DELAY << 3 | VARINT) + write_varint(unsigned)
        return encoded

    def _take(self, number: int, value: int | bytes) -> None:
        if number == _DELAY and isinstance(value, int):
            self.delayMs = int.from_bytes(value.to_bytes(8, "big"), "big", signed=True)
        else:
            _Message._take(self, number, value)


@dataclass(slots=True, init=False)
class EchoResponse(_Message):
    """What ``rpcs.Echo`` answers."""
