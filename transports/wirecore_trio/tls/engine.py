"""TLS 1.3 with pinned keys over pyOpenSSL's memory BIOs: bytes in, bytes out, no I/O."""

from __future__ import annotations

from typing import ClassVar, Final

from OpenSSL import SSL

from wirecore.errors import HandshakeError, InvalidState, ProtocolError
from wirecore.events import Buffer

from .credentials import Credentials
from .endpoint import Endpoint
from .records import MAX_PLAINTEXT, RecordCounter

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
        "_end",
        "_ended",
        "_eof",
        "_records",
        "_sealed",
        "_unanswered",
        "truncated",
        "unsent",
    )

    #: Whether it can have a signer sign in place of a private key.
    _has_signer: ClassVar[bool] = False

    def __init__(self, credentials: Credentials) -> None:
        if credentials.signer is not None and not self._has_signer:
            raise TypeError("credentials with a signer need a SignerEngine: see engine_for")
        self.truncated = False
        self._end = Endpoint(credentials)
        self._connection = self._end.connection
        self._counter = RecordCounter()
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

    # --- ciphertext -----------------------------------------------------------------------

    @property
    def starving(self) -> bool:
        return not (
            self._records
            or self._eof
            or self._backlog
            or self._ended
            or self._end.failure is not None
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
        end = self._end
        end.check()
        while end.peer_key is None:
            self.unsent = True
            try:
                end.handshake()
            except SSL.WantReadError:
                if not self._feed_more():
                    return False
            except SSL.Error as error:
                end.fail(error, HandshakeError, self._hint())
                end.check()
            else:
                if end.credentials.role == "server":
                    # All that is left to send now are session tickets, which OpenSSL makes
                    # although they are good for nothing. They leave with the first data: sent
                    # alone, they would block a server whose client isn't reading yet.
                    self.unsent = False
        return True

    def _hint(self) -> str:
        """What is known of a failure that OpenSSL can't explain."""
        peer = self._end.credentials.peer
        if self._counter.broken:
            return f"what the {peer} sent is not TLS"
        return f"the {peer} has ended the stream" if self._eof else ""

    @property
    def peer_public_key(self) -> bytes:
        if self._end.peer_key is None:
            raise InvalidState("the peer's key isn't known before the handshake is complete")
        return self._end.peer_key

    # --- plaintext ------------------------------------------------------------------------

    def read_into(self, buffer: memoryview) -> int | None:
        self._end.check_ready()
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
                    peer = self._end.credentials.peer
                    self._end.failure = (ProtocolError, f"the {peer} asks for new keys for ever")
                    break
            except (SSL.ZeroReturnError, SSL.SysCallError):
                # Which of the two comes for a close_notify isn't certain: after a user_canceled
                # alert it is the wrong one.
                self._ended = True
                self.truncated = not self._connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN
            except SSL.Error as error:
                self._end.fail(error, ProtocolError, self._hint())
                self.unsent = True
                break
            else:
                filled += size
                if size < wanted or not self._connection.pending():
                    self._records -= 1
        if not filled:
            self._end.check()
        return filled

    def write(self, data: Buffer) -> int:
        self._end.check_ready()
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
                self._end.fail(error, ProtocolError, self._hint())
                self._end.check()
            else:
                if taken < size:
                    self._drain()
                    part = memoryview(data)[taken : min(taken + MAX_PLAINTEXT, size)]
        return taken

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._end.peer_key is not None and self._end.failure is None:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        self.unsent = True
        self._end.say_goodbye()
