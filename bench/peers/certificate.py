"""TLS as people run it on a server: the standard library's contexts, a certificate of its own."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.peers.load import Task


def server_context(task: Task) -> ssl.SSLContext | None:
    """A server's context with a new certificate, where option ``tls`` is ``on``, else None."""
    if task.options.get("tls") != "on":
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with TemporaryDirectory() as folder:
        chain = Path(folder) / "chain.pem"
        chain.write_bytes(_self_signed())
        context.load_cert_chain(chain)
    return context


def client_context() -> ssl.SSLContext:
    """A client's context that takes any certificate: the server's is in no list."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _self_signed() -> bytes:
    """Key and certificate, in PEM: ECDSA on P-256, which costs a handshake the least."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, plain, serialization.NoEncryption())
    return secret + certificate.public_bytes(pem)
