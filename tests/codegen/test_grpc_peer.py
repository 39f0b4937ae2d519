"""Who calls over gRPC, as handlers see it: with TLS, the key of the client's certificate."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

import wirecore_grpc


def certificate(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Alice")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    signed = builder.sign(key, None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256())
    return signed.public_bytes(Encoding.PEM)


def peer(*certificates: bytes) -> wirecore_grpc.GrpcPeer:
    return wirecore_grpc.GrpcPeer("ipv4:127.0.0.1:1", [], {"x509_pem_cert": certificates})


def test_an_ed25519_certificate_gives_the_key() -> None:
    key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    assert peer(certificate(key)).public_key == key.public_key().public_bytes_raw()


def test_other_kinds_of_keys_arent_ed25519() -> None:
    other = certificate(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(wirecore_grpc.NotOverGrpc, match="whose key isn't Ed25519"):
        _ = peer(other).public_key
    with pytest.raises(wirecore_grpc.NotOverGrpc, match="without a TLS certificate"):
        _ = peer().public_key
