"""Who is refused, when and with which words: the cases captured from the original, and more.

The original's alert numbers differ in part (it sends 42 where OpenSSL sends 48); the moment and
the side that refuses are the same, but for h2, which ours doesn't speak.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto

from wirecore.errors import HandshakeError, PeerRefused
from wirecore_trio.tls import (
    ClientCredentials,
    PinnedEngine,
    ServerCredentials,
    self_signed_certificate,
)
from wirecore_trio.tls.alerts import Alert, alert_text
from wirecore_trio.tls.context import Exchange

if TYPE_CHECKING:
    from tests.transports.tls.conftest import (
        ClientOf,
        End,
        ForeignPeer,
        Join,
        KeyPair,
        NewClient,
    )

JoinEnds = Callable[["End", "End"], "Join"]
Foreigner = Callable[..., "ForeignPeer"]

EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture
def clients(
    allowed_foreigner: Foreigner,
    foreign: type[ForeignPeer],
    client_key: KeyPair,
    other_key: KeyPair,
    make_certificate: Callable[..., x509.Certificate],
) -> dict[str, Callable[[], ForeignPeer]]:
    """A client for each captured case in which the client is the odd one."""
    own = Ed25519PrivateKey.from_private_bytes(client_key.seed)
    other = Ed25519PrivateKey.from_private_bytes(other_key.seed)
    certificate = make_certificate(own)
    return {
        "allowed_key": allowed_foreigner,
        "key_not_in_list": lambda: foreign(client=True, key=other),
        "no_certificate": lambda: foreign(client=True),
        "ecdsa_certificate": lambda: foreign(client=True, key=EC_KEY),
        "two_certificates": lambda: allowed_foreigner(certificates=[certificate, certificate]),
        "tls_1_2": lambda: allowed_foreigner(max_version=SSL.TLS1_2_VERSION),
        "alpn_http_1_1": lambda: allowed_foreigner(protocols=[b"h2", b"http/1.1"]),
        "alpn_h2": lambda: allowed_foreigner(protocols=[b"h2"]),
        "alpn_unknown": lambda: allowed_foreigner(protocols=[b"foo"]),
    }


def captured(vectors: dict[str, Any], name: str) -> dict[str, Any]:
    case: dict[str, Any] = next(case for case in vectors["tls"] if case["name"] == name)
    return case


def test_every_captured_case_is_here(
    vectors: dict[str, Any], clients: dict[str, Callable[[], ForeignPeer]]
) -> None:
    names = {case["name"] for case in vectors["tls"]}
    assert names == {*clients, "client_expects_another_server_key"}


@pytest.mark.parametrize(
    ("name", "protocol"), [("allowed_key", b""), ("alpn_http_1_1", b"http/1.1")]
)
def test_who_gets_in(
    vectors: dict[str, Any],
    clients: dict[str, Callable[[], ForeignPeer]],
    server_credentials: ServerCredentials,
    client_key: KeyPair,
    join: JoinEnds,
    name: str,
    protocol: bytes,
) -> None:
    client, server = clients[name](), PinnedEngine(server_credentials)
    link = join(client, server)
    assert (link.client_error, link.server_error) == (None, None)
    assert server.peer_public_key == client_key.public
    assert client.connection.get_alpn_proto_negotiated() == protocol
    case = captured(vectors, name)
    assert case["refused_by"] is None
    assert case["alpn_chosen"].encode() == protocol


@pytest.mark.parametrize(
    ("name", "alert", "text"),
    [
        (
            "key_not_in_list",
            Alert.UNKNOWN_CA,
            "the client's public key {other} is not on the list of allowed client keys",
        ),
        (
            "no_certificate",
            Alert.CERTIFICATE_REQUIRED,
            "the client sent no certificate: an Ed25519 key is required",
        ),
        (
            "ecdsa_certificate",
            Alert.UNKNOWN_CA,
            "the client must have an Ed25519 key, it has: ECDSA public key",
        ),
        # Noticed too late for an alert: the stream ends, in order.
        (
            "two_certificates",
            Alert.CLOSE_NOTIFY,
            "the client sent 2 certificates: exactly one is required",
        ),
    ],
)
def test_a_refused_key_shows_at_the_clients_first_read(
    vectors: dict[str, Any],
    clients: dict[str, Callable[[], ForeignPeer]],
    server_credentials: ServerCredentials,
    other_key: KeyPair,
    join: JoinEnds,
    name: str,
    alert: Alert,
    text: str,
) -> None:
    client = clients[name]()
    link = join(client, PinnedEngine(server_credentials))
    assert captured(vectors, name)["seen"].startswith("at the client's first read")
    assert link.client_error is None  # its handshake had succeeded
    assert client.alerts == []
    assert isinstance(link.server_error, PeerRefused)
    assert str(link.server_error) == text.format(other=other_key.public.hex())
    with pytest.raises(SSL.Error):
        client.read()
    assert client.alerts == [("received", alert)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tls_1_2", "the client does not offer TLS 1.3"),
        ("alpn_unknown", "the client offers only application protocols unknown to us: b'foo'"),
        ("alpn_h2", "the client offers only application protocols unknown to us: b'h2'"),
    ],
)
def test_what_cant_be_negotiated_shows_in_the_clients_handshake(
    vectors: dict[str, Any],
    clients: dict[str, Callable[[], ForeignPeer]],
    server_credentials: ServerCredentials,
    join: JoinEnds,
    name: str,
    text: str,
) -> None:
    client = clients[name]()
    link = join(client, PinnedEngine(server_credentials))
    assert isinstance(link.client_error, SSL.Error)
    assert type(link.server_error) is HandshakeError
    assert str(link.server_error) == text
    case = captured(vectors, name)
    expected = Alert.NO_APPLICATION_PROTOCOL
    if name != "alpn_h2":  # the original speaks HTTP/2 to it, and ends the stream
        assert case["seen"] == "in the client's handshake"
        expected = Alert(case["alert"]["code"])
    assert client.alerts == [("received", expected)]


def test_a_client_judges_the_server_first(
    client_of: ClientOf,
    vectors: dict[str, Any],
    foreign: type[ForeignPeer],
    join: JoinEnds,
    client_key: KeyPair,
    other_key: KeyPair,
    server_key: KeyPair,
) -> None:
    client = client_of(client_key.seed, other_key.public)
    server = foreign(client=False, key=Ed25519PrivateKey.from_private_bytes(server_key.seed))
    link = join(client, server)
    assert isinstance(link.client_error, PeerRefused)
    assert str(link.client_error) == (
        f"the server's public key {server_key.public.hex()} is not on the list of allowed "
        "server keys"
    )
    # It sees the alert in its handshake, and nothing of who the client is.
    assert isinstance(link.server_error, SSL.Error)
    assert server.connection.get_peer_certificate() is None
    assert server.alerts == [("received", Alert.UNKNOWN_CA)]
    case = captured(vectors, "client_expects_another_server_key")
    assert (case["refused_by"], case["seen"]) == ("client", "in the server's handshake")


def test_both_sides_of_ours_name_the_key(
    client_of: ClientOf,
    join: JoinEnds,
    new_client: NewClient,
    client_key: KeyPair,
    server_key: KeyPair,
    other_key: KeyPair,
) -> None:
    server = ServerCredentials(server_key.seed, [client_key.public])
    client = client_of(other_key.seed, server_key.public)
    link = join(client, PinnedEngine(server))
    assert isinstance(link.server_error, PeerRefused)
    refused = f"the server refused this client's public key {other_key.public.hex()}: "
    with pytest.raises(PeerRefused, match=refused + "TLS alert 48 unknown ca"):
        client.read_into(memoryview(bytearray(10)))
    with pytest.raises(PeerRefused, match="refused this client's"):  # and again
        client.write(b"hello?")

    another_server = ServerCredentials(other_key.seed, [client_key.public])
    link = join(new_client(), PinnedEngine(another_server))
    assert isinstance(link.client_error, PeerRefused)
    assert isinstance(link.server_error, PeerRefused)
    assert str(link.server_error) == (
        f"the client refused this server's public key {other_key.public.hex()}: "
        "TLS alert 48 unknown ca; have it added to the client's list of server keys"
    )


@pytest.mark.parametrize(
    ("key", "name"),
    [(EC_KEY, "ECDSA"), (RSA_KEY, "RSA"), (ed448.Ed448PrivateKey.generate(), "Ed448")],
)
def test_keys_of_other_kinds_are_refused_on_both_sides(
    foreign: type[ForeignPeer],
    join: JoinEnds,
    new_client: NewClient,
    server_credentials: ServerCredentials,
    make_certificate: Callable[..., x509.Certificate],
    client_key: KeyPair,
    key: Any,
    name: str,
) -> None:
    issuer = Ed25519PrivateKey.from_private_bytes(client_key.seed)
    certificate = make_certificate(key, make_certificate(issuer), issuer)
    link = join(
        foreign(client=True, key=key, certificates=[certificate]), PinnedEngine(server_credentials)
    )
    assert isinstance(link.server_error, PeerRefused)
    assert f"it has: {name} public key" in str(link.server_error)
    link = join(
        new_client(),
        foreign(client=False, key=key, certificates=[certificate]),
    )
    assert isinstance(link.client_error, PeerRefused)
    assert f"it has: {name} public key" in str(link.client_error)


@pytest.fixture(params=["twice the same", "a stranger's behind it", "its issuer's behind it"])
def chain(
    request: pytest.FixtureRequest, make_certificate: Callable[..., x509.Certificate]
) -> Callable[[Ed25519PrivateKey], list[x509.Certificate]]:
    """Two certificates, the first of which is for the key given."""

    def make(key: Ed25519PrivateKey) -> list[x509.Certificate]:
        if request.param == "twice the same":
            return [make_certificate(key)] * 2
        if request.param == "a stranger's behind it":
            return [make_certificate(key), make_certificate(EC_KEY)]
        issuer = make_certificate(EC_KEY)
        return [make_certificate(key, issuer, EC_KEY), issuer]

    return make


def test_a_second_certificate_is_refused_on_both_sides(
    foreign: type[ForeignPeer],
    join: JoinEnds,
    new_client: NewClient,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
    chain: Callable[[Ed25519PrivateKey], list[x509.Certificate]],
) -> None:
    key = client_credentials.private_key
    client = foreign(client=True, key=key, certificates=chain(key))
    link = join(client, PinnedEngine(server_credentials))
    assert isinstance(link.server_error, PeerRefused)
    assert str(link.server_error).startswith("the client sent 2 certificates")

    key = server_credentials.private_key
    server = foreign(client=False, key=key, certificates=chain(key))
    link = join(new_client(), server)
    assert isinstance(link.client_error, PeerRefused)
    assert str(link.client_error).startswith("the server sent 2 certificates")
    assert server.alerts[0][0] == "received"  # in time for an alert
    assert isinstance(link.server_error, SSL.Error)


def test_a_certificate_out_of_date_or_with_names_is_as_good_as_any(
    foreign: type[ForeignPeer],
    join: JoinEnds,
    new_client: NewClient,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
    vectors: dict[str, Any],
    make_certificate: Callable[..., x509.Certificate],
) -> None:
    """The original's own, valid in the year 1 only, and one that someone else has signed."""
    key = client_credentials.private_key
    issued = make_certificate(key, make_certificate(EC_KEY), EC_KEY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its serial number is 0, which newer versions mind
        originals = [
            x509.load_der_x509_certificate(bytes.fromhex(entry["der"]))
            for entry in vectors["certificates"][:2]
        ]
    for certificate in (originals[1], issued):
        client = foreign(client=True, key=key, certificates=[certificate])
        server = PinnedEngine(server_credentials)
        link = join(client, server)
        assert (link.client_error, link.server_error) == (None, None)
        assert server.peer_public_key == client_credentials.public_key
    key = server_credentials.private_key
    server_end = foreign(client=False, key=key, certificates=[originals[0]])
    link = join(new_client(), server_end)
    assert (link.client_error, link.server_error) == (None, None)


def test_a_server_that_speaks_tls_1_2_only_is_refused(
    foreign: type[ForeignPeer],
    join: JoinEnds,
    new_client: NewClient,
    server_credentials: ServerCredentials,
) -> None:
    server = foreign(
        client=False, key=server_credentials.private_key, max_version=SSL.TLS1_2_VERSION
    )
    link = join(new_client(), server)
    assert type(link.client_error) is HandshakeError
    assert str(link.client_error) == (
        "the server does not accept TLS 1.3: TLS alert 70 protocol version"
    )


def test_an_alert_that_isnt_about_keys_is_no_refusal(
    new_client: NewClient,
) -> None:
    client = new_client()
    assert not client.handshake()
    client.receive(b"\x15\x03\x03\x00\x02\x02\x50")  # an alert record, unencrypted: 80
    with pytest.raises(HandshakeError, match="gave the TLS connection up: TLS alert 80 internal"):
        client.handshake()


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(50), b"\x17\x03\x03\xff\xff"]
)
def test_plaintext_on_the_tls_port(server_credentials: ServerCredentials, junk: bytes) -> None:
    server = PinnedEngine(server_credentials)
    server.receive(junk + bytes(5))
    with pytest.raises(HandshakeError, match="what the client sent is not TLS"):
        server.handshake()


def test_tls_that_makes_no_sense(server_credentials: ServerCredentials) -> None:
    server = PinnedEngine(server_credentials)
    server.receive(b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03")  # a client hello cut short
    with pytest.raises(HandshakeError, match="the client broke the rules of TLS: "):
        server.handshake()
    assert server.outgoing()[0] == 21  # an alert


def test_a_key_that_openssl_cant_read(client_credentials: ClientCredentials) -> None:
    der = self_signed_certificate(client_credentials.private_key).public_bytes(Encoding.DER)
    unknown = der.replace(b"\x06\x03\x2b\x65\x70\x03\x21", b"\x06\x03\x2b\x65\x01\x03\x21")
    assert unknown != der
    exchange = Exchange(client_credentials)
    exchange.judge(crypto.load_certificate(crypto.FILETYPE_ASN1, unknown), 1)
    assert exchange.objection == (
        "the server must have an Ed25519 key, it has none that can be read"
    )


def test_a_session_without_a_certificate_is_none_of_ours(
    server_credentials: ServerCredentials,
) -> None:
    """What the check after the handshake says, should OpenSSL ever let one through."""
    exchange = Exchange(server_credentials)
    exchange.judge(None, 1)
    assert exchange.objection == "the client sent no certificate: an Ed25519 key is required"


def test_alerts_are_named() -> None:
    assert alert_text(42) == "TLS alert 42 bad certificate"
    assert alert_text(200) == "TLS alert 200 unknown to us"
