"""How many TLS records have come in whole: told from their headers, without their content.

OpenSSL can only be asked for data, and to be told "not yet" costs more than the whole rest of
a small read. Counting the records tells when asking is worth it.
"""

from __future__ import annotations

from typing import Final

from wirecore.events import Buffer

#: Most plaintext that one record carries, RFC 8446 section 5.1.
MAX_PLAINTEXT: Final = 2**14

# RFC 8446 section 5.2: ciphertext may be longer than its plaintext by this much.
_MAX_CIPHERTEXT: Final = MAX_PLAINTEXT + 256

# Type, version and length, RFC 8446 section 5.1. The version's first byte is always 3.
_HEADER_SIZE: Final = 5
_VERSION_MAJOR: Final = 3


class RecordCounter:
    """Follows one direction of a TLS stream from its first byte.

    *broken*: a header came that can't be one; what came isn't TLS, or no longer.
    """

    __slots__ = ("_body_left", "_header", "broken")

    def __init__(self) -> None:
        self._header = b""
        self._body_left = 0
        self.broken = False

    def feed(self, data: Buffer) -> int:
        """How many records *data*, the next bytes of the stream, brings to their end.

        Where a header can't be one, the answer is at least 1 from then on: whoever reads the
        stream finds the fault at once and needn't wait for bytes that nobody will send.
        """
        if self.broken:
            return 1
        if self._header:
            data = self._header + data
            self._header = b""
        size = len(data)
        position = self._body_left  # where the record that the data begins in ends
        whole = 1 if position else 0
        while position + _HEADER_SIZE <= size:
            length = data[position + 3] << 8 | data[position + 4]
            if data[position + 1] != _VERSION_MAJOR or length > _MAX_CIPHERTEXT:
                self.broken = True
                return whole + 1
            position += _HEADER_SIZE + length
            whole += 1
        if position > size:
            self._body_left = position - size
            return whole - 1
        self._body_left = 0
        self._header = bytes(data[position:])
        return whole
