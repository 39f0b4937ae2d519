"""The standard library's TLS as an engine: what ``wss`` runs on."""

from __future__ import annotations

import ssl

from wirecore import errors
from wirecore.events import Buffer


class StdlibEngine:
    """One side of a TLS connection on ``ssl.MemoryBIO``; see ``tls.contract.Engine``.

    *context* decides everything about trust; *server_hostname* is the name to verify on the
    client's side.
    """

    __slots__ = ("_incoming", "_object", "_outgoing", "truncated")

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None
    ) -> None:
        self.truncated = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
        )

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """For what the standard library tells about the connection (certificate, cipher)."""
        return self._object

    def receive(self, data: Buffer) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def outgoing(self) -> bytes:
        return self._outgoing.read()

    def handshake(self) -> bool:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise errors.HandshakeError(f"the TLS handshake failed: {error}") from error
        return True

    def read_into(self, buffer: memoryview) -> int | None:
        try:
            return self._object.read(len(buffer), buffer)  # type: ignore[return-value]
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return 0
        except ssl.SSLEOFError:
            self.truncated = True
            return 0
        except ssl.SSLError as error:
            raise errors.ProtocolError(f"TLS: {error}") from error

    def write(self, data: Buffer) -> int:
        if not data:
            return 0
        return self._object.write(data)

    def close(self) -> None:
        try:
            self._object.unwrap()
        except ssl.SSLError:
            pass  # half of it is enough: the alert is made, the answer isn't waited for
