"""A client whose private key is elsewhere: what its signer is asked, and what the server gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing
from cryptography.hazmat.bindings.openssl.binding import Binding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from wirecore.errors import (
    CredentialsUnavailable,
    HandshakeError,
    InvalidKey,
    InvalidState,
    PeerRefused,
)
from wirecore_trio.tls import (
    ClientCredentials,
    PinnedEngine,
    PinnedTLSStream,
    ServerCredentials,
    SignerEngine,
    StreamHandshakeError,
    engine_for,
    self_signed_certificate,
)
from wirecore_trio.tls.socket_link import PinnedSocketLink

if TYPE_CHECKING:
    from tests.transports.tls.conftest import End, ForeignPeer, Join, KeyPair, Shake, Story

JoinEnds = Callable[["End", "End"], "Join"]
Foreign = Callable[..., "ForeignPeer"]

#: What a client signs in a handshake, in front of 32 or 48 bytes of hash: RFC 8446 section 4.4.3.
PREFIX = b" " * 64 + b"TLS 1.3, client CertificateVerify\x00"

#: NID_secp521r1 of openssl/obj_mac.h: a group that no client offers a share for.
_SECP521R1 = 716


class Vault:
    """Keeps a key, and what it was asked to sign; answers at once, or when a test lets it."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key()
        self.asked: list[bytes] = []
        self.open = trio.Event()

    def sign(self, text: bytes) -> bytes:
        self.asked.append(text)
        return self._key.sign(text)

    async def sign_when_open(self, text: bytes) -> bytes:
        await self.open.wait()
        return self.sign(text)


@pytest.fixture
def vault(client_key: KeyPair) -> Vault:
    return Vault(client_key.seed)


@pytest.fixture
def credentials(vault: Vault, server_key: KeyPair) -> ClientCredentials:
    return ClientCredentials.with_signer(vault.public_key, vault.sign, server_key.public)


@pytest.fixture
def foreign_server(foreign: type[ForeignPeer], server_key: KeyPair) -> Foreign:
    """A server of OpenSSL's with the key that the client expects."""

    def make(**settings: Any) -> ForeignPeer:
        key = Ed25519PrivateKey.from_private_bytes(server_key.seed)
        return foreign(client=False, key=key, **settings)

    return make


def until_it_signs(client: SignerEngine, server: End) -> None:
    """Run the handshake to where the client waits for its signer."""
    assert not client.handshake()
    server.receive(client.outgoing())
    server.handshake()
    client.receive(server.outgoing())
    assert not client.handshake()


def run_now(client: SignerEngine) -> None:
    """Have a signer that doesn't wait sign."""

    async def sign() -> None:
        assert await client.sign()

    trio.run(sign)


def finish(client: SignerEngine, server: End) -> None:
    run_now(client)
    assert client.handshake()
    server.receive(client.outgoing())
    assert server.handshake()


def test_the_server_sees_the_signers_key(
    credentials: ClientCredentials, server_credentials: ServerCredentials, client_key: KeyPair
) -> None:
    client, server = SignerEngine(credentials), PinnedEngine(server_credentials)
    until_it_signs(client, server)
    finish(client, server)
    assert server.peer_public_key == client_key.public
    assert client.peer_public_key == server_credentials.public_key
    assert client.write(b"hello") == 5
    server.receive(client.outgoing())
    buffer = memoryview(bytearray(10))
    assert server.read_into(buffer) == 5


def test_what_the_signer_is_asked(
    credentials: ClientCredentials,
    server_credentials: ServerCredentials,
    vault: Vault,
    client_key: KeyPair,
) -> None:
    """For its certificate once, and then once a connection."""
    own = self_signed_certificate(Ed25519PrivateKey.from_private_bytes(client_key.seed))
    for _ in range(2):
        client, server = SignerEngine(credentials), PinnedEngine(server_credentials)
        until_it_signs(client, server)
        finish(client, server)
    certificate, *handshakes = vault.asked
    assert certificate == own.tbs_certificate_bytes
    assert [text[: len(PREFIX)] for text in handshakes] == [PREFIX] * 2
    assert handshakes[0] != handshakes[1]


def test_the_certificate_is_the_same_as_with_the_key_at_hand(
    credentials: ClientCredentials,
    client_credentials: ClientCredentials,
    foreign_server: Foreign,
) -> None:
    client, server = SignerEngine(credentials), foreign_server()
    until_it_signs(client, server)
    finish(client, server)
    seen = server.connection.get_peer_certificate()
    assert seen is not None
    assert seen.to_cryptography() == client_credentials.certificate
    assert seen.to_cryptography().public_bytes(Encoding.DER) != (
        credentials.certificate.public_bytes(Encoding.DER)
    )


@pytest.mark.parametrize(
    "suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
)
def test_every_cipher_suite(
    credentials: ClientCredentials, foreign_server: Foreign, suite: str
) -> None:
    context = foreign_server().context
    assert Binding.lib.SSL_CTX_set_ciphersuites(context._context, suite.encode()) == 1
    client, server = SignerEngine(credentials), foreign_server(context=context)
    until_it_signs(client, server)
    finish(client, server)
    assert server.connection.get_cipher_name() == suite
    client.write(b"hello")
    server.receive(client.outgoing())
    assert server.read() == b"hello"


def test_a_server_that_wants_another_key_share_first(
    credentials: ClientCredentials, foreign_server: Foreign
) -> None:
    """A HelloRetryRequest: the first hello is in the transcript as its hash."""
    context = foreign_server().context
    # pyOpenSSL changes no context that a connection has had.
    curve = Binding.lib.EC_KEY_new_by_curve_name(_SECP521R1)
    assert Binding.lib.SSL_CTX_set_tmp_ecdh(context._context, curve) == 1
    client, server = SignerEngine(credentials), foreign_server(context=context)
    assert not client.handshake()
    server.receive(client.outgoing())
    server.handshake()
    client.receive(server.outgoing())
    assert not client.handshake()
    second_hello = client.outgoing()
    assert second_hello
    server.receive(second_hello)
    server.handshake()
    client.receive(server.outgoing())
    assert not client.handshake()
    finish(client, server)


def test_a_server_that_asks_for_no_certificate(
    credentials: ClientCredentials, foreign_server: Foreign, vault: Vault
) -> None:
    client, server = SignerEngine(credentials), foreign_server()
    server.connection.set_verify(SSL.VERIFY_NONE)
    assert not client.handshake()
    server.receive(client.outgoing())
    server.handshake()
    client.receive(server.outgoing())
    assert client.handshake()
    server.receive(client.outgoing())
    assert server.handshake()
    assert vault.asked == []


def test_the_handshake_goes_byte_by_byte(
    credentials: ClientCredentials, server_credentials: ServerCredentials
) -> None:
    client, server = SignerEngine(credentials), PinnedEngine(server_credentials)
    complete = {client: False, server: False}
    while not all(complete.values()):
        for source, target in ((client, server), (server, client)):
            if not complete[source]:
                complete[source] = source.handshake()
            if source is client and not complete[client]:

                async def sign(waiting: SignerEngine = client) -> None:
                    await waiting.sign()

                trio.run(sign)
            for byte in source.outgoing():
                target.receive(bytes([byte]))
                if not complete[target]:
                    complete[target] = target.handshake()
    assert server.peer_public_key == credentials.public_key


def test_a_server_that_is_refused_gets_no_signature(
    vault: Vault, other_key: KeyPair, foreign_server: Foreign
) -> None:
    stranger = ClientCredentials.with_signer(vault.public_key, vault.sign, other_key.public)
    client, server = SignerEngine(stranger), foreign_server()
    client.handshake()
    server.receive(client.outgoing())
    server.handshake()
    client.receive(server.outgoing())
    with pytest.raises(PeerRefused, match="is not on the list of allowed server keys"):
        client.handshake()
    assert vault.asked == []
    with pytest.raises(PeerRefused):
        client.handshake()


def test_nothing_leaves_and_nothing_is_read_before_the_signature(
    credentials: ClientCredentials, server_credentials: ServerCredentials
) -> None:
    client, server = SignerEngine(credentials), PinnedEngine(server_credentials)
    until_it_signs(client, server)
    before = client.outgoing()
    assert before[:1] in (b"", b"\x14")  # at most the change cipher spec of old
    assert not client.handshake()
    with pytest.raises(InvalidState, match="handshake isn't complete"):
        client.write(b"early")
    with pytest.raises(InvalidState, match="handshake isn't complete"):
        client.read_into(memoryview(bytearray(5)))
    with pytest.raises(InvalidState, match="isn't known before"):
        _ = client.peer_public_key
    client.close()
    assert client.outgoing() == b""


@pytest.mark.parametrize(
    ("answer", "cause", "text"),
    [
        (lambda text: "no bytes", TypeError, "must return the signature as bytes, not str"),
        (lambda text: bytes(63), InvalidKey, "must return the 64 bytes .* got 63"),
        (lambda text: bytes(64), InvalidKey, "what sign returned isn't one: it signs"),
        (lambda text: 1 // 0, ZeroDivisionError, ": ZeroDivisionError: integer division"),
    ],
)
def test_a_signer_that_fails(
    server_credentials: ServerCredentials,
    vault: Vault,
    server_key: KeyPair,
    answer: Callable[[bytes], Any],
    cause: type[Exception],
    text: str,
) -> None:
    answers = [answer, answer, vault.sign, vault.sign]

    def sign(text: bytes) -> Any:
        return answers.pop(0)(text)

    credentials = ClientCredentials.with_signer(vault.public_key, sign, server_key.public)
    client, server = SignerEngine(credentials), PinnedEngine(server_credentials)
    until_it_signs(client, server)
    client.outgoing()
    for _ in range(2):
        with pytest.raises(CredentialsUnavailable, match=text) as caught:
            run_now(client)
        assert isinstance(caught.value.__cause__, cause)
        assert client.outgoing() == b""
    finish(client, server)  # it can be asked again
    assert server.peer_public_key == credentials.public_key


def test_another_key_than_it_says_doesnt_get_far(
    server_credentials: ServerCredentials, vault: Vault, other_key: KeyPair, server_key: KeyPair
) -> None:
    credentials = ClientCredentials.with_signer(other_key.public, vault.sign, server_key.public)
    client = SignerEngine(credentials)
    until_it_signs(client, PinnedEngine(server_credentials))
    with pytest.raises(CredentialsUnavailable, match=f"by the key {other_key.public.hex()}"):
        run_now(client)


def test_what_openssl_says_and_what_is_read_here_must_agree(
    credentials: ClientCredentials, server_credentials: ServerCredentials, vault: Vault
) -> None:
    """Where they don't, nothing is signed, and nothing is sent."""
    client, server = SignerEngine(credentials), PinnedEngine(server_credentials)
    client.handshake()
    server.receive(client.outgoing())
    server.handshake()
    client.receive(server.outgoing())
    client._end.exchange.secrets = _Wrong(client._end.exchange.secrets)
    assert client._flight is not None
    client._flight._secrets = client._end.exchange.secrets
    with pytest.raises(HandshakeError, match=r"no signature could be made: .* can't be decrypted"):
        client.handshake()
    assert client.outgoing() == b""
    assert vault.asked == []
    with pytest.raises(HandshakeError, match="no signature could be made"):
        client.write(b"x")


class _Wrong(dict[str, bytes]):
    """Secrets that are never the right ones."""

    def __setitem__(self, name: str, secret: bytes) -> None:
        super().__setitem__(name, bytes(len(secret)))


def test_each_engine_for_its_credentials(
    credentials: ClientCredentials, client_credentials: ClientCredentials
) -> None:
    assert type(engine_for(credentials)) is SignerEngine
    assert type(engine_for(client_credentials)) is PinnedEngine
    with pytest.raises(TypeError, match="need a SignerEngine"):
        PinnedEngine(credentials)
    with pytest.raises(TypeError, match="needs ClientCredentials with a signer"):
        SignerEngine(client_credentials)
    with pytest.raises(TypeError, match="has no signer"):
        PinnedSocketLink(None, credentials)  # type: ignore[arg-type]


def test_credentials_with_a_signer(vault: Vault, server_key: KeyPair, client_key: KeyPair) -> None:
    pinned = ClientCredentials.with_signer(client_key.public, vault.sign, [server_key.public])
    assert pinned.public_key == client_key.public
    assert pinned.server_public_keys == (server_key.public,)
    assert client_key.public.hex() in repr(pinned)
    with pytest.raises(InvalidKey, match=r"^public_key: "):
        ClientCredentials.with_signer(b"short", vault.sign, server_key.public)
    with pytest.raises(InvalidKey, match="at least one server"):
        ClientCredentials.with_signer(client_key.public, vault.sign, [])
    with pytest.raises(TypeError, match="sign must be a function that signs bytes, not bytes"):
        ClientCredentials.with_signer(client_key.public, b"", server_key.public)  # type: ignore[arg-type]


# --- over a stream, with a signer that takes its time -----------------------------------------


@pytest.fixture
def slow_pair(
    vault: Vault, server_key: KeyPair, server_credentials: ServerCredentials
) -> tuple[PinnedTLSStream, PinnedTLSStream]:
    """Streams before their handshake; the client's signer waits until the vault is open."""
    near, far = trio.testing.memory_stream_pair()
    credentials = ClientCredentials.with_signer(
        vault.public_key, vault.sign_when_open, server_key.public
    )
    return PinnedTLSStream(near, credentials), PinnedTLSStream(far, server_credentials)


def test_others_go_on_while_the_signer_takes_its_time(
    run: Callable[[Story], None],
    shake: Shake,
    vault: Vault,
    slow_pair: tuple[PinnedTLSStream, PinnedTLSStream],
) -> None:
    async def story() -> None:
        client, server = slow_pair

        async def open_later() -> None:
            await trio.sleep(5)
            vault.open.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(open_later)
            await shake(client, server)
        assert trio.current_time() >= 5
        await client.send_all(b"hello")
        assert await server.receive_some() == b"hello"
        await server.send_all(b"and back")
        assert await client.receive_some() == b"and back"

    run(story)


def test_a_handshake_given_up_while_the_signer_is_asked_can_go_on_later(
    run: Callable[[Story], None],
    shake: Shake,
    vault: Vault,
    slow_pair: tuple[PinnedTLSStream, PinnedTLSStream],
) -> None:
    async def story() -> None:
        client, server = slow_pair
        with trio.move_on_after(3) as scope:
            await shake(client, server)
        assert scope.cancelled_caught
        vault.open.set()
        await shake(client, server)
        assert server.peer_public_key == vault.public_key.public_bytes_raw()

    run(story)


def test_a_stream_whose_signer_fails(
    run: Callable[[Story], None],
    vault: Vault,
    server_key: KeyPair,
    shake: Shake,
    server_credentials: ServerCredentials,
) -> None:
    async def fail(text: bytes) -> bytes:
        raise OSError("the module was pulled out")

    async def story() -> None:
        near, far = trio.testing.memory_stream_pair()
        credentials = ClientCredentials.with_signer(vault.public_key, fail, server_key.public)
        client, server = (
            PinnedTLSStream(near, credentials),
            PinnedTLSStream(far, server_credentials),
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_fails, server)
            with pytest.raises(CredentialsUnavailable, match="the module was pulled out") as caught:
                await client.do_handshake()
            assert isinstance(caught.value.__cause__, OSError)
            await client.aclose()

    run(story)


async def _fails(server: PinnedTLSStream) -> None:
    with pytest.raises(StreamHandshakeError, match="ended the stream"):
        await server.do_handshake()
