"""The client's end of a handshake, with a certificate and a signature that OpenSSL never saw.

OpenSSL signs with keys that it holds, and has no hook for others within pyOpenSSL's reach. So it
is given a key of no meaning, and what it says in the client's last flight is replaced before it
leaves: certificate, signature, and the Finished that covers them (RFC 8446 section 4.4). A
client's last flight has no part in the keys that protect the data (section 7.1), so that all the
rest of the connection stays OpenSSL's, and so does the judgement of the server, which has come
before. A server can't be treated like this: the keys depend on its flight.

The worst that a fault in here can do is to have the server refuse the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

from wirecore.errors import HandshakeError

from .protection import CIPHER_SUITES, HEADER_SIZE, PROTECTED, CipherSuite, Protection

# Content types, RFC 8446 section 5.1.
_HANDSHAKE: Final = 22

# Messages, section 4.
_SERVER_HELLO: Final = 2
_CERTIFICATE: Final = 11
_CERTIFICATE_REQUEST: Final = 13
_CERTIFICATE_VERIFY: Final = 15
_FINISHED: Final = 20
_MESSAGE_HASH: Final = 254

_MESSAGE_HEADER_SIZE: Final = 4

#: The random number of a server's hello that is a HelloRetryRequest, section 4.1.3.
_RETRY: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_RANDOM: Final = slice(_MESSAGE_HEADER_SIZE + 2, _MESSAGE_HEADER_SIZE + 34)

#: What a client's signature is for, in front of the transcript's hash: section 4.4.3.
_SIGNED: Final = b" " * 64 + b"TLS 1.3, client CertificateVerify\x00"
_ED25519: Final = 0x0807

# The names that a key log gives the secrets.
_OURS: Final = "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
_THEIRS: Final = "SERVER_HANDSHAKE_TRAFFIC_SECRET"


class ClientFlight:
    """Follows a handshake in both directions, and rewrites its end.

    *secrets*: the traffic secrets of the handshake by their names in a key log; to be there by
    the time that the server's hello was processed.
    """

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._secrets = secrets
        self._sent = _Records()
        self._received = _Records()
        self._plain: list[bytes] = []  # the messages before it is known how to hash them
        self._suite: CipherSuite | None = None
        self._transcript: hashes.Hash | None = None
        self._reading: Protection | None = None
        self._opening: Protection | None = None
        self._writing: Protection | None = None
        self._context = b""
        #: Whether the server's Finished was found to fit all that was read before it.
        self.answered = False
        self._certificate = b""
        self._own: list[bytes] = []
        self._held = b""
        #: Whether OpenSSL's flight is here, and waits for `complete` or `leave`.
        self.held = False

    # --- what goes by ---------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Note *data* of the server's. It is understood in `follow`."""
        if not self.answered:
            self._received.feed(data)

    def follow(self) -> None:
        """Understand what has been received, once OpenSSL has processed it.

        Raises HandshakeError where it isn't understood in here.
        """
        while not self.answered:
            record = self._received.take()
            if record is None:
                return
            content_type, content = record[0], record[HEADER_SIZE:]
            if content_type == PROTECTED:
                if self._reading is None:
                    self._reading = Protection(self._known_suite(), self._secret(_THEIRS))
                content_type, content = self._reading.open(record)
            if content_type == _HANDSHAKE:
                for message in self._received.messages(content):
                    self._heed(message)

    def send(self, data: bytes) -> bytes:
        """What is to be sent of *data*, OpenSSL's next output; the rest is held.

        Raises HandshakeError where it isn't understood in here.
        """
        if self.held:
            self._held += data
            return b""
        self._sent.feed(data)
        passed = b""
        while (record := self._sent.take()) is not None:
            if record[0] != PROTECTED:
                if record[0] == _HANDSHAKE:
                    for message in self._sent.messages(record[HEADER_SIZE:]):
                        self._plain.append(message)
                passed += record
            else:
                passed += self._keep(record)
                if self.held:
                    self._held = self._sent.rest()
                    break
        return passed

    def _keep(self, record: bytes) -> bytes:
        """Take the messages out of *record*; it is sealed anew if it has something else."""
        if self._opening is None or self._writing is None:
            # What OpenSSL has sealed never leaves: each nonce is used once on the wire.
            secret = self._secret(_OURS)
            self._opening = Protection(self._known_suite(), secret)
            self._writing = Protection(self._known_suite(), secret)
        content_type, content = self._opening.open(record)
        if content_type != _HANDSHAKE:
            return self._writing.seal(content_type, content)  # an alert
        for message in self._sent.messages(content):
            self._own.append(message)
            self.held = message[0] == _FINISHED
        return b""

    def _heed(self, message: bytes) -> None:
        kind = message[0]
        if self._transcript is None:
            self._begin(message)
            return
        if kind == _FINISHED:
            # OpenSSL has found this good. That it is good in here too shows that both have
            # read the same messages: nothing else than those may be signed.
            expected = self._known_suite().finished(self._secret(_THEIRS), self._hash())
            try:
                expected.verify(message[_MESSAGE_HEADER_SIZE:])
            except InvalidSignature:
                raise HandshakeError("the server's Finished doesn't fit what was read") from None
            self.answered = True
        elif kind == _CERTIFICATE_REQUEST:
            size = message[_MESSAGE_HEADER_SIZE]
            start = _MESSAGE_HEADER_SIZE + 1
            self._context = message[start : start + size]
        self._transcript.update(message)

    def _begin(self, hello: bytes) -> None:
        """The transcript begins: the server's *hello* says how it is hashed."""
        if hello[0] != _SERVER_HELLO or len(hello) <= _RANDOM.stop:
            raise HandshakeError("the server's first message isn't a hello")
        start = _RANDOM.stop + 1 + hello[_RANDOM.stop]  # behind the session id
        number = int.from_bytes(hello[start : start + 2], "big")
        suite = CIPHER_SUITES.get(number)
        if suite is None:
            raise HandshakeError(f"cipher suite {number:#06x} isn't known where a signer is used")
        self._suite = suite
        if hello[_RANDOM] == _RETRY:
            # The first hello is represented by its hash alone, section 4.4.1.
            digest = _hash_of(suite.hash, self._plain)
            self._plain = [_message(_MESSAGE_HASH, digest), hello]
            return
        self._transcript = hashes.Hash(suite.hash)
        for message in (*self._plain, hello):
            self._transcript.update(message)

    # --- what is put in its place ---------------------------------------------------------

    @property
    def signed(self) -> bool:
        """Whether the flight that is held has a signature to replace.

        It has none where the server asked for no certificate, or for none of our kind.
        """
        return any(message[0] == _CERTIFICATE_VERIFY for message in self._own)

    def leave(self) -> bytes:
        """Let the flight go as OpenSSL made it."""
        return self._go(self._own)

    def to_sign(self, certificate: bytes) -> bytes:
        """What the key of *certificate* (DER) has to sign."""
        entry = _sized(3, certificate) + _sized(2, b"")
        body = _sized(1, self._context) + _sized(3, entry)
        self._certificate = _message(_CERTIFICATE, body)
        return _SIGNED + self._hash(self._certificate)

    def complete(self, signature: bytes) -> bytes:
        """What is to be sent, with *signature* for what `to_sign` has given."""
        body = _ED25519.to_bytes(2, "big") + _sized(2, signature)
        ours = self._certificate + _message(_CERTIFICATE_VERIFY, body)
        proof = self._known_suite().finished(self._secret(_OURS), self._hash(ours)).finalize()
        return self._go([ours, _message(_FINISHED, proof)])

    def _go(self, messages: list[bytes]) -> bytes:
        assert self._writing is not None
        flight = self._writing.seal(_HANDSHAKE, b"".join(messages)) + self._held
        self._held = b""
        return flight

    # --- helpers --------------------------------------------------------------------------

    def _hash(self, more: bytes = b"") -> bytes:
        """The transcript's hash so far, and with *more* behind it."""
        assert self._transcript is not None
        transcript = self._transcript.copy()
        transcript.update(more)
        return transcript.finalize()

    def _known_suite(self) -> CipherSuite:
        if self._suite is None:
            raise HandshakeError("a protected TLS record came before the server's hello")
        return self._suite

    def _secret(self, name: str) -> bytes:
        secret = self._secrets.get(name)
        if secret is None:
            raise HandshakeError(f"OpenSSL hasn't told the {name}")
        return secret


class _Records:
    """One direction of a stream, cut into records and these into messages."""

    __slots__ = ("_content", "_data")

    def __init__(self) -> None:
        self._data = b""
        self._content = b""

    def feed(self, data: bytes) -> None:
        self._data += data

    def take(self) -> bytes | None:
        """The next record with its header; None before it is whole."""
        if len(self._data) < HEADER_SIZE:
            return None
        end = HEADER_SIZE + int.from_bytes(self._data[3:HEADER_SIZE], "big")
        if len(self._data) < end:
            return None
        record, self._data = self._data[:end], self._data[end:]
        return record

    def rest(self) -> bytes:
        """What is left, which isn't looked at any more."""
        data, self._data = self._data, b""
        return data

    def messages(self, content: bytes) -> list[bytes]:
        """The messages that *content*, of the next record of handshake, brings to their end."""
        self._content += content
        found = []
        while len(self._content) >= _MESSAGE_HEADER_SIZE:
            end = _MESSAGE_HEADER_SIZE + int.from_bytes(self._content[1:4], "big")
            if len(self._content) < end:
                break
            found.append(self._content[:end])
            self._content = self._content[end:]
        return found


def _sized(size: int, content: bytes) -> bytes:
    """*content* behind its length, in *size* bytes."""
    return len(content).to_bytes(size, "big") + content


def _message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + _sized(3, body)


def _hash_of(algorithm: hashes.HashAlgorithm, messages: list[bytes]) -> bytes:
    digest = hashes.Hash(algorithm)
    for message in messages:
        digest.update(message)
    return digest.finalize()
