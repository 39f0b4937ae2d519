"""One end of a pinned connection: OpenSSL's part, whose key the peer holds, and why it failed."""

from __future__ import annotations

import logging
import socket
from typing import Final, TypeAlias

from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

from wirecore.errors import HandshakeError, InvalidState, PeerRefused, ProtocolError

from .alerts import REFUSALS, Alert, alert_text
from .context import Exchange, context_for, no_certificate
from .credentials import Credentials

logger = logging.getLogger("wirecore.tls")

#: What a failure is, if nothing says more: depends on when it came.
Kind: TypeAlias = type[HandshakeError] | type[ProtocolError]

# What OpenSSL says of bytes that are no TLS record at all.
_NO_RECORD: Final = frozenset(
    {
        "bad record type",
        "data length too long",
        "encrypted length too long",
        "http request",
        "https proxy request",
        "packet length too long",
        "wrong version number",
    }
)


class Endpoint:
    """What the engine and the link over a socket share.

    *connection* reads and writes *sock*, or memory where it is None. *peer_key*: the peer's key,
    32 raw bytes, once the handshake is complete and the key is one of those that *credentials*
    list.
    """

    __slots__ = ("connection", "credentials", "exchange", "failure", "peer_key")

    def __init__(self, credentials: Credentials, sock: socket.socket | None = None) -> None:
        self.credentials = credentials
        self.exchange = Exchange(credentials)
        self.connection = SSL.Connection(context_for(credentials), sock)
        self.connection.set_app_data(self.exchange)
        if credentials.role == "client":
            self.connection.set_connect_state()
        else:
            self.connection.set_accept_state()
        self.peer_key: bytes | None = None
        self.failure: tuple[Kind, str] | None = None

    def handshake(self) -> None:
        """Go on with the handshake; it is complete when *peer_key* is set.

        Raises OpenSSL's errors, which are the caller's to understand: it may want to read or to
        write first. Raises HandshakeError, and PeerRefused for a key that isn't listed.
        """
        try:
            self.connection.do_handshake()
        except HandshakeError as error:  # from our own ALPN callback
            self.failure = (HandshakeError, str(error))
        else:
            exchange = self.exchange
            exchange.judge_again(self.connection)
            if exchange.objection is None:
                self.peer_key = exchange.key
            else:
                # The handshake is over, and OpenSSL has no way to send an alert of one's own
                # choice: a close_notify is what is left to say.
                self.say_goodbye()
                self.failure = (PeerRefused, exchange.objection)
        self.check()

    def say_goodbye(self) -> None:
        """Make a close_notify."""
        try:
            self.connection.shutdown()
        except SSL.Error as error:
            # The connection broke, or has no room; or half a message of TLS itself has come in,
            # before the rest of which OpenSSL sends nothing.
            forget_errors()
            logger.debug("no TLS close_notify for the %s: %r", self.credentials.peer, error)

    def check(self) -> None:
        """Raise the failure that there was."""
        if self.failure is not None:
            kind, text = self.failure
            raise kind(text)

    def check_ready(self) -> None:
        """Raise the failure that there was, or InvalidState before the handshake is complete."""
        if self.failure is not None:
            self.check()
        if self.peer_key is None:
            raise InvalidState("the TLS handshake isn't complete")

    def fail(self, error: SSL.Error, kind: Kind, hint: str = "") -> None:
        """Remember *error* as the failure: as *kind*, unless one side refused the other's key.

        *hint*: what the caller knows of its reason, where OpenSSL and the peer say nothing.
        """
        self.failure = self._explain(error, kind, hint)

    def _explain(self, error: SSL.Error, kind: Kind, hint: str) -> tuple[Kind, str]:
        exchange = self.exchange
        credentials = self.credentials
        peer = credentials.peer
        if exchange.alert_received is not None:
            alert = alert_text(exchange.alert_received)
            if exchange.alert_received in REFUSALS:
                return PeerRefused, (
                    f"the {peer} refused this {credentials.role}'s public key "
                    f"{credentials.public_key.hex()}: {alert}; have it added to the {peer}'s "
                    f"list of {credentials.role} keys"
                )
            if exchange.alert_received == Alert.PROTOCOL_VERSION:
                return kind, f"the {peer} does not accept TLS 1.3: {alert}"
            return kind, f"the {peer} gave the TLS connection up: {alert}"
        if exchange.objection is not None:
            return PeerRefused, exchange.objection
        if isinstance(error, SSL.SysCallError | SSL.ZeroReturnError):
            return kind, f"the {peer} ended the stream in the middle of a TLS message"
        if exchange.alert_sent == Alert.CERTIFICATE_REQUIRED:
            return PeerRefused, no_certificate(peer)
        if exchange.alert_sent == Alert.PROTOCOL_VERSION and not _is_no_record(error):
            return kind, f"the {peer} does not offer TLS 1.3"
        if _is_no_record(error):
            return kind, f"what the {peer} sent is not TLS"
        return kind, hint or f"the {peer} broke the rules of TLS: {_reason(error)}"


def forget_errors() -> None:
    """Empty OpenSSL's queue of errors, which all connections of a thread share.

    pyOpenSSL leaves the system's errors in it, and OpenSSL before 4.0 takes what lies in there
    for the next connection's own.
    """
    Binding.lib.ERR_clear_error()


def read_on_by_itself(connection: SSL.Connection, wanted: bool) -> None:
    """Whether *connection* goes on to the next record behind a message of TLS itself.

    It does unless told otherwise; else it raises WantReadError there.
    """
    lib = Binding.lib
    change = lib.SSL_set_mode if wanted else lib.SSL_clear_mode
    # pyOpenSSL has it for contexts alone, and only in newer releases.
    change(connection._ssl, lib.SSL_MODE_AUTO_RETRY)


def _is_no_record(error: SSL.Error) -> bool:
    entries = error.args[0] if error.args else []
    return any(entry[-1] in _NO_RECORD for entry in entries)


def _reason(error: SSL.Error) -> str:
    """What OpenSSL says of *error*, a list of (library, function, reason)."""
    entries = error.args[0] if error.args else []
    return "; ".join(str(entry[-1]) for entry in entries) or "no reason given"
