"""The engine between two ends of our own: bytes through it, and its states."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from OpenSSL import crypto

from wirecore.errors import HandshakeError, InvalidState, PeerRefused, ProtocolError
from wirecore_trio.tls import ClientCredentials, Engine, PinnedEngine, ServerCredentials

if TYPE_CHECKING:
    from tests.transports.tls.conftest import End, ForeignPeer, Join, KeyPair, NewClient

Engines = tuple[PinnedEngine, PinnedEngine]
Read = Callable[[PinnedEngine], bytes]


def test_both_sides_know_each_other_after_the_handshake(
    engines: Engines, client_key: KeyPair, server_key: KeyPair
) -> None:
    client, server = engines
    assert client.peer_public_key == server_key.public
    assert server.peer_public_key == client_key.public
    assert client.handshake()  # nothing more to do
    assert client.outgoing() == b""


def test_a_key_is_taken_out_of_its_certificate_once(
    new_client: NewClient,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
    join: Callable[[End, End], Join],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Apart from the key exchange that is the dearest part of a handshake."""
    taken: list[crypto.X509] = []
    get_pubkey = crypto.X509.get_pubkey

    def note_and_get(certificate: crypto.X509) -> crypto.PKey:
        taken.append(certificate)
        return get_pubkey(certificate)

    monkeypatch.setattr(crypto.X509, "get_pubkey", note_and_get)
    client, server = new_client(), PinnedEngine(server_credentials)
    join(client, server)
    assert server.peer_public_key == client_credentials.public_key
    assert client.peer_public_key == server_credentials.public_key
    assert len(taken) == 2


def test_a_key_that_is_taken_off_the_list_during_the_handshake_is_refused(
    new_client: NewClient,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the look at the certificate and the end of the handshake."""
    client, server = new_client(), PinnedEngine(server_credentials)
    asked: list[bytes] = []

    def allowed_once(_: ServerCredentials, key: bytes) -> bool:
        asked.append(key)
        return len(asked) == 1

    client.handshake()
    server.receive(client.outgoing())
    assert not server.handshake()
    client.receive(server.outgoing())
    assert client.handshake()
    server.receive(client.outgoing())
    monkeypatch.setattr(ServerCredentials, "allowed", allowed_once)
    with pytest.raises(PeerRefused, match="not on the list"):
        server.handshake()
    assert asked == [client_credentials.public_key] * 2


def test_the_handshake_goes_byte_by_byte(
    new_client: NewClient,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
) -> None:
    client, server = new_client(), PinnedEngine(server_credentials)
    complete = {client: False, server: False}
    while not all(complete.values()):
        for source, target in ((client, server), (server, client)):
            if not complete[source]:
                complete[source] = source.handshake()
            for byte in source.outgoing():
                target.receive(bytes([byte]))
                if not complete[target]:
                    complete[target] = target.handshake()
    assert server.peer_public_key == client_credentials.public_key


def test_data_goes_both_ways(engines: Engines, read: Read) -> None:
    for source, target in (engines, engines[::-1]):
        assert source.write(b"one ") == 4
        assert source.write(bytearray(b"two ")) == 4
        assert source.write(memoryview(b"three")) == 5
        assert source.write(b"") == 0
        target.receive(source.outgoing())
        assert source.outgoing() == b""
        assert read(target) == b"one two three"


def test_data_comes_in_whatever_pieces_the_ciphertext_comes(engines: Engines, read: Read) -> None:
    client, server = engines
    client.write(b"abc")
    client.write(b"def")
    sealed = client.outgoing()
    got = []
    for byte in sealed:
        server.receive(bytes([byte]))
        got.append(read(server))
    # A record can be read when its last byte is there, and not before.
    assert [piece for piece in got if piece] == [b"abc", b"def"]
    assert got[len(sealed) // 2 - 1] == b"abc"
    assert got[-1] == b"def"


def test_a_small_buffer_gets_a_record_in_pieces(engines: Engines) -> None:
    client, server = engines
    client.write(b"abcdefg")
    client.write(b"hij")
    server.receive(client.outgoing())
    buffer = memoryview(bytearray(3))
    got = []
    while size := server.read_into(buffer):
        got.append(bytes(buffer[:size]))
    assert b"".join(got) == b"abcdefghij"
    assert server.read_into(buffer) is None


def test_one_write_takes_64_kib_at_most(engines: Engines, read: Read) -> None:
    client, server = engines
    data = random.Random(1).randbytes(100_000)
    assert client.write(data) == 65_536
    assert client.write(data[65_536:]) == 100_000 - 65_536
    server.receive(client.outgoing())
    assert read(server) == data


@pytest.mark.parametrize("size", [16_383, 16_384, 16_385, 32_768, 65_535, 65_536])
def test_sizes_around_a_record(engines: Engines, read: Read, size: int) -> None:
    client, server = engines
    data = random.Random(size).randbytes(size)
    assert client.write(data) == size
    server.receive(client.outgoing())
    assert read(server) == data


def test_much_goes_both_ways_at_once(engines: Engines) -> None:
    """Three megabytes each way, with ciphertext handed on in pieces of random size."""
    randomness = random.Random(2)
    data = randomness.randbytes(3_000_000)
    client, server = engines
    written = {client: 0, server: 0}
    got = {client: bytearray(), server: bytearray()}
    buffer = memoryview(bytearray(50_000))
    while any(len(received) < len(data) for received in got.values()):
        for source, target in ((client, server), (server, client)):
            part = data[written[source] : written[source] + randomness.randrange(1, 200_000)]
            written[source] += source.write(part)
            sealed = source.outgoing()
            while sealed:
                cut = randomness.randrange(1, 100_000)
                target.receive(sealed[:cut])
                sealed = sealed[cut:]
                while size := target.read_into(buffer[: randomness.randrange(1, 50_000)]):
                    got[target] += buffer[:size]
    assert got[client] == got[server] == data


def test_what_was_received_may_be_overwritten(engines: Engines, read: Read) -> None:
    client, server = engines
    data = random.Random(3).randbytes(60_000)
    client.write(data)
    sealed = bytearray(client.outgoing())
    server.receive(sealed)
    sealed[:] = bytes(len(sealed))
    assert read(server) == data


def test_close_notify_ends_one_direction(engines: Engines, read: Read) -> None:
    client, server = engines
    client.write(b"the end")
    client.close()
    client.close()
    server.receive(client.outgoing())
    assert client.outgoing() == b""
    assert read(server) == b"the end"
    assert server.read_into(memoryview(bytearray(5))) == 0
    assert not server.truncated
    # The other direction goes on.
    server.write(b"still here")
    client.receive(server.outgoing())
    assert read(client) == b"still here"
    with pytest.raises(InvalidState, match="nothing can be sent after"):
        client.write(b"more")


def test_nothing_can_be_done_before_the_handshake(new_client: NewClient) -> None:
    engine = new_client()
    with pytest.raises(InvalidState, match="handshake isn't complete"):
        engine.write(b"early")
    with pytest.raises(InvalidState, match="handshake isn't complete"):
        engine.read_into(memoryview(bytearray(5)))
    with pytest.raises(InvalidState, match="isn't known before"):
        _ = engine.peer_public_key
    engine.close()
    assert engine.outgoing() == b""


def test_a_failed_handshake_stays_failed(new_client: NewClient) -> None:
    engine = new_client()
    assert not engine.handshake()
    engine.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    for _ in range(2):
        with pytest.raises(HandshakeError, match="what the server sent is not TLS"):
            engine.handshake()
    with pytest.raises(HandshakeError, match="what the server sent is not TLS"):
        engine.write(b"x")
    engine.close()  # nothing to tell, and no error of its own


def test_a_broken_record_fails_the_connection_with_an_alert(engines: Engines, read: Read) -> None:
    client, server = engines
    client.write(b"good")
    client.write(b"bad")
    sealed = bytearray(client.outgoing())
    sealed[-1] ^= 1
    server.receive(sealed)
    assert read_one(server) == b"good"  # what came before it isn't lost
    for _ in range(2):
        with pytest.raises(ProtocolError, match="the client broke the rules of TLS: decryption"):
            read(server)
    with pytest.raises(ProtocolError, match="broke the rules"):
        server.write(b"more")
    client.receive(server.outgoing())
    with pytest.raises(
        ProtocolError, match="the server gave the TLS connection up: TLS alert 20 bad record mac"
    ):
        read(client)


def read_one(engine: PinnedEngine) -> bytes:
    buffer = memoryview(bytearray(100))
    size = engine.read_into(buffer)
    assert size is not None
    return bytes(buffer[:size])


def test_junk_in_the_stream_is_found_without_waiting_for_more(engines: Engines, read: Read) -> None:
    _, server = engines
    server.receive(b"GET /")
    with pytest.raises(ProtocolError, match="what the client sent is not TLS"):
        read(server)


def test_a_key_removed_in_the_middle_of_the_handshake_doesnt_get_in(
    join: Callable[[End, End], Join],
    new_client: NewClient,
    server_key: KeyPair,
    client_key: KeyPair,
) -> None:
    class Rotating(ServerCredentials):
        """The list loses its key after the first look at it."""

        def allowed(self, public_key: bytes) -> bool:
            answer = super().allowed(public_key)
            self.replace([])
            return answer

    client = new_client()
    server = PinnedEngine(Rotating(server_key.seed, [client_key.public]))
    link = join(client, server)
    assert isinstance(link.server_error, PeerRefused)
    assert "is not on the list" in str(link.server_error)
    # Too late for an alert, but the client learns that it is over.
    assert client.read_into(memoryview(bytearray(5))) == 0


def test_keys_change_while_the_server_runs(
    join: Callable[[End, End], Join],
    new_client: NewClient,
    server_credentials: ServerCredentials,
    other_key: KeyPair,
    server_key: KeyPair,
    read: Read,
) -> None:
    other = ClientCredentials(other_key.seed, server_key.public)
    first = join(new_client(), PinnedEngine(server_credentials))
    assert first.server_error is None
    server_credentials.replace([other_key.public])
    # The same credentials, so the same OpenSSL context: the new list is what counts.
    refused = join(new_client(), PinnedEngine(server_credentials))
    assert isinstance(refused.server_error, PeerRefused)
    accepted = join(PinnedEngine(other), PinnedEngine(server_credentials))
    assert accepted.server_error is None
    # A connection that is there isn't touched: closing it is the server's part.
    assert isinstance(first.client, PinnedEngine)
    first.client.write(b"alive")
    first.relay()
    assert isinstance(first.server, PinnedEngine)
    assert read(first.server) == b"alive"


def test_it_is_an_engine(engines: Engines) -> None:
    engine: Engine = engines[0]
    assert engine.truncated is False


def test_tls_1_3_without_a_server_name_or_a_protocol(
    join: Callable[[End, End], Join],
    foreign: type[ForeignPeer],
    new_client: NewClient,
    server_credentials: ServerCredentials,
) -> None:
    server = foreign(client=False, key=server_credentials.private_key)
    join(new_client(), server)
    assert server.connection.get_protocol_version_name() == "TLSv1.3"
    assert server.connection.get_servername() is None
    assert server.connection.get_alpn_proto_negotiated() == b""
