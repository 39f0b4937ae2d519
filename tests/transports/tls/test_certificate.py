"""The certificate that carries a key: always the same, and nothing in it but the key."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from wirecore_trio.tls import load_private_key, public_key_of, self_signed_certificate

if TYPE_CHECKING:
    from tests.transports.tls.conftest import KeyPair


def test_a_key_has_one_certificate(client_key: KeyPair, server_key: KeyPair) -> None:
    key = load_private_key(client_key.seed)
    der = self_signed_certificate(key).public_bytes(Encoding.DER)
    assert self_signed_certificate(key).public_bytes(Encoding.DER) == der
    assert len(der) < 180  # the original's has 178: it all goes into one small record
    other = self_signed_certificate(load_private_key(server_key.seed))
    assert other.public_bytes(Encoding.DER) != der


def test_it_holds_the_key_signed_by_itself_and_nothing_else(client_key: KeyPair) -> None:
    key = load_private_key(client_key.seed)
    der = self_signed_certificate(key).public_bytes(Encoding.DER)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # serial number 0 would give one
        certificate = x509.load_der_x509_certificate(der)
    key.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes)
    assert certificate.public_key() == key.public_key()
    assert public_key_of(key) in der
    assert certificate.serial_number == 1
    assert list(certificate.subject) == list(certificate.issuer) == []
    assert list(certificate.extensions) == []


def test_it_doesnt_expire(client_key: KeyPair) -> None:
    certificate = self_signed_certificate(load_private_key(client_key.seed))
    assert certificate.not_valid_before_utc.year == 1970
    assert certificate.not_valid_after_utc.year == 9999
