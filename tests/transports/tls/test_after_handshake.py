"""TLS messages behind the handshake: key updates, in one piece or in two, and misplaced ones.

OpenSSL sends them only when it likes. So the records are made here, with the secrets that a
foreign client writes down for its key log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from OpenSSL import SSL

from wirecore.errors import PeerRefused, ProtocolError
from wirecore_trio.tls import PinnedEngine, ServerCredentials
from wirecore_trio.tls.records import RecordCounter

if TYPE_CHECKING:
    from tests.transports.tls.conftest import End, ForeignPeer, Join, KeyPair, NewClient

# Content types, RFC 8446 section 5.1.
ALERT, HANDSHAKE, DATA = 21, 22, 23
#: A KeyUpdate that asks for one in return, RFC 8446 section 4.6.3.
KEY_UPDATE = b"\x18\x00\x00\x01\x01"

Read = Callable[[PinnedEngine], bytes]


class RecordWriter:
    """Encrypts records as RFC 8446 section 5.2 says, from a traffic secret on.

    *sent*: how many records were encrypted with it already.
    """

    def __init__(self, cipher: str, secret: bytes, sent: int = 0) -> None:
        self._hash = hashes.SHA384() if cipher.endswith("SHA384") else hashes.SHA256()
        self._chacha = "CHACHA20" in cipher
        self._key_size = 16 if "AES_128" in cipher else 32
        self._secret = secret
        self._sequence = sent

    def _expand(self, label: str, size: int) -> bytes:
        name = b"tls13 " + label.encode()
        info = size.to_bytes(2, "big") + bytes([len(name)]) + name + b"\x00"
        return HKDFExpand(algorithm=self._hash, length=size, info=info).derive(self._secret)

    def seal(self, content_type: int, content: bytes) -> bytes:
        key = self._expand("key", self._key_size)
        sequence = self._sequence.to_bytes(12, "big")
        nonce = bytes(a ^ b for a, b in zip(self._expand("iv", 12), sequence, strict=True))
        self._sequence += 1
        inner = content + bytes([content_type])
        header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        aead = ChaCha20Poly1305(key) if self._chacha else AESGCM(key)
        return header + aead.encrypt(nonce, inner, header)

    def update(self) -> None:
        """The next generation of the secret, RFC 8446 section 7.2."""
        self._secret = self._expand("traffic upd", self._hash.digest_size)
        self._sequence = 0


@pytest.fixture
def connected(
    allowed_foreigner: Callable[..., ForeignPeer],
    server_credentials: ServerCredentials,
    join: Callable[[End, End], Join],
) -> tuple[ForeignPeer, RecordWriter, PinnedEngine]:
    """A foreign client, a pen to write in its name, and our server."""
    client, server = allowed_foreigner(), PinnedEngine(server_credentials)
    assert join(client, server).server_error is None
    # The first data takes OpenSSL's session tickets along.
    server.write(b"hello")
    client.receive(server.outgoing())
    assert client.read() == b"hello"
    cipher = client.connection.get_cipher_name()
    assert cipher is not None
    return client, RecordWriter(cipher, client.secrets["CLIENT_TRAFFIC_SECRET_0"]), server


Connected = tuple["ForeignPeer", RecordWriter, PinnedEngine]


def test_a_key_update_is_answered_with_the_next_data(connected: Connected, read: Read) -> None:
    client, pen, server = connected
    server.receive(pen.seal(DATA, b"old keys") + pen.seal(HANDSHAKE, KEY_UPDATE))
    pen.update()
    server.receive(pen.seal(DATA, b", new keys"))
    assert read(server) == b"old keys, new keys"
    server.write(b"answer")
    sealed = server.outgoing()
    assert len(sealed) > 22 + len(b"answer")  # the key update went ahead of it
    client.receive(sealed)
    assert client.read() == b"answer"


def test_half_a_key_update_holds_writing_up(connected: Connected, read: Read) -> None:
    client, pen, server = connected
    server.receive(pen.seal(HANDSHAKE, KEY_UPDATE[:4]))
    assert read(server) == b""
    assert server.write(b"not yet") == 0
    assert server.write(bytes(40_000)) == 0
    assert server.outgoing() == b""
    server.receive(pen.seal(HANDSHAKE, KEY_UPDATE[4:]))
    assert server.write(b"now") == 3
    client.receive(server.outgoing())
    assert client.read() == b"now"
    pen.update()
    server.receive(pen.seal(DATA, b"and back"))
    assert read(server) == b"and back"


def test_the_other_half_may_lie_behind_much_else(connected: Connected, read: Read) -> None:
    """A writer finds it by itself, without anybody reading the data in front of it."""
    client, pen, server = connected
    server.receive(pen.seal(HANDSHAKE, KEY_UPDATE[:4]))
    assert read(server) == b""
    rest = pen.seal(HANDSHAKE, KEY_UPDATE[4:])
    pen.update()
    server.receive(rest[:20])
    server.receive(rest[20:] + pen.seal(DATA, bytes(16_384)) + pen.seal(DATA, bytes(16_384)))
    assert server.write(b"found") == 5
    client.receive(server.outgoing())
    assert client.read() == b"found"
    assert len(read(server)) == 32_768


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        (b"\x17\x03\x03\x00\x20" + bytes(32), "the client broke the rules of TLS: "),
        (b"", "the client ended the stream in the middle of a TLS message"),
    ],
)
def test_writing_fails_when_the_other_half_is_bad(
    connected: Connected, read: Read, rest: bytes, text: str
) -> None:
    _, pen, server = connected
    server.receive(pen.seal(HANDSHAKE, KEY_UPDATE[:4]))
    assert read(server) == b""
    server.receive(rest)
    with pytest.raises(ProtocolError, match=text):
        server.write(b"never")


def test_closing_in_the_middle_of_a_key_update_says_nothing(
    connected: Connected, read: Read
) -> None:
    _, pen, server = connected
    server.receive(pen.seal(HANDSHAKE, KEY_UPDATE[:4]))
    assert read(server) == b""
    server.close()
    assert server.outgoing() == b""


def test_empty_records_are_no_end(connected: Connected, read: Read) -> None:
    _, pen, server = connected
    server.receive(pen.seal(DATA, b"") + pen.seal(DATA, b""))
    assert server.read_into(memoryview(bytearray(5))) is None
    server.receive(pen.seal(DATA, b"") + pen.seal(DATA, b"data"))
    assert read(server) == b"data"


def test_user_canceled_is_followed_by_an_orderly_end(connected: Connected, read: Read) -> None:
    _, pen, server = connected
    server.receive(pen.seal(ALERT, b"\x01\x5a") + pen.seal(ALERT, b"\x01\x00"))
    assert read(server) == b""
    assert server.read_into(memoryview(bytearray(5))) == 0
    assert not server.truncated


def test_an_end_without_close_notify_is_seen(connected: Connected, read: Read) -> None:
    _, pen, server = connected
    server.receive(pen.seal(DATA, b"data"))
    server.receive(b"")
    assert read(server) == b"data"
    assert server.truncated


@pytest.mark.parametrize(
    ("alert", "error", "text"),
    [
        (42, PeerRefused, "the client refused this server's public key .*alert 42 bad certificate"),
        (80, ProtocolError, "the client gave the TLS connection up: TLS alert 80 internal error"),
    ],
)
def test_alerts_behind_the_handshake(
    connected: Connected, alert: int, error: type[Exception], text: str
) -> None:
    _, pen, server = connected
    server.receive(pen.seal(DATA, b"first") + pen.seal(ALERT, bytes([2, alert])))
    buffer = memoryview(bytearray(100))
    assert server.read_into(buffer) == 5  # what came before it isn't lost
    with pytest.raises(error, match=text):
        server.read_into(buffer)


def test_a_new_handshake_isnt_begun(connected: Connected, read: Read) -> None:
    client, pen, server = connected
    server.receive(pen.seal(HANDSHAKE, b"\x01\x00\x00\x02\x03\x03"))
    with pytest.raises(ProtocolError, match="broke the rules of TLS: unexpected message"):
        read(server)
    client.receive(server.outgoing())
    with pytest.raises(SSL.Error):
        client.read()
    assert client.alerts == [("received", 10)]


def test_answers_to_key_updates_are_there_to_be_sent(connected: Connected, read: Read) -> None:
    client, pen, server = connected
    for _ in range(3000):
        server.receive(pen.seal(HANDSHAKE, KEY_UPDATE))
        pen.update()
        assert read(server) == b""
        client.receive(server.outgoing() or b"")
    server.write(b"done")
    client.receive(server.outgoing())
    assert client.read() == b"done"


def test_answers_to_key_updates_dont_pile_up_for_ever(connected: Connected, read: Read) -> None:
    _, pen, server = connected
    for _ in range(1000):
        server.receive(pen.seal(DATA, b"x") + pen.seal(HANDSHAKE, KEY_UPDATE))
        pen.update()
        assert read(server) == b"x"
    for _ in range(50):
        server.receive(pen.seal(HANDSHAKE, KEY_UPDATE))
        pen.update()
    with pytest.raises(ProtocolError, match="the client asks for new keys for ever"):
        read(server)
    assert len(server.outgoing()) < 40_000


def test_a_client_answers_a_servers_key_update(
    new_client: NewClient,
    foreign: type[ForeignPeer],
    server_key: KeyPair,
    read: Read,
) -> None:
    client = new_client()
    server = foreign(client=False, key=Ed25519PrivateKey.from_private_bytes(server_key.seed))
    client.handshake()
    server.receive(client.outgoing())
    server.handshake()
    client.receive(server.outgoing())
    assert client.handshake()
    server.receive(client.outgoing())
    assert server.handshake()
    tickets = server.outgoing()
    client.receive(tickets)
    sent = RecordCounter().feed(tickets)
    cipher = server.connection.get_cipher_name()
    assert cipher is not None
    pen = RecordWriter(cipher, server.secrets["SERVER_TRAFFIC_SECRET_0"], sent)
    client.receive(pen.seal(DATA, b"old keys") + pen.seal(HANDSHAKE, KEY_UPDATE))
    pen.update()
    client.receive(pen.seal(DATA, b", new keys"))
    assert read(client) == b"old keys, new keys"
    client.write(b"answer")
    server.receive(client.outgoing())
    assert server.read() == b"answer"
