"""Who calls over gRPC, as handlers see it: with TLS, the key of the client's certificate."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable
from functools import partial

import grpc
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import wirecore_grpc
from wirecore_trio import wsrpc
from wirecore_trio.wsrpc.ping import PingRequest, PingResponse, PingService, PingStub

Run = Callable[[Callable[[], Awaitable[object]]], None]


def certificate(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
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


class Noting(PingService):
    """Keeps who called."""

    def __init__(self) -> None:
        self.peer: wsrpc.Peer | None = None

    async def Ping(self, request: PingRequest, peer: wsrpc.Peer) -> PingResponse:  # noqa: N802
        self.peer = peer
        return PingResponse(body=request.body)


def test_over_tls_a_handler_sees_the_clients_certificate(run: Run) -> None:
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    server_pem, client_pem = (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for key in keys
    )
    server_certificate, client_certificate = map(certificate, keys)
    noting = Noting()

    async def main() -> None:
        server = wirecore_grpc.Server()
        server.register("ping.Ping", noting)
        credentials = grpc.ssl_server_credentials(
            [(server_pem, server_certificate)],
            root_certificates=client_certificate,
            require_client_auth=True,
        )
        async with trio.open_nursery() as nursery:
            serve = partial(server.serve, "127.0.0.1:0", credentials=credentials)
            listening = await nursery.start(serve)
            with grpc.secure_channel(
                f"localhost:{listening.port}",
                grpc.ssl_channel_credentials(server_certificate, client_pem, client_certificate),
            ) as channel:
                stub = PingStub(wirecore_grpc.GrpcCaller(channel, "ping.Ping"))
                assert (await stub.Ping(PingRequest(body="x"))).body == "x"
            await server.aclose()

    run(main)
    assert isinstance(noting.peer, wirecore_grpc.GrpcPeer)
    assert noting.peer.certificate == client_certificate
    with pytest.raises(wirecore_grpc.NotOverGrpc, match="whose key isn't Ed25519"):
        _ = noting.peer.public_key
