"""TLS 1.3 with pinned keys over pyOpenSSL's memory BIOs: bytes in, bytes out, no I/O."""

from __future__ import annotations

import logging
from typing import Final, TypeAlias

from OpenSSL import SSL

from wirecore.errors import HandshakeError, InvalidState, PeerRefused, ProtocolError
from wirecore.events import Buffer

from .alerts import REFUSALS, Alert, alert_text
from .context import Exchange, context_for, no_certificate
from .credentials import Credentials
from .records import MAX_PLAINTEXT, RecordCounter

logger = logging.getLogger("wirecore.tls")

_Kind: TypeAlias = type[HandshakeError] | type[ProtocolError]

#: Most bytes that one `write` takes.
MAX_WRITE: Final = 64 * 1024

# A memory BIO keeps the size it once had, for the life of the connection. So it is fed no more
# than this at a time, and emptied after each record: a burst leaves no lasting mark.
_PORTION: Final = MAX_PLAINTEXT

# Records without data that may come between two looks at what is to be sent: a few are tickets,
# but key updates without end would pile up answers.
_MAX_UNANSWERED: Final = 1024

# More than any one record, so that what was short of it was all there was.
_READ_SIZE: Final = MAX_PLAINTEXT + 1024


class PinnedEngine:
    """One end of a TLS connection whose peer must hold a key that the credentials list.

    The side follows from the type of *credentials*. The contract of every method is that of
    `Engine`. Both sides speak TLS 1.3 only, never resume a session, and require exactly one
    certificate of the other. A client offers no application protocol (ALPN) and no server name;
    a server takes ``http/1.1`` when it is offered and refuses clients that offer only others.
    """

    __slots__ = (
        "_backlog",
        "_closed",
        "_connection",
        "_counter",
        "_ended",
        "_eof",
        "_exchange",
        "_failure",
        "_peer",
        "_peer_public_key",
        "_records",
        "_sealed",
        "_unanswered",
        "truncated",
        "unsent",
    )

    def __init__(self, credentials: Credentials) -> None:
        self.truncated = False
        self._peer = credentials.peer
        self._exchange = Exchange(credentials)
        self._connection = SSL.Connection(context_for(credentials), None)
        self._connection.set_app_data(self._exchange)
        if credentials.role == "client":
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()
        self._counter = RecordCounter()
        self._peer_public_key: bytes | None = None
        # At least as many as there are whole records in OpenSSL's hands, never fewer.
        self._records = 0
        # Ciphertext that came and wasn't passed on to OpenSSL yet.
        self._backlog: list[memoryview] = []
        # Ciphertext that left OpenSSL and wasn't handed out yet; more is in its BIO, perhaps,
        # where *unsent* is set.
        self._sealed: list[bytes] = []
        self.unsent = False
        # Records since then that may have made OpenSSL write an answer.
        self._unanswered = 0
        self._eof = False
        self._ended = False
        self._closed = False
        self._failure: tuple[_Kind, str] | None = None

    # --- ciphertext -----------------------------------------------------------------------

    @property
    def starving(self) -> bool:
        return not (
            self._records or self._eof or self._backlog or self._ended or self._failure is not None
        )

    def receive(self, data: Buffer) -> None:
        if not data:
            self._eof = True
        elif len(data) <= _PORTION and not self._backlog:
            self._feed(data)
        else:
            kept = memoryview(bytes(data))
            for start in range(0, len(kept), _PORTION):
                self._backlog.append(kept[start : start + _PORTION])

    def outgoing(self) -> bytes:
        if self.unsent:
            self.unsent = False
            self._unanswered = 0
            self._drain()
        if len(self._sealed) == 1:
            return self._sealed.pop()
        joined = b"".join(self._sealed)
        self._sealed.clear()
        return joined

    def _feed(self, data: Buffer) -> None:
        self._connection.bio_write(data)
        self._records += self._counter.feed(data)

    def _feed_more(self) -> bool:
        """Pass on what was kept back, at last the end; False when there is nothing."""
        if self._backlog:
            self._feed(self._backlog.pop(0))
            return True
        if self._eof:
            self._connection.bio_shutdown()
        return self._eof

    def _drain(self) -> None:
        try:
            while True:
                chunk = self._connection.bio_read(_READ_SIZE)
                self._sealed.append(chunk)
                if len(chunk) < _READ_SIZE:
                    return
        except SSL.WantReadError:  # how an empty BIO answers
            return

    # --- handshake ------------------------------------------------------------------------

    def handshake(self) -> bool:
        self._check_failure()
        while self._peer_public_key is None:
            self.unsent = True
            try:
                self._connection.do_handshake()
            except SSL.WantReadError:
                if not self._feed_more():
                    return False
            except HandshakeError as error:  # from our own ALPN callback
                self._failure = (HandshakeError, str(error))
            except SSL.Error as error:
                self._failure = self._explain(error, HandshakeError)
            else:
                self._judge_again()
            self._check_failure()
        return True

    def _judge_again(self) -> None:
        exchange = self._exchange
        exchange.judge_again(self._connection)
        if exchange.objection is None:
            self._peer_public_key = exchange.key
            if exchange.credentials.role == "server":
                # All that is left to send now are session tickets, which OpenSSL makes although
                # they are good for nothing. They leave with the first data: sent alone, they
                # would block a server whose client isn't reading yet.
                self.unsent = False
        else:
            # The handshake is over, and OpenSSL has no way to send an alert of one's own
            # choice: a close_notify is what is left to say.
            self._say_goodbye()
            self._failure = (PeerRefused, exchange.objection)

    @property
    def peer_public_key(self) -> bytes:
        if self._peer_public_key is None:
            raise InvalidState("the peer's key isn't known before the handshake is complete")
        return self._peer_public_key

    # --- plaintext ------------------------------------------------------------------------

    def read_into(self, buffer: memoryview) -> int | None:
        self._check_ready()
        filled = 0
        room = len(buffer)
        while filled < room and not self._ended:
            if not self._records and not self._feed_more():
                return filled or None
            wanted = min(room - filled, MAX_PLAINTEXT)
            try:
                size = self._connection.recv_into(buffer[filled:], wanted)
            except SSL.WantReadError:
                # The records held no data: session tickets, or key updates. OpenSSL answers
                # these; the answers may wait for what is sent next (RFC 8446 section 4.6.3).
                self.unsent = True
                self._unanswered += self._records
                self._records = 0
                if self._unanswered > _MAX_UNANSWERED:
                    self._say_goodbye()
                    self._failure = (ProtocolError, f"the {self._peer} asks for new keys for ever")
                    break
            except (SSL.ZeroReturnError, SSL.SysCallError):
                # Which of the two comes for a close_notify isn't certain: after a user_canceled
                # alert it is the wrong one.
                self._ended = True
                self.truncated = not self._connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN
            except SSL.Error as error:
                self._failure = self._explain(error, ProtocolError)
                self.unsent = True
                break
            else:
                filled += size
                if size < wanted or not self._connection.pending():
                    self._records -= 1
        if not filled:
            self._check_failure()
        return filled

    def write(self, data: Buffer) -> int:
        self._check_ready()
        if self._closed:
            raise InvalidState("nothing can be sent after close()")
        self.unsent = True
        size = min(len(data), MAX_WRITE)
        taken = 0
        part = data if size <= MAX_PLAINTEXT else memoryview(data)[:MAX_PLAINTEXT]
        while taken < size:
            try:
                taken += self._connection.send(part)
            except SSL.WantReadError:  # see the contract: half a message of TLS itself
                if not self._feed_more():
                    break
            except SSL.Error as error:
                self._failure = self._explain(error, ProtocolError)
                self._check_failure()
            else:
                if taken < size:
                    self._drain()
                    part = memoryview(data)[taken : min(taken + MAX_PLAINTEXT, size)]
        return taken

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._peer_public_key is not None and self._failure is None:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        self.unsent = True
        try:
            self._connection.shutdown()
        except SSL.Error:
            # Half a message of TLS itself has come in: OpenSSL sends nothing before the rest.
            logger.debug("no TLS close_notify: the %s stopped in the middle of one", self._peer)

    # --- failure --------------------------------------------------------------------------

    def _check_ready(self) -> None:
        if self._failure is not None:
            self._check_failure()
        if self._peer_public_key is None:
            raise InvalidState("the TLS handshake isn't complete")

    def _check_failure(self) -> None:
        if self._failure is not None:
            kind, text = self._failure
            raise kind(text)

    def _explain(self, error: SSL.Error, kind: _Kind) -> tuple[_Kind, str]:
        """Whose fault *error* is: what to raise for it, *kind* unless a key was refused."""
        exchange = self._exchange
        credentials = exchange.credentials
        peer = self._peer
        if exchange.alert_received is not None:
            alert = alert_text(exchange.alert_received)
            if exchange.alert_received in REFUSALS:
                return PeerRefused, (
                    f"the {peer} refused this {credentials.role}'s public key "
                    f"{credentials.public_key.hex()}: {alert}"
                )
            if exchange.alert_received == Alert.PROTOCOL_VERSION:
                return kind, f"the {peer} does not accept TLS 1.3: {alert}"
            return kind, f"the {peer} gave the TLS connection up: {alert}"
        if exchange.objection is not None:
            return PeerRefused, exchange.objection
        if isinstance(error, SSL.SysCallError):
            return kind, f"the {peer} ended the stream in the middle of a TLS message"
        if exchange.alert_sent == Alert.CERTIFICATE_REQUIRED:
            return PeerRefused, no_certificate(peer)
        if exchange.alert_sent == Alert.PROTOCOL_VERSION:
            return kind, f"the {peer} does not offer TLS 1.3"
        if self._counter.broken:
            return kind, f"what the {peer} sent is not TLS"
        if self._eof:
            return kind, f"the {peer} has ended the stream"
        return kind, f"the {peer} broke the rules of TLS: {_reason(error)}"


def _reason(error: SSL.Error) -> str:
    """What OpenSSL says of *error*, a list of (library, function, reason)."""
    entries = error.args[0] if error.args else []
    return "; ".join(str(entry[-1]) for entry in entries) or "no reason given"
