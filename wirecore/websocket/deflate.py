"""The permessage-deflate extension: RFC 7692, section 7.

One :class:`DeflateOffer` says what this end wants; client and server agree on
:class:`DeflateParameters`, which make the :class:`Inflater` and :class:`Deflater` of either end.
"""

from __future__ import annotations

import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wirecore.errors import HandshakeError
from wirecore.events import Buffer
from wirecore.session.limits import check_at_least, check_at_most

if TYPE_CHECKING:
    from zlib import _Compress, _Decompress

    from wirecore.websocket.extensions import Extension

NAME: Final = "permessage-deflate"

#: A window of 2**15 bytes: what holds where nothing is agreed on (section 7.1.2).
MAX_WINDOW_BITS: Final = 15

#: zlib makes no raw stream with a window of 2**8 bytes (it takes 2**9 or refuses).
MIN_DEFLATE_BITS: Final = 9

#: Section 7.2.1: taken off every compressed message, and put back by the receiver.
_TAIL: Final = b"\x00\x00\xff\xff"

#: A message may hold several complete streams (section 7.2.3.4), but each costs a new
#: decompressor: a message of many tiny ones is an attack.
_MAX_STREAMS: Final = 16

# Section 7.1.2.1: a decimal without leading zeros.
_WINDOW_BITS: Final = {str(bits): bits for bits in range(8, MAX_WINDOW_BITS + 1)}


@dataclass(frozen=True, slots=True)
class DeflateOffer:
    """What one end wants of compression.

    *server_no_context_takeover*, *client_no_context_takeover*: that end starts every message
    afresh (less memory, worse compression). *server_max_window_bits*,
    *client_max_window_bits*: 9 to 15, the base-2 logarithm of that end's window in bytes.
    *level* (-1 to 9) and *mem_level* (1 to 9) are zlib's, for what this end sends. Messages
    shorter than *threshold* bytes are sent as they are.

    Raises :class:`~wirecore.errors.InvalidOption` for a value out of range.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = MAX_WINDOW_BITS
    client_max_window_bits: int = MAX_WINDOW_BITS
    level: int = zlib.Z_DEFAULT_COMPRESSION
    mem_level: int = 8
    threshold: int = 256

    def __post_init__(self) -> None:
        for option, least, most in (
            ("server_max_window_bits", MIN_DEFLATE_BITS, MAX_WINDOW_BITS),
            ("client_max_window_bits", MIN_DEFLATE_BITS, MAX_WINDOW_BITS),
            ("level", -1, 9),
            ("mem_level", 1, 9),
        ):
            check_at_least(option, getattr(self, option), least)
            check_at_most(option, getattr(self, option), most)
        check_at_least("threshold", self.threshold, 0)

    def request(self) -> Extension:
        """The client's offer. It always says that the server may bound the client's window."""
        from wirecore.websocket.extensions import Extension  # only a handshake needs it

        bits = self.client_max_window_bits
        parameters: list[tuple[str, str | None]] = [
            ("client_max_window_bits", None if bits == MAX_WINDOW_BITS else str(bits))
        ]
        if self.server_max_window_bits != MAX_WINDOW_BITS:
            parameters.append(("server_max_window_bits", str(self.server_max_window_bits)))
        if self.client_no_context_takeover:
            parameters.append(("client_no_context_takeover", None))
        if self.server_no_context_takeover:
            parameters.append(("server_no_context_takeover", None))
        return Extension(NAME, tuple(parameters))

    def confirm(self, answer: Extension) -> DeflateParameters:
        """What holds after the server's *answer* to :meth:`request`.

        Raises :class:`~wirecore.errors.HandshakeError` for an answer that the client must fail
        the connection for: section 7.1.
        """
        try:
            agreed = _read(answer, client_bits_may_be_bare=False)
        except ValueError as error:
            raise HandshakeError(f"the server's {NAME}: {error}") from None
        if self.server_no_context_takeover and not agreed.server_no_context_takeover:
            raise HandshakeError(f"the server's {NAME} lacks server_no_context_takeover")
        server_bits = agreed.server_max_window_bits or MAX_WINDOW_BITS
        if server_bits > self.server_max_window_bits:
            raise HandshakeError(
                f"the server's {NAME} has a window of {server_bits} bits, "
                f"not {self.server_max_window_bits} or less"
            )
        return DeflateParameters(
            agreed.server_no_context_takeover,
            agreed.client_no_context_takeover or self.client_no_context_takeover,
            server_bits,
            # Section 7.1.2.2: a figure above the hint in the offer isn't an error.
            min(agreed.client_max_window_bits or MAX_WINDOW_BITS, self.client_max_window_bits),
            self.level,
            self.mem_level,
            self.threshold,
        )

    def choose(self, offer: Extension) -> tuple[Extension, DeflateParameters] | None:
        """The server's answer to one *offer* of a client, and what then holds.

        None where section 7.1 has a server decline it, or it can't be met.
        """
        try:
            asked = _read(offer, client_bits_may_be_bare=True)
        except ValueError:
            return None
        if (asked.server_max_window_bits or MAX_WINDOW_BITS) < MIN_DEFLATE_BITS:
            return None
        return self._answer(asked)

    def _answer(self, asked: _Parameters) -> tuple[Extension, DeflateParameters]:
        from wirecore.websocket.extensions import Extension

        server_fresh = self.server_no_context_takeover or asked.server_no_context_takeover
        client_fresh = self.client_no_context_takeover or asked.client_no_context_takeover
        server_bits = min(
            self.server_max_window_bits, asked.server_max_window_bits or MAX_WINDOW_BITS
        )
        client_bits = MAX_WINDOW_BITS
        if asked.client_max_window_bits is not None:
            client_bits = min(self.client_max_window_bits, asked.client_max_window_bits)
        answer: list[tuple[str, str | None]] = []
        if server_fresh:
            answer.append(("server_no_context_takeover", None))
        if client_fresh:
            answer.append(("client_no_context_takeover", None))
        if server_bits != MAX_WINDOW_BITS or asked.server_max_window_bits is not None:
            answer.append(("server_max_window_bits", str(server_bits)))
        if client_bits != MAX_WINDOW_BITS:
            # Only where the client offered it: section 7.1.2.2.
            answer.append(("client_max_window_bits", str(client_bits)))
        parameters = DeflateParameters(
            server_fresh,
            client_fresh,
            server_bits,
            client_bits,
            self.level,
            self.mem_level,
            self.threshold,
        )
        return Extension(NAME, tuple(answer)), parameters


@dataclass(frozen=True, slots=True)
class DeflateParameters:
    """What both ends agreed on, and this end's own options; fields as in DeflateOffer.

    The windows may be of 8 bits here, where the peer chose that.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = MAX_WINDOW_BITS
    client_max_window_bits: int = MAX_WINDOW_BITS
    level: int = zlib.Z_DEFAULT_COMPRESSION
    mem_level: int = 8
    threshold: int = 256

    def inflater(self, *, client: bool) -> Inflater:
        """For what comes to this end; *client* says which end that is."""
        if client:
            return Inflater(self.server_max_window_bits, fresh=self.server_no_context_takeover)
        return Inflater(self.client_max_window_bits, fresh=self.client_no_context_takeover)

    def deflater(self, *, client: bool) -> Deflater | None:
        """For what this end sends; None where zlib can't make what was agreed on.

        That end then sends everything uncompressed, as it may: section 6.
        """
        bits, fresh = self.server_max_window_bits, self.server_no_context_takeover
        if client:
            bits, fresh = self.client_max_window_bits, self.client_no_context_takeover
        if bits < MIN_DEFLATE_BITS:
            return None
        return Deflater(bits, fresh=fresh, level=self.level, mem_level=self.mem_level)


class Inflater:
    """Decompresses the messages of one connection, never beyond the room it is given.

    *window_bits*: 8 to 15. *fresh*: every message stands for itself. zlib's state, up to 40 KB,
    is made for the first compressed message.
    """

    __slots__ = ("_bits", "_fresh", "_inflate", "_open", "_streams")

    def __init__(self, window_bits: int = MAX_WINDOW_BITS, *, fresh: bool = False) -> None:
        self._bits = window_bits
        self._fresh = fresh
        self._inflate: _Decompress | None = None
        self._open = False  # whether the message's data ends inside a stream
        self._streams = 0

    def inflate(self, chunk: bytes, room: int) -> bytes:
        """The next part of a message; more than *room* bytes (room + 1) means over the limit.

        Raises zlib.error for data that isn't a DEFLATE stream.
        """
        if not chunk:
            return b""
        parts: list[bytes] = []
        # zlib takes 0 for unlimited, and the extra byte tells too much from enough.
        room = min(room, sys.maxsize - 1) + 1
        self._open = True
        while True:
            if self._inflate is None:
                self._inflate = zlib.decompressobj(-self._bits)
            part = self._inflate.decompress(chunk, room)
            if not self._inflate.eof:
                return b"".join([*parts, part]) if parts else part
            # Section 7.2.3.4: a final block ends a stream, not the message. The sender had to
            # begin anew as well, so no window is carried over.
            chunk = self._inflate.unused_data
            self._inflate = None
            self._streams += 1
            if self._streams > _MAX_STREAMS:
                raise zlib.error(f"more than {_MAX_STREAMS} streams in one message")
            parts.append(part)
            room -= len(part)
            if not chunk or not room:
                self._open = False
                return b"".join(parts)

    def finish(self, room: int) -> bytes:
        """The end of a message: its last bytes, no more than *room* + 1 of them.

        Raises zlib.error for data that isn't a DEFLATE stream.
        """
        # Section 7.2.3 has a sender close with a byte that the tail completes. Some leave it out
        # after a final block (7.2.3.4) or in an empty message (7.2.3.6): the tail, put to that,
        # would begin a block and spoil the next message.
        rest = self.inflate(_TAIL, room) if self._open else b""
        self._open = False
        self._streams = 0
        if self._fresh:
            self._inflate = None
        return rest


class Deflater:
    """Compresses the messages of one connection.

    *window_bits*: 9 to 15. *fresh*: every message stands for itself. *level*, *mem_level*:
    zlib's. zlib's state, up to 260 KB, is made for the first message, and kept unless *fresh*.
    """

    __slots__ = ("_bits", "_deflate", "_fresh", "_level", "_mem_level")

    def __init__(
        self,
        window_bits: int = MAX_WINDOW_BITS,
        *,
        fresh: bool = False,
        level: int = zlib.Z_DEFAULT_COMPRESSION,
        mem_level: int = 8,
    ) -> None:
        self._bits = window_bits
        self._fresh = fresh
        self._level = level
        self._mem_level = mem_level
        self._deflate: _Compress | None = None

    def deflate(self, payload: Buffer, *, last: bool = True) -> bytes:
        """*payload* compressed: a whole message, or the next part of one that has to come out.

        What *last* says is the message's end comes without the four bytes of section 7.2.1.
        """
        if not payload:
            # zlib flushes nothing twice, so the empty block of section 7.2.3.6 is made here.
            packed = b"\x00" if last else b""
        else:
            if self._deflate is None:
                self._deflate = zlib.compressobj(
                    self._level, zlib.DEFLATED, -self._bits, self._mem_level
                )
            packed = self._deflate.compress(payload) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            if last:
                packed = packed[: -len(_TAIL)]
        if last and self._fresh:
            self._deflate = None
        return packed


@dataclass(slots=True)
class _Parameters:
    """An offer or an answer as it was read; None where a window isn't mentioned."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | None = None


def _read(extension: Extension, *, client_bits_may_be_bare: bool) -> _Parameters:
    """The parameters of *extension*; ValueError for those that section 7.1 rules out."""
    found = _Parameters()
    seen = set()
    for key, value in extension.parameters:
        if key in seen:
            raise ValueError(f"{key} is there twice")
        seen.add(key)
        if key in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                raise ValueError(f"{key} has a value")
            setattr(found, key, True)
        elif key in ("server_max_window_bits", "client_max_window_bits"):
            if value is None and key == "client_max_window_bits" and client_bits_may_be_bare:
                setattr(found, key, MAX_WINDOW_BITS)
            elif value in _WINDOW_BITS:
                setattr(found, key, _WINDOW_BITS[value])
            else:
                raise ValueError(f"{key} is {value}, not 8 to {MAX_WINDOW_BITS}")
        else:
            raise ValueError(f"unknown parameter {key}")
    return found
