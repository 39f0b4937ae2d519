"""Who calls, for handlers that are called over gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wirecore_trio.wsrpc import Peer

from ._errors import NotOverGrpc


class GrpcPeer(Peer):
    """The client at the other end of a gRPC call. It can't be called back: gRPC has no way."""

    __slots__ = ("_address", "_auth", "_metadata")

    def __init__(
        self,
        address: str,
        metadata: Sequence[tuple[str, str | bytes]],
        auth: Mapping[str, Sequence[bytes]],
    ) -> None:
        self._address = address
        self._metadata = tuple(metadata)
        self._auth = auth

    def __repr__(self) -> str:
        return f"<GrpcPeer at {self._address}>"

    @property
    def address(self) -> str:
        """Where the client is, as gRPC writes it: ``ipv4:127.0.0.1:40312``."""
        return self._address

    @property
    def metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """What the client sent beside the request: keys and values, bytes where a key says so."""
        return self._metadata

    @property
    def certificate(self) -> bytes | None:
        """The client's TLS certificate, in PEM, which gRPC has verified; None: it showed none."""
        return next(iter(self._auth.get("x509_pem_cert", ())), None)

    @property
    def public_key(self) -> bytes:
        """The Ed25519 public key of the client's TLS certificate, 32 raw bytes.

        Raises NotOverGrpc where the client showed no certificate, or one with another kind of
        key: so far all that grpcio itself lets in, whose TLS has no Ed25519. Who a client is then
        stands in :attr:`certificate` and :attr:`metadata`.
        """
        pem = self.certificate
        if pem is None:
            raise NotOverGrpc(
                f"the client at {self._address} called over gRPC without a TLS certificate: it has "
                "no public key"
            )
        key = x509.load_pem_x509_certificate(pem).public_key()
        if not isinstance(key, Ed25519PublicKey):
            raise NotOverGrpc(
                f"the client at {self._address} called over gRPC with a TLS certificate whose key "
                "isn't Ed25519"
            )
        return key.public_bytes_raw()

    async def call(self, method: str, payload: bytes) -> NoReturn:
        """Raises NotOverGrpc, at once: what calls over gRPC can't be called back."""
        raise NotOverGrpc(
            f"{method} can't be called at {self._address}: it called over gRPC, which has no way "
            "back to the client; serve it over wsrpc"
        )
