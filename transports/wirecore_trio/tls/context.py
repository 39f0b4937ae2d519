"""What OpenSSL is told once for all connections of one set of credentials.

Its callbacks know of the connection at hand through an `Exchange`, which the connection
carries as its application data.
"""

from __future__ import annotations

import math
import weakref
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from OpenSSL import SSL, crypto

from wirecore.errors import HandshakeError

from .alerts import Alert
from .credentials import Credentials, Role
from .keys import kind_of

#: The only protocol that may be negotiated; a client that offers none gets none.
_HTTP_1_1: Final = b"http/1.1"

#: How the names of secrets end that protect the handshake alone, none of the data.
_HANDSHAKE_SECRET: Final = "_HANDSHAKE_TRAFFIC_SECRET"

#: SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER of openssl/ssl.h. pyOpenSSL has no public name for it, and
#: its older releases, 24.3 among them, don't set it by themselves.
_MODE_ACCEPT_MOVING_WRITE_BUFFER: Final = 0x2

# Building a context loads a key and a certificate, and takes longer than all the rest of a
# connection but its key exchange; and connections share most of its memory.
_contexts: weakref.WeakKeyDictionary[Credentials, SSL.Context] = weakref.WeakKeyDictionary()


class Exchange:
    """What is learnt of a peer in the course of its handshake.

    *key*: the 32 raw bytes of its public key, once it is known to be an Ed25519 key. *objection*:
    why it isn't accepted; None when it is, or when no certificate came. *alert_received* and
    *alert_sent*: numbers of the last alerts that ended the connection, None where there were none.
    *steps_left*: how many steps more OpenSSL's state machine may take, set by whoever bounds
    them; where it takes them all, the connection is ended as if the peer had. *unsettled*, while
    they are bounded: whether what TLS itself said since it was last set is half there, or asks
    for an answer as a key update does and a session ticket doesn't. *secrets*: the traffic secrets
    of the handshake, by their names in a key log, where a signer has a part in it.
    """

    __slots__ = (
        "alert_received",
        "alert_sent",
        "credentials",
        "key",
        "objection",
        "secrets",
        "steps_left",
        "unsettled",
        "updated",
    )

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.key: bytes | None = None
        self.objection: str | None = None
        self.alert_received: int | None = None
        self.alert_sent: int | None = None
        self.secrets: dict[str, bytes] = {}
        self.steps_left = math.inf
        self.unsettled = False
        self.updated = False

    def forget_steps(self, allowed: int) -> None:
        """Bound the steps from now on; all is settled."""
        self.steps_left = allowed
        self.unsettled = self.updated = False

    def judge(self, certificate: crypto.X509 | None, count: int) -> None:
        """Judge a peer that sent *count* certificates, *certificate* being its own."""
        peer = self.credentials.peer
        self.key = None
        if certificate is None:
            self.objection = no_certificate(peer)
            return
        if count != 1:
            self.objection = f"the {peer} sent {count} certificates: exactly one is required"
            return
        try:
            # The key as OpenSSL read it, which is the one that it verifies the signature with:
            # a second parser might find another one in the same certificate.
            key = certificate.get_pubkey().to_cryptography_key()
        except (crypto.Error, ValueError, UnsupportedAlgorithm):
            self.objection = f"the {peer} must have an Ed25519 key, it has none that can be read"
            return
        if not isinstance(key, Ed25519PublicKey):
            self.objection = f"the {peer} must have an Ed25519 key, it has: {kind_of(key)}"
            return
        self.key = key.public_bytes_raw()
        self._look_up(self.key)

    def judge_again(self, connection: SSL.Connection) -> None:
        """Judge the peer at the end of the handshake on *connection*, by what is known then.

        What the verify callback couldn't see, or wasn't asked: a server's OpenSSL shows a chain
        of several certificates only now, the list of keys may have changed since, and should a
        session be resumed, against all settings, then nobody has judged its key yet.
        """
        count = certificate_count(connection, self.credentials.role)
        if self.key is None or count != 1:
            self.judge(connection.get_peer_certificate(), count)
        else:
            self._look_up(self.key)

    def _look_up(self, key: bytes) -> None:
        peer = self.credentials.peer
        self.objection = None
        if not self.credentials.allowed(key):
            self.objection = (
                f"the {peer}'s public key {key.hex()} is not on the list of allowed {peer} keys"
            )


def no_certificate(peer: Role) -> str:
    """What is objected to a *peer* that shows no certificate at all."""
    return f"the {peer} sent no certificate: an Ed25519 key is required"


def certificate_count(connection: SSL.Connection, role: Role) -> int:
    """How many certificates the peer sent, as far as OpenSSL has stored them.

    A server's OpenSSL leaves the first one out of the chain and stores the chain only after
    the verify callbacks; a client's does neither.
    """
    chain = connection.get_peer_cert_chain() or []
    return len(chain) + (role == "server")


def context_for(credentials: Credentials) -> SSL.Context:
    """The context for connections with *credentials*, made at the first call."""
    context = _contexts.get(credentials)
    if context is None:
        context = _contexts[credentials] = _new_context(credentials)
    return context


def _new_context(credentials: Credentials) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    # A resumed session skips the verify callback, and with it the list of allowed keys.
    context.set_options(SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # The record buffers of a connection go back to the allocator whenever they are empty:
    # they are most of what an idle one holds.
    # What couldn't be sent may be offered again from another place in memory.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS | _MODE_ACCEPT_MOVING_WRITE_BUFFER)
    context.use_certificate(credentials.certificate)
    context.use_privatekey(credentials.private_key)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
    context.set_info_callback(_observe)
    if credentials.signer is not None:
        context.set_keylog_callback(_keep_secret)
    if credentials.role == "server":
        context.set_alpn_select_callback(_select_protocol)
    return context


def _verify(
    connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
) -> bool:
    """Called for each fault that OpenSSL finds in the chain, and for each link of it in the end.

    The faults (self-signed, out of date) don't matter here, only the key does.
    """
    exchange: Exchange = connection.get_app_data()
    if depth or exchange.key is None:
        count = certificate_count(connection, exchange.credentials.role)
        # A depth of 1: there was a second certificate that a chain could be built with.
        exchange.judge(certificate, max(count, depth + 1))
    return exchange.objection is None


def _observe(connection: SSL.Connection, where: int, value: int) -> None:
    """Called at every step of a handshake, and of the messages of TLS itself that follow it."""
    exchange: Exchange = connection.get_app_data()
    if not where & SSL.SSL_CB_ALERT:
        exchange.steps_left -= 1
        if exchange.steps_left <= 0:
            connection.set_shutdown(SSL.RECEIVED_SHUTDOWN)
        elif exchange.steps_left < math.inf:
            exchange.updated = exchange.updated or b"key update" in connection.get_state_string()
            # OpenSSL leaves its state machine with 1 behind a whole message only.
            whole = bool(where & SSL.SSL_CB_EXIT) and value == 1
            exchange.unsettled = exchange.updated or not whole
        return
    # The text of an OpenSSL error depends on its version, the number of an alert doesn't.
    number = value & 0xFF
    if number not in (Alert.CLOSE_NOTIFY, Alert.USER_CANCELED):
        if where & SSL.SSL_CB_READ:
            exchange.alert_received = number
        else:
            exchange.alert_sent = number


def _keep_secret(connection: SSL.Connection, line: bytes) -> None:
    """Called with each line of what would be a key log; none is ever written."""
    name, _, secret = line.decode("ascii").split()
    if name.endswith(_HANDSHAKE_SECRET):
        exchange: Exchange = connection.get_app_data()
        exchange.secrets[name] = bytes.fromhex(secret)


def _select_protocol(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    if _HTTP_1_1 in offered:
        return _HTTP_1_1
    # Raised in here it makes OpenSSL send alert 120, as the Go server does, and comes out of
    # do_handshake().
    names = ", ".join(repr(name) for name in offered)
    raise HandshakeError(f"the client offers only application protocols unknown to us: {names}")
