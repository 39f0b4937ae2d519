"""What a client's last flight is made of, and servers that OpenSSL would have refused already."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes

from wirecore.errors import HandshakeError
from wirecore_trio.tls.client_flight import ClientFlight
from wirecore_trio.tls.protection import CIPHER_SUITES, PROTECTED, Protection

HANDSHAKE, ALERT = 22, 21
CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, VERIFY, FINISHED = 1, 2, 11, 15, 20
SUITE = CIPHER_SUITES[0x1301]
OURS, THEIRS = bytes([1]) * 32, bytes([2]) * 32
SECRETS = {"CLIENT_HANDSHAKE_TRAFFIC_SECRET": OURS, "SERVER_HANDSHAKE_TRAFFIC_SECRET": THEIRS}


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def plain(content: bytes) -> bytes:
    return bytes([HANDSHAKE, 3, 3]) + len(content).to_bytes(2, "big") + content


def hello(suite: int = 0x1301) -> bytes:
    """A server's, with a session id of 4 bytes."""
    return message(SERVER_HELLO, b"\x03\x03" + bytes(32) + b"\x04abcd" + suite.to_bytes(2, "big"))


@pytest.fixture
def flight() -> ClientFlight:
    """One whose client has said hello."""
    flight = ClientFlight(SECRETS)
    sent = plain(message(CLIENT_HELLO, b"here I am"))
    assert flight.send(sent) == sent
    return flight


def hash_of(*messages: bytes) -> bytes:
    digest = hashes.Hash(SUITE.hash)
    for each in messages:
        digest.update(each)
    return digest.finalize()


def test_a_server_whose_first_message_is_no_hello(flight: ClientFlight) -> None:
    flight.receive(plain(message(FINISHED, bytes(32))))
    with pytest.raises(HandshakeError, match="first message isn't a hello"):
        flight.follow()


def test_a_cipher_suite_that_isnt_known_here(flight: ClientFlight) -> None:
    flight.receive(plain(hello(0x1304)))
    with pytest.raises(HandshakeError, match="cipher suite 0x1304 isn't known"):
        flight.follow()


def test_a_protected_record_before_the_hello(flight: ClientFlight) -> None:
    flight.receive(Protection(SUITE, THEIRS).seal(HANDSHAKE, message(FINISHED, bytes(32))))
    with pytest.raises(HandshakeError, match="before the server's hello"):
        flight.follow()


def test_a_secret_that_isnt_told() -> None:
    flight = ClientFlight({})
    flight.receive(plain(hello()) + Protection(SUITE, THEIRS).seal(HANDSHAKE, b""))
    with pytest.raises(HandshakeError, match="hasn't told the SERVER_HANDSHAKE_TRAFFIC_SECRET"):
        flight.follow()


def test_a_record_of_padding_alone(flight: ClientFlight) -> None:
    flight.receive(plain(hello()) + Protection(SUITE, THEIRS).seal(0, bytes(5)))
    with pytest.raises(HandshakeError, match="has no content type"):
        flight.follow()


def test_other_messages_than_the_servers_finished_is_for(flight: ClientFlight) -> None:
    """A proof for a transcript without the certificate that came."""
    pen = Protection(SUITE, THEIRS)
    proof = SUITE.finished(THEIRS, hash_of(message(CLIENT_HELLO, b"here I am"), hello()))
    flight.receive(plain(hello()))
    flight.receive(pen.seal(HANDSHAKE, message(CERTIFICATE, b"...")))
    flight.receive(pen.seal(HANDSHAKE, message(FINISHED, proof.finalize())))
    with pytest.raises(HandshakeError, match="Finished doesn't fit what was read"):
        flight.follow()


def test_an_alert_in_place_of_a_flight_is_passed_on(flight: ClientFlight) -> None:
    flight.receive(plain(hello()))
    flight.follow()
    sealed = Protection(SUITE, OURS).seal(ALERT, b"\x02\x2a")
    assert flight.send(sealed) == sealed  # the same record: it is the first of its keys
    assert not flight.held


@pytest.fixture
def answered(flight: ClientFlight) -> ClientFlight:
    """One whose server has said all that it has to."""
    proof = SUITE.finished(THEIRS, hash_of(message(CLIENT_HELLO, b"here I am"), hello()))
    flight.receive(plain(hello()))
    pen = Protection(SUITE, THEIRS)
    finished = message(FINISHED, proof.finalize())
    flight.receive(pen.seal(HANDSHAKE, finished[:9]) + pen.seal(HANDSHAKE, finished[9:]))
    flight.follow()
    return flight


def test_nothing_of_openssls_flight_is_left_but_what_comes_behind_it(
    answered: ClientFlight,
) -> None:
    pen = Protection(SUITE, OURS)
    old = [message(kind, b"made by OpenSSL") for kind in (CERTIFICATE, VERIFY, FINISHED)]
    sealed = [pen.seal(HANDSHAKE, each) for each in old]
    data, more = bytes([PROTECTED]) + b"data", b" and more"
    assert answered.send(sealed[0] + sealed[1]) == b""
    assert not answered.held
    assert answered.send(sealed[2] + data) == b""
    assert answered.send(more) == b""
    assert answered.held
    assert answered.signed
    text = answered.to_sign(b"a certificate")
    assert answered.to_sign(b"a certificate") == text  # as often as one likes
    sent = answered.complete(b"a signature")
    assert sent.endswith(data + more)
    kind, content = Protection(SUITE, OURS).open(sent[: -len(data + more)])
    certificate = message(CERTIFICATE, bytes([0, 0, 0, 18, 0, 0, 13]) + b"a certificate" + bytes(2))
    verify = message(VERIFY, bytes([8, 7, 0, 11]) + b"a signature")
    server_finished = message(
        FINISHED,
        SUITE.finished(THEIRS, hash_of(message(CLIENT_HELLO, b"here I am"), hello())).finalize(),
    )
    seen = (message(CLIENT_HELLO, b"here I am"), hello(), server_finished, certificate)
    assert text.endswith(hash_of(*seen))
    finished = message(FINISHED, SUITE.finished(OURS, hash_of(*seen, verify)).finalize())
    assert (kind, content) == (HANDSHAKE, certificate + verify + finished)


def test_a_flight_without_a_signature_goes_as_it_is(answered: ClientFlight) -> None:
    own = message(FINISHED, b"made by OpenSSL")
    assert answered.send(Protection(SUITE, OURS).seal(HANDSHAKE, own)) == b""
    assert answered.held
    assert not answered.signed
    assert Protection(SUITE, OURS).open(answered.leave()) == (HANDSHAKE, own)
