"""A client that comes back with a session of before is judged like anybody else."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from wirecore.errors import PeerRefused
from wirecore_trio.tls import PinnedEngine, ServerCredentials

if TYPE_CHECKING:
    from cryptography import x509

    from tests.transports.tls.conftest import End, ForeignPeer, Join, KeyPair

JoinEnds = Callable[["End", "End"], "Join"]


class Counting(ServerCredentials):
    """Counts how often the list was asked: a full handshake asks twice, a resumed one once."""

    __slots__ = ("asked",)
    asked: int

    def allowed(self, public_key: bytes) -> bool:
        self.asked = getattr(self, "asked", 0) + 1
        return super().allowed(public_key)


@pytest.fixture
def server(server_key: KeyPair, client_key: KeyPair) -> Counting:
    return Counting(server_key.seed, [client_key.public])


class StandardClient:
    """A client on the standard library's ssl, which takes whatever session it can get."""

    def __init__(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, session=session)

    def receive(self, data: bytes) -> None:
        self._incoming.write(data)

    def outgoing(self) -> bytes:
        return self._outgoing.read()

    def handshake(self) -> bool:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read(self) -> bytes:
        return self.tls.read(100)


@pytest.fixture
def standard_context(
    tmp_path: Path, client_key: KeyPair, make_certificate: Callable[..., x509.Certificate]
) -> ssl.SSLContext:
    """With a certificate that is valid tomorrow, as it takes for Go to resume a session."""
    key = Ed25519PrivateKey.from_private_bytes(client_key.seed)
    path = tmp_path / "client.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + make_certificate(key).public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(path)
    return context


def greet(link: Join) -> None:
    """Send the first data: OpenSSL's tickets go ahead of it, and must be of no use."""
    assert (link.client_error, link.server_error) == (None, None)
    assert isinstance(link.server, PinnedEngine)
    link.server.write(b"hello")
    sealed = link.server.outgoing()
    assert len(sealed) > 100  # there are tickets
    link.client.receive(sealed)


def test_the_standard_library_cant_resume(
    standard_context: ssl.SSLContext, server: Counting, join: JoinEnds
) -> None:
    first = StandardClient(standard_context)
    greet(join(first, PinnedEngine(server)))
    assert first.read() == b"hello"
    assert first.tls.session is not None
    assert first.tls.session.has_ticket
    again = StandardClient(standard_context, first.tls.session)
    link = join(again, PinnedEngine(server))
    assert (link.client_error, link.server_error) == (None, None)
    assert not again.tls.session_reused
    assert server.asked == 4


def test_a_removed_key_doesnt_come_back_with_a_session(
    standard_context: ssl.SSLContext, server: Counting, join: JoinEnds
) -> None:
    first = StandardClient(standard_context)
    greet(join(first, PinnedEngine(server)))
    assert first.read() == b"hello"
    assert first.tls.session is not None
    assert first.tls.session.has_ticket
    server.replace([])
    again = StandardClient(standard_context, first.tls.session)
    link = join(again, PinnedEngine(server))
    assert isinstance(link.server_error, PeerRefused)
    assert not again.tls.session_reused
    with pytest.raises(ssl.SSLError, match="alert unknown ca"):
        again.tls.read(1)


def test_the_same_from_pyopenssl(
    allowed_foreigner: Callable[..., ForeignPeer], server: Counting, join: JoinEnds
) -> None:
    first = allowed_foreigner()
    greet(join(first, PinnedEngine(server)))
    assert first.read() == b"hello"
    session = first.connection.get_session()
    again = allowed_foreigner(context=first.context, session=session)
    assert join(again, PinnedEngine(server)).server_error is None
    assert server.asked == 4
    server.replace([])
    once_more = allowed_foreigner(context=first.context, session=session)
    assert isinstance(join(once_more, PinnedEngine(server)).server_error, PeerRefused)
