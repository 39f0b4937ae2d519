"""Protection of single TLS 1.3 records: what RFC 8446 sections 5.2, 7.1 and 7.3 say.

OpenSSL does this for every record but those of a handshake that a signer has a part in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from wirecore.errors import HandshakeError

Aead: TypeAlias = AESGCM | ChaCha20Poly1305

#: Bytes of a record's header: type, version, length (RFC 8446 section 5.1).
HEADER_SIZE: Final = 5
#: What a protected record says that it is.
PROTECTED: Final = 23

_VERSION: Final = b"\x03\x03"
_NONCE_SIZE: Final = 12
_TAG_SIZE: Final = 16


@dataclass(frozen=True)
class CipherSuite:
    """What a connection is protected with."""

    aead: Callable[[bytes], Aead]
    key_size: int
    hash: hashes.HashAlgorithm

    def expand(self, secret: bytes, label: str, size: int) -> bytes:
        """HKDF-Expand-Label of RFC 8446 section 7.1, with an empty context."""
        name = b"tls13 " + label.encode("ascii")
        info = size.to_bytes(2, "big") + bytes([len(name)]) + name + b"\x00"
        return HKDFExpand(algorithm=self.hash, length=size, info=info).derive(secret)

    def finished(self, secret: bytes, transcript_hash: bytes) -> hmac.HMAC:
        """What proves that a side knows *secret* and has seen the transcript, section 4.4.4."""
        key = self.expand(secret, "finished", self.hash.digest_size)
        proof = hmac.HMAC(key, self.hash)
        proof.update(transcript_hash)
        return proof


#: By their number in the server's hello: all that OpenSSL offers unless told otherwise.
CIPHER_SUITES: Final = {
    0x1301: CipherSuite(AESGCM, 16, hashes.SHA256()),
    0x1302: CipherSuite(AESGCM, 32, hashes.SHA384()),
    0x1303: CipherSuite(ChaCha20Poly1305, 32, hashes.SHA256()),
}


class Protection:
    """One direction of a connection, from its first record with *secret* on.

    *secret*: a traffic secret, as a key log has it.
    """

    __slots__ = ("_aead", "_iv", "_sequence")

    def __init__(self, suite: CipherSuite, secret: bytes) -> None:
        self._aead = suite.aead(suite.expand(secret, "key", suite.key_size))
        self._iv = int.from_bytes(suite.expand(secret, "iv", _NONCE_SIZE), "big")
        self._sequence = 0

    def _nonce(self) -> bytes:
        nonce = (self._iv ^ self._sequence).to_bytes(_NONCE_SIZE, "big")
        self._sequence += 1
        return nonce

    def seal(self, content_type: int, content: bytes) -> bytes:
        """The record that carries *content*, 16 KiB at most."""
        inner = content + bytes([content_type])
        header = bytes([PROTECTED]) + _VERSION + (len(inner) + _TAG_SIZE).to_bytes(2, "big")
        return header + self._aead.encrypt(self._nonce(), inner, header)

    def open(self, record: bytes) -> tuple[int, bytes]:
        """Content type and content of *record*, which is the next one and has its header.

        Raises HandshakeError where it isn't what the other side has sealed.
        """
        header, sealed = record[:HEADER_SIZE], record[HEADER_SIZE:]
        try:
            inner = self._aead.decrypt(self._nonce(), sealed, header).rstrip(b"\x00")
        except (InvalidTag, ValueError):
            raise HandshakeError("a TLS record of the handshake can't be decrypted") from None
        if not inner:
            raise HandshakeError("a TLS record of the handshake has no content type")
        return inner[-1], inner[:-1]
