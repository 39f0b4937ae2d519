"""The standard library's TLS as an engine: what ``wss`` runs on."""

from __future__ import annotations

import ssl
from typing import Final

from wirecore import errors
from wirecore.events import Buffer

#: How OpenSSL calls the alerts by which a peer says that it doesn't take our certificate.
_REFUSALS: Final = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)


#: What can be done about the server's certificate, by X509_V_ERR_... of x509_vfy.h: a chain that
#: ends in nobody we trust, and a name that isn't the one of the URL.
_REMEDIES: Final = {
    **dict.fromkeys((2, 18, 19, 20, 21), "trust its CA with ssl_context="),
    **dict.fromkeys((62, 64), "name who it is for with server_hostname="),
}

#: What it finds in place of TLS, in the words of its versions.
_HTTP: Final = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST"})
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"})


class StdlibEngine:
    """One side of a TLS connection on ``ssl.MemoryBIO``; see ``_tls_link.Engine``.

    *context* decides everything about trust; *server_hostname* is the name to verify on the
    client's side.
    """

    __slots__ = ("_eof", "_failure", "_incoming", "_object", "_outgoing", "truncated")

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None
    ) -> None:
        self.truncated = False
        self._eof = False
        self._failure: errors.RemoteError | None = None
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

    @property
    def unsent(self) -> bool:
        return self._outgoing.pending > 0

    @property
    def starving(self) -> bool:
        return not (
            self._eof
            or self._incoming.pending
            or self._object.pending()
            or self._failure is not None
        )

    def receive(self, data: Buffer) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._eof = True
            self._incoming.write_eof()

    def outgoing(self) -> bytes:
        return self._outgoing.read()

    def handshake(self) -> bool:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLCertVerificationError as error:
            raise self._unacceptable(error) from error
        except ssl.SSLError as error:
            if error.reason in _REFUSALS:
                raise _refused(error) from error
            text = self._in_clear(error) or f"the TLS handshake failed: {_text(error)}"
            raise errors.HandshakeError(text) from error
        return True

    def _unacceptable(self, error: ssl.SSLCertVerificationError) -> errors.PeerRefused:
        whose, remedy = "client", None
        if not self._object.server_side:
            whose, remedy = "server", _REMEDIES.get(error.verify_code)
        hint = f"; if it is yours, {remedy}" if remedy else ""
        text = f"the {whose}'s certificate isn't acceptable: {error.verify_message}{hint}"
        return errors.PeerRefused(text)

    def _in_clear(self, error: ssl.SSLError) -> str:
        """What to say of a peer that doesn't speak TLS; "" for one that does."""
        if error.reason in _HTTP:
            return "the client spoke plain HTTP: it should use wss://"
        if error.reason not in _NO_TLS:
            return ""
        if self._object.server_side:
            return "what the client sent is not TLS: it should use wss://"
        return "what the server sent is not TLS: is it ws://?"

    def read_into(self, buffer: memoryview) -> int | None:
        self._check_failure()
        filled = 0
        try:
            while filled < len(buffer):
                room = buffer[filled:] if filled else buffer
                size: int = self._object.read(len(room), room)  # type: ignore[assignment]
                filled += size
                if not size or self.starving:  # to be told "not yet" costs more than to look
                    break
        except ssl.SSLWantReadError:
            return filled or None
        except ssl.SSLEOFError:
            self.truncated = True
        except ssl.SSLError as error:
            failure = self._fail(error)
            if not filled:
                raise failure from error
        return filled

    def write(self, data: Buffer) -> int:
        self._check_failure()
        if not data:
            return 0
        try:
            return self._object.write(data)
        except ssl.SSLWantReadError:
            return 0
        except ssl.SSLError as error:
            raise self._fail(error) from error

    def close(self) -> None:
        try:
            self._object.unwrap()
        except ssl.SSLError:
            pass  # half of it is enough: the alert is made, the answer isn't waited for

    def _check_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: ssl.SSLError) -> errors.RemoteError:
        if error.reason in _REFUSALS:
            # TLS 1.3: a client's handshake is over before the server has judged it.
            self._failure = _refused(error)
        else:
            self._failure = errors.ProtocolError(f"TLS: {_text(error)}")
        return self._failure


def _refused(error: ssl.SSLError) -> errors.PeerRefused:
    return errors.PeerRefused(f"the peer refused our certificate: {_text(error)}")


def _text(error: ssl.SSLError) -> str:
    return error.reason.lower().replace("_", " ") if error.reason else str(error.strerror or error)
