"""What a TLS engine is: pinned TLS with the bytes passed in and out by hand."""

from __future__ import annotations

from typing import Protocol

from wirecore.events import Buffer


class Engine(Protocol):
    """One end of one TLS connection, without I/O.

    Its user moves ciphertext: what the peer sent into `receive`, what `outgoing` gives to the
    peer. Every method may leave something in `outgoing`, above all when it raises: the alert
    that tells the peer why. An engine that has raised one of wirecore's RemoteErrors has
    failed, and raises it again whatever is asked of it.
    """

    truncated: bool
    """Whether the peer's stream ended without the close_notify that says it is complete."""

    unsent: bool
    """Whether `outgoing` may have something. A mere hint before the handshake is complete."""

    @property
    def starving(self) -> bool:
        """Whether `read_into` is sure to answer None before more ciphertext is received."""

    def receive(self, data: Buffer) -> None:
        """Take ciphertext from the peer; empty at the end of its stream. *data* is copied."""

    def outgoing(self) -> bytes:
        """Ciphertext for the peer, empty when there is none. It is handed out once."""

    def handshake(self) -> bool:
        """Go on with the handshake; True when it is complete, False when it needs more input.

        On a client True says nothing of the server's verdict on its key: in TLS 1.3 that comes
        with the first read.

        Raises PeerRefused when one side doesn't accept the other's certificate or key, and
        HandshakeError when the handshake failed for another reason. The text says which.
        """

    def read_into(self, buffer: memoryview) -> int | None:
        """Write plaintext into *buffer*, all that has come and fits; and say how many bytes.

        0 at the end of the peer's stream (see `truncated`), None when more ciphertext is
        needed first. *buffer* isn't empty.

        Raises PeerRefused when the peer turns out to refuse our key, and ProtocolError when it
        broke TLS or gave up with another alert; InvalidState before the handshake is complete.
        """

    def write(self, data: Buffer) -> int:
        """Encrypt the beginning of *data* for the peer, and say how many bytes, 64 KiB at most.

        *data* is a buffer of single bytes. The answer is 0 for data that isn't empty only while
        half a message of the TLS protocol itself has come in: then ciphertext must be received
        first.

        Raises InvalidState before the handshake is complete and after `close`.
        """

    def close(self) -> None:
        """Tell the peer that nothing more comes (close_notify); reading stays possible.

        Idempotent. There is nothing to tell before the handshake is complete, and after a
        failure.
        """

    @property
    def peer_public_key(self) -> bytes:
        """The peer's key, 32 raw bytes. Raises InvalidState before the handshake is complete."""
