"""Who is refused over a socket, and that both sides hear why: also with the socket closed next."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL

from tests.transports.tls.socket_story import (
    Foreigner,
    Sockets,
    failure,
    receive,
    reset,
    tcp,
    unix,
)
from wirecore.errors import HandshakeError, PeerRefused
from wirecore.websocket import ClientHandshake
from wirecore_trio._link import SocketLink
from wirecore_trio._upgrade import upgrade_client
from wirecore_trio.tls import ClientCredentials, ServerCredentials
from wirecore_trio.tls.socket_link import PinnedSocketLink

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.tls.conftest import ForeignPeer, KeyPair

MakeForeigner = Callable[..., "ForeignPeer"]

EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture(params=[unix, tcp])
def ends(request: pytest.FixtureRequest) -> Sockets:
    """A client's and a server's socket, connected."""
    pair: Sockets = request.param()
    return pair


@pytest.fixture
def stranger(other_key: KeyPair, server_key: KeyPair) -> ClientCredentials:
    """A client that the server doesn't list."""
    return ClientCredentials(other_key.seed, server_key.public)


async def serve_once(
    sock: socket.socket, credentials: ServerCredentials, told: list[Exception | None]
) -> None:
    """Do the handshake, note what it raised, and close at once."""
    server = PinnedSocketLink(SocketLink(sock), credentials)
    told.append(await failure(server.handshake))
    server.close()


# --- keys -----------------------------------------------------------------------------------


def test_a_stranger_is_told_at_its_first_read(
    stranger: ClientCredentials,
    server_credentials: ServerCredentials,
    ends: Sockets,
    run_sockets: Run,
) -> None:
    async def story() -> None:
        told: list[Exception | None] = []
        client = PinnedSocketLink(SocketLink(ends[0]), stranger)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_once, ends[1], server_credentials, told)
            await client.handshake()
            with pytest.raises(PeerRefused) as caught:
                await receive(client)
        (error,) = told
        key = stranger.public_key.hex()
        assert isinstance(error, PeerRefused)
        assert (
            str(error) == f"the client's public key {key} is not on the list of allowed client keys"
        )
        text = (
            f"the server refused this client's public key {key}: TLS alert 48 unknown ca; "
            "have it added to the server's list of client keys"
        )
        assert str(caught.value) == text
        with pytest.raises(PeerRefused, match="refused this client's"):  # and again
            await receive(client)
        # The server was through with what it was sent: its end was no reset.
        assert ends[0].recv(1) == b""
        client.close()

    run_sockets(story)


def test_a_refused_request_is_a_refusal_every_time(
    stranger: ClientCredentials, server_credentials: ServerCredentials, run_sockets: Run
) -> None:
    """The request leaves with the client's last packet of the handshake, and isn't read."""

    async def story() -> None:
        for _ in range(200):
            one, other = tcp()
            client = PinnedSocketLink(SocketLink(one), stranger)
            told: list[Exception | None] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve_once, other, server_credentials, told)
                await client.handshake(speaks_next=True)
                with pytest.raises(PeerRefused, match="TLS alert 48 unknown ca"):
                    await upgrade_client(client, ClientHandshake(host="server", target="/"))
            assert isinstance(told[0], PeerRefused)
            client.close()

    run_sockets(story)


@pytest.mark.parametrize("speaks_next", [True, False])
def test_a_server_that_isnt_trusted_hears_of_it_in_its_handshake(
    client_key: KeyPair,
    other_key: KeyPair,
    server_credentials: ServerCredentials,
    ends: Sockets,
    run_sockets: Run,
    speaks_next: bool,
) -> None:
    """Although the client has corked its socket, leaves part of the flight unread and closes."""

    async def story() -> None:
        told: list[Exception | None] = []
        credentials = ClientCredentials(client_key.seed, other_key.public)
        client = PinnedSocketLink(SocketLink(ends[0]), credentials)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_once, ends[1], server_credentials, told)
            for _ in range(2):
                with pytest.raises(PeerRefused, match="is not on the list of allowed server keys"):
                    await client.handshake(speaks_next=speaks_next)
            with pytest.raises(PeerRefused):
                client.try_send(b"x")
            with pytest.raises(PeerRefused):
                _ = client.peer_public_key
            client.close()
        (error,) = told
        assert isinstance(error, PeerRefused)
        assert str(error) == (
            "the client refused this server's public key "
            f"{server_credentials.public_key.hex()}: TLS alert 48 unknown ca; "
            "have it added to the client's list of server keys"
        )

    run_sockets(story)


def test_the_alert_is_there_before_the_error(
    stranger: ClientCredentials,
    server_credentials: ServerCredentials,
    ends: Sockets,
    run_sockets: Run,
) -> None:
    async def story() -> None:
        client = PinnedSocketLink(SocketLink(ends[0]), stranger)
        server = PinnedSocketLink(SocketLink(ends[1]), server_credentials)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.handshake)
            with pytest.raises(PeerRefused):
                await server.handshake()
        with pytest.raises(PeerRefused):
            client.try_recv_into(memoryview(bytearray(1)))
        with pytest.raises(PeerRefused):
            server.try_recv_into(memoryview(bytearray(1)))
        client.close()
        server.close()

    run_sockets(story)


def test_keys_replaced_during_the_handshake_count(
    client_credentials: ClientCredentials,
    server_key: KeyPair,
    client_key: KeyPair,
    run_sockets: Run,
) -> None:
    class Rotating(ServerCredentials):
        """The list loses its key after the first look at it."""

        def allowed(self, public_key: bytes) -> bool:
            answer = super().allowed(public_key)
            self.replace([])
            return answer

    async def story() -> None:
        one, other = tcp()
        told: list[Exception | None] = []
        client = PinnedSocketLink(SocketLink(one), client_credentials)
        rotating = Rotating(server_key.seed, [client_key.public])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_once, other, rotating, told)
            await client.handshake(speaks_next=True)
            assert client.try_send(b"request") == 7
            # Too late for an alert: the stream ends, in order.
            assert await receive(client) == b""
        assert isinstance(told[0], PeerRefused)
        assert "is not on the list" in str(told[0])
        client.close()

    run_sockets(story)


# --- foreign peers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("ecdsa", PeerRefused, "the client must have an Ed25519 key, it has: ECDSA public key"),
        ("rsa", PeerRefused, "the client must have an Ed25519 key, it has: RSA public key"),
        ("none", PeerRefused, "the client sent no certificate: an Ed25519 key is required"),
        ("two", PeerRefused, "the client sent 2 certificates: exactly one is required"),
        ("tls 1.2", HandshakeError, "the client does not offer TLS 1.3"),
        (
            "alpn",
            HandshakeError,
            "the client offers only application protocols unknown to us: b'h2'",
        ),
    ],
)
def test_clients_of_other_kinds_are_refused(
    allowed_foreigner: MakeForeigner,
    foreign: type[ForeignPeer],
    make_certificate: Callable[..., x509.Certificate],
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
    ends: Sockets,
    run_sockets: Run,
    name: str,
    kind: type[Exception],
    text: str,
) -> None:
    certificate = make_certificate(client_credentials.private_key)
    peer = {
        "ecdsa": lambda: foreign(client=True, key=EC_KEY),
        "rsa": lambda: foreign(client=True, key=RSA_KEY),
        "none": lambda: foreign(client=True),
        "two": lambda: allowed_foreigner(certificates=[certificate, certificate]),
        "tls 1.2": lambda: allowed_foreigner(max_version=SSL.TLS1_2_VERSION),
        "alpn": lambda: allowed_foreigner(protocols=[b"h2"]),
    }[name]()

    async def story() -> None:
        told: list[Exception | None] = []
        client = Foreigner(peer, ends[0])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_once, ends[1], server_credentials, told)
            error = await failure(client.handshake)
            if error is None:
                error = await failure(client.receive)
        assert isinstance(error, SSL.Error)
        assert peer.alerts  # it knows why, in so far as OpenSSL can say it
        assert [(type(error), str(error)) for error in told] == [(kind, text)]
        ends[0].close()

    run_sockets(story)


@pytest.mark.parametrize("name", ["rsa", "two", "tls 1.2"])
def test_servers_of_other_kinds_are_refused(
    foreign: type[ForeignPeer],
    make_certificate: Callable[..., x509.Certificate],
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
    run_sockets: Run,
    name: str,
) -> None:
    key = server_credentials.private_key
    peer, kind, text = {
        "rsa": (
            foreign(client=False, key=RSA_KEY),
            PeerRefused,
            "the server must have an Ed25519 key, it has: RSA public key",
        ),
        "two": (
            foreign(client=False, key=key, certificates=[make_certificate(key)] * 2),
            PeerRefused,
            "the server sent 2 certificates: exactly one is required",
        ),
        "tls 1.2": (
            foreign(client=False, key=key, max_version=SSL.TLS1_2_VERSION),
            HandshakeError,
            "the server does not accept TLS 1.3: TLS alert 70 protocol version",
        ),
    }[name]

    async def story() -> None:
        one, other = tcp()
        server = Foreigner(peer, one)
        client = PinnedSocketLink(SocketLink(other), client_credentials)

        async def be_refused() -> None:
            assert isinstance(await failure(server.handshake), SSL.Error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(be_refused)
            error = await failure(client.handshake)
            client.close()
        assert type(error) is kind
        assert str(error) == text
        assert peer.alerts
        one.close()

    run_sockets(story)


def test_a_refusal_of_ones_own_protocol_doesnt_harm_other_connections(
    allowed_foreigner: MakeForeigner, server_credentials: ServerCredentials, run_sockets: Run
) -> None:
    """pyOpenSSL's callbacks raise through OpenSSL, whose errors all connections share."""

    async def story() -> None:
        one, other = tcp()
        healthy = PinnedSocketLink(SocketLink(other), server_credentials)
        first = Foreigner(allowed_foreigner(), one)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.handshake)
            nursery.start_soon(healthy.handshake)
        told: list[Exception | None] = []
        near, far = tcp()
        second = Foreigner(allowed_foreigner(protocols=[b"h2"]), near)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_once, far, server_credentials, told)
            assert isinstance(await failure(second.handshake), SSL.Error)
        assert type(told[0]) is HandshakeError
        assert healthy.try_recv_into(memoryview(bytearray(10))) is None
        for end in (healthy, one, near):
            end.close()

    run_sockets(story)


# --- what isn't TLS, and what breaks --------------------------------------------------------


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(50), b"\x17\x03\x03\xff\xff"]
)
def test_plaintext_on_the_tls_port(
    server_credentials: ServerCredentials, ends: Sockets, run_sockets: Run, junk: bytes
) -> None:
    async def story() -> None:
        told: list[Exception | None] = []
        ends[0].sendall(junk + bytes(5))
        await serve_once(ends[1], server_credentials, told)
        assert type(told[0]) is HandshakeError
        assert str(told[0]) == "what the client sent is not TLS"
        ends[0].close()

    run_sockets(story)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "the client ended the stream in the middle of a TLS message"),
        (b"\x16\x03\x01\x00\x10", "the client ended the stream in the middle of a TLS message"),
        (b"\x15\x03\x03\x00\x02\x02\x50", "the client broke the rules of TLS: unexpected message"),
        (b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03", "the client broke the rules of TLS: "),
    ],
)
def test_a_handshake_that_ends_early(
    server_credentials: ServerCredentials,
    ends: Sockets,
    run_sockets: Run,
    data: bytes,
    text: str,
) -> None:
    async def story() -> None:
        told: list[Exception | None] = []
        ends[0].sendall(data)
        ends[0].shutdown(socket.SHUT_WR)
        await serve_once(ends[1], server_credentials, told)
        assert type(told[0]) is HandshakeError
        assert str(told[0]).startswith(text)
        ends[0].close()

    run_sockets(story)


@pytest.mark.parametrize(
    ("alert", "text"),
    [
        (b"\x02\x50", "the server gave the TLS connection up: TLS alert 80 internal error"),
        (b"\x01\x00", "the server ended the stream in the middle of a TLS message"),
    ],
)
def test_a_server_that_gives_the_handshake_up(
    client_credentials: ClientCredentials,
    ends: Sockets,
    run_sockets: Run,
    alert: bytes,
    text: str,
) -> None:
    async def story() -> None:
        ends[0].sendall(b"\x15\x03\x03\x00\x02" + alert)
        client = PinnedSocketLink(SocketLink(ends[1]), client_credentials)
        error = await failure(client.handshake)
        assert (type(error), str(error)) == (HandshakeError, text)
        client.close()
        ends[0].close()

    run_sockets(story)


def test_a_reset_is_a_failed_handshake(
    server_credentials: ServerCredentials, client_credentials: ClientCredentials, run_sockets: Run
) -> None:
    async def story() -> None:
        one, other = tcp()
        server = PinnedSocketLink(SocketLink(one), server_credentials)
        reset(other)
        for _ in range(2):
            with pytest.raises(HandshakeError, match="no TLS handshake: the connection broke"):
                await server.handshake()
        with pytest.raises(HandshakeError, match="no TLS handshake"):
            server.try_send(b"x")
        server.close()

        one, other = unix()  # and before the first byte of one's own
        client = PinnedSocketLink(SocketLink(one), client_credentials)
        other.close()
        with pytest.raises(HandshakeError, match="no TLS handshake: the connection broke"):
            await client.handshake()
        client.close()

    run_sockets(story)


@pytest.mark.parametrize("make", [unix, tcp])
def test_an_alert_that_reaches_nobody(
    server_credentials: ServerCredentials, run_sockets: Run, make: Callable[[], Sockets]
) -> None:
    """What the peer did is raised, and not that it is gone."""

    async def story() -> None:
        one, other = make()
        server = PinnedSocketLink(SocketLink(one), server_credentials)
        other.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        if make is tcp:
            reset(other)
        else:
            other.close()
        with pytest.raises(HandshakeError, match="what the client sent is not TLS"):
            await server.handshake()
        with pytest.raises(HandshakeError, match="what the client sent is not TLS"):
            server.try_recv_into(memoryview(bytearray(1)))
        server.close()

    run_sockets(story)


def test_a_server_that_refuses_and_resets(
    client_credentials: ClientCredentials, run_sockets: Run
) -> None:
    async def story() -> None:
        one, other = tcp()
        client = PinnedSocketLink(SocketLink(one), client_credentials)

        async def be_refused() -> None:
            with pytest.raises(PeerRefused, match="TLS alert 42 bad certificate"):
                await client.handshake()
            client.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(be_refused)
            await trio.testing.wait_all_tasks_blocked()
            other.sendall(b"\x15\x03\x03\x00\x02\x02\x2a")
            reset(other)

    run_sockets(story)
