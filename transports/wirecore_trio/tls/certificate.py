"""The self-signed certificate that carries a key through TLS.

Neither side looks at anything in it but the public key: the peer's signature in the handshake
(RFC 8446 section 4.4.3) proves that it holds the private key, and the list of allowed keys says
whether that is enough.
"""

from __future__ import annotations

import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding

# The builder refuses serial number 0, which the Go peers use; theirs accept any.
_SERIAL_NUMBER: Final = 1

# Fixed, so that a key has one certificate: nothing depends on the day it was made. The end is
# RFC 5280's way to say "no end" (section 4.1.2.5).
_NOT_BEFORE: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER: Final = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)


def self_signed_certificate(private_key: Ed25519PrivateKey) -> x509.Certificate:
    """The certificate of *private_key*, the same bytes every time.

    Subject and issuer are empty, there are no extensions; Ed25519 signs the same text always
    the same way (RFC 8032 section 5.1.6).
    """
    return _certificate(private_key.public_key(), private_key)


def to_be_signed(public_key: bytes) -> tuple[bytes, bytes]:
    """What the key that belongs to *public_key* has to sign, and what the signature goes behind.

    The two together are the DER of the certificate that `self_signed_certificate` makes of it.
    """
    # The builder signs with keys in memory only. The signature is what DER has last.
    anybody = Ed25519PrivateKey.generate()
    unfit = _certificate(Ed25519PublicKey.from_public_bytes(public_key), anybody)
    return unfit.tbs_certificate_bytes, unfit.public_bytes(Encoding.DER)[: -len(unfit.signature)]


def _certificate(public_key: Ed25519PublicKey, signed_with: Ed25519PrivateKey) -> x509.Certificate:
    nobody = x509.Name([])
    builder = x509.CertificateBuilder(
        issuer_name=nobody,
        subject_name=nobody,
        public_key=public_key,
        serial_number=_SERIAL_NUMBER,
        not_valid_before=_NOT_BEFORE,
        not_valid_after=_NOT_AFTER,
    )
    return builder.sign(signed_with, algorithm=None)
