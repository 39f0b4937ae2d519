"""Keys of the vectors, engines joined without I/O, and peers that break the rules on purpose."""

from __future__ import annotations

import datetime
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from OpenSSL import SSL

from wirecore_trio.tls import (
    ClientCredentials,
    PinnedEngine,
    PinnedTLSStream,
    ServerCredentials,
    SignerEngine,
    direct,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "wsrpc.json"

AnyPrivateKey: TypeAlias = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Story: TypeAlias = Callable[[], Awaitable[None]]
Shake: TypeAlias = Callable[..., Awaitable[None]]
ClientOf: TypeAlias = Callable[[bytes, bytes], PinnedEngine]
NewClient: TypeAlias = Callable[[], PinnedEngine]
MakePair: TypeAlias = Callable[[], tuple[PinnedTLSStream, PinnedTLSStream]]


@pytest.fixture(params=["direct", "documented"])
def openssl_calls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL's own reads and writes, and pyOpenSSL's, which a release may leave alone."""
    assert direct._AVAILABLE, "no release that is installed for the tests lacks them"
    if request.param == "documented":
        monkeypatch.setattr(direct, "_AVAILABLE", False)


# --- keys ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyPair:
    """An Ed25519 key pair of the vectors, 32 bytes each."""

    seed: bytes
    public: bytes


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    """What was captured from the original."""
    loaded: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return loaded


def _key_pair(vectors: dict[str, Any], name: str) -> KeyPair:
    pair = vectors["keys"][name]
    return KeyPair(bytes.fromhex(pair["seed"]), bytes.fromhex(pair["public_key"]))


@pytest.fixture(scope="session")
def server_key(vectors: dict[str, Any]) -> KeyPair:
    return _key_pair(vectors, "server")


@pytest.fixture(scope="session")
def client_key(vectors: dict[str, Any]) -> KeyPair:
    return _key_pair(vectors, "client")


@pytest.fixture(scope="session")
def other_key(vectors: dict[str, Any]) -> KeyPair:
    """A key that neither side lists."""
    return _key_pair(vectors, "other")


@pytest.fixture
def client_credentials(client_key: KeyPair, server_key: KeyPair) -> ClientCredentials:
    return ClientCredentials(client_key.seed, server_key.public)


@pytest.fixture
def server_credentials(client_key: KeyPair, server_key: KeyPair) -> ServerCredentials:
    return ServerCredentials(server_key.seed, [client_key.public])


# --- engines without I/O ------------------------------------------------------------------


class SignsAtOnce(SignerEngine):
    """Its signer answers without waiting, so that nothing has to await it."""

    def handshake(self) -> bool:
        return super().handshake() or (at_once(self.sign()) and super().handshake())


def at_once(answer: Coroutine[Any, Any, bool]) -> bool:
    """What *answer* returns, which has nothing to wait for."""
    try:
        answer.send(None)
    except StopIteration as end:
        return bool(end.value)
    raise AssertionError("it waits")


@pytest.fixture(params=["its own key", "a signer"])
def client_of(request: pytest.FixtureRequest) -> ClientOf:
    """A client's engine for a seed and the key of a server, with the key or with a signer."""

    def make(seed: bytes, server_public_key: bytes) -> PinnedEngine:
        if request.param == "its own key":
            return PinnedEngine(ClientCredentials(seed, server_public_key))
        key = Ed25519PrivateKey.from_private_bytes(seed)
        public = key.public_key()
        return SignsAtOnce(ClientCredentials.with_signer(public, key.sign, server_public_key))

    return make


class End(Protocol):
    """One end of a TLS connection: an engine of ours, or a foreign one."""

    def receive(self, data: bytes, /) -> None: ...
    def outgoing(self) -> bytes: ...
    def handshake(self) -> bool: ...


class Join:
    """Two ends joined by hand."""

    def __init__(self, client: End, server: End) -> None:
        self.client = client
        self.server = server
        self.client_error: Exception | None = None
        self.server_error: Exception | None = None

    def relay(self) -> bool:
        """Carry what either end has for the other; whether there was anything."""
        moved = False
        for source, target in ((self.client, self.server), (self.server, self.client)):
            data = source.outgoing()
            if data:
                target.receive(data)
                moved = True
        return moved

    def shake(self) -> Join:
        """Run both handshakes until nothing moves any more; errors are kept."""
        while True:
            if self.client_error is None:
                self.client_error = _error_of(self.client.handshake)
            if self.server_error is None:
                self.server_error = _error_of(self.server.handshake)
            if not self.relay():
                return self


def _error_of(handshake: Callable[[], bool]) -> Exception | None:
    try:
        handshake()
    except Exception as error:  # noqa: BLE001 - whatever it is, a test looks at it
        return error
    return None


@pytest.fixture
def join() -> Callable[[End, End], Join]:
    """Join a client and a server and let them shake hands."""

    def joined(client: End, server: End) -> Join:
        return Join(client, server).shake()

    return joined


@pytest.fixture
def new_client(client_of: ClientOf, client_key: KeyPair, server_key: KeyPair) -> NewClient:
    """Makes the engine of a client and a server that know each other, of either kind."""
    return lambda: client_of(client_key.seed, server_key.public)


@pytest.fixture
def engines(
    new_client: NewClient, server_credentials: ServerCredentials
) -> tuple[PinnedEngine, PinnedEngine]:
    """A client's and a server's engine that have shaken hands; nothing is under way."""
    client, server = new_client(), PinnedEngine(server_credentials)
    link = Join(client, server).shake()
    assert (link.client_error, link.server_error) == (None, None)
    assert client.read_into(memoryview(bytearray(1))) is None
    return client, server


@pytest.fixture
def read() -> Callable[[PinnedEngine], bytes]:
    """Read what an engine has now, until it needs more or the stream has ended."""

    def read_all(engine: PinnedEngine) -> bytes:
        buffer = memoryview(bytearray(100_000))
        got = b""
        while size := engine.read_into(buffer):
            got += buffer[:size]
        return got

    return read_all


# --- peers that aren't ours ---------------------------------------------------------------


def certificate_of(
    key: AnyPrivateKey, issuer: x509.Certificate | None = None, issuer_key: Any = None
) -> x509.Certificate:
    """A certificate for *key*: self-signed, or issued by *issuer*."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "foreign")])
    now = datetime.datetime.now(tz=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    signer = issuer_key or key
    return builder.sign(signer, None if isinstance(signer, Ed25519PrivateKey) else hashes.SHA256())


class ForeignPeer:
    """An OpenSSL end without any rule of ours: it accepts every key and offers what it is told.

    *certificates*: what it sends, its own first. *alerts*: ("sent" or "received", number) in
    order.
    """

    def __init__(
        self,
        *,
        client: bool,
        key: AnyPrivateKey | None = None,
        certificates: Sequence[x509.Certificate] = (),
        max_version: int = SSL.TLS1_3_VERSION,
        protocols: Sequence[bytes] = (),
        session: SSL.Session | None = None,
        context: SSL.Context | None = None,
    ) -> None:
        self.client = client
        self.alerts: list[tuple[str, int]] = []
        self.secrets: dict[str, bytes] = {}
        self.context = context or self._context(key, certificates, max_version, protocols)
        self.connection = SSL.Connection(self.context, None)
        self.connection.set_app_data(self)
        if session is not None:
            self.connection.set_session(session)
        if client:
            self.connection.set_connect_state()
        else:
            self.connection.set_accept_state()

    def _context(
        self,
        key: AnyPrivateKey | None,
        certificates: Sequence[x509.Certificate],
        max_version: int,
        protocols: Sequence[bytes],
    ) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(max_version)
        if key is not None:
            context.use_privatekey(key)
            own, *rest = certificates or [certificate_of(key)]
            context.use_certificate(own)
            for extra in rest:
                context.add_extra_chain_cert(extra)
        if protocols:
            context.set_alpn_protos(list(protocols))
        context.set_verify(
            SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *arguments: True
        )
        context.set_info_callback(self._note)
        context.set_keylog_callback(self._keep)
        return context

    @staticmethod
    def _note(connection: SSL.Connection, where: int, value: int) -> None:
        if where & SSL.SSL_CB_ALERT:
            direction = "received" if where & SSL.SSL_CB_READ else "sent"
            connection.get_app_data().alerts.append((direction, value & 0xFF))

    @staticmethod
    def _keep(connection: SSL.Connection, line: bytes) -> None:
        label, _, secret = line.decode().split()
        connection.get_app_data().secrets[label] = bytes.fromhex(secret)

    def receive(self, data: bytes) -> None:
        if data:
            self.connection.bio_write(data)
        else:
            self.connection.bio_shutdown()

    def outgoing(self) -> bytes:
        try:
            return self.connection.bio_read(1_000_000)
        except SSL.WantReadError:
            return b""

    def handshake(self) -> bool:
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def read(self) -> bytes:
        """One record's data; raises what pyOpenSSL raises."""
        return self.connection.recv(100_000)


@pytest.fixture(scope="session")
def foreign() -> type[ForeignPeer]:
    return ForeignPeer


@pytest.fixture(scope="session")
def make_certificate() -> Callable[..., x509.Certificate]:
    return certificate_of


@pytest.fixture
def allowed_foreigner(client_key: KeyPair) -> Callable[..., ForeignPeer]:
    """A foreign client with the key that the server lists."""

    def make(**settings: Any) -> ForeignPeer:
        key = Ed25519PrivateKey.from_private_bytes(client_key.seed)
        return ForeignPeer(client=True, key=key, **settings)

    return make


# --- trio ---------------------------------------------------------------------------------


@pytest.fixture
def run() -> Callable[[Story], None]:
    """Run a story in trio; time jumps to the next deadline when everybody waits.

    Not for sockets: there, waiting for the kernel would count as waiting for the clock.
    """

    def run_story(story: Story) -> None:
        trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))

    return run_story


@pytest.fixture
def run_with_sockets() -> Callable[[Story], None]:
    """Run a story in trio on the real clock, for half a minute at most."""

    async def bounded(story: Story) -> None:
        with trio.fail_after(30):
            await story()

    def run_story(story: Story) -> None:
        trio.run(bounded, story)

    return run_story


@pytest.fixture
def make_pair(
    client_credentials: ClientCredentials, server_credentials: ServerCredentials
) -> MakePair:
    """A client's and a server's stream over memory, before their handshake."""

    def make() -> tuple[PinnedTLSStream, PinnedTLSStream]:
        near, far = trio.testing.memory_stream_pair()
        return PinnedTLSStream(near, client_credentials), PinnedTLSStream(far, server_credentials)

    return make


@pytest.fixture
def shake() -> Shake:
    """Run the handshakes of streams that are joined."""

    async def shake_hands(*streams: PinnedTLSStream) -> None:
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(stream.do_handshake)

    return shake_hands
