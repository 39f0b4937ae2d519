"""The client's side of the opening handshake, on h11: RFC 6455 section 4.1."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Sequence
from typing import Final, NoReturn

import h11

from wirecore import __version__
from wirecore.errors import HandshakeError, InvalidOption, InvalidState, UpgradeRejected
from wirecore.events import Buffer
from wirecore.websocket.deflate import DeflateOffer, check_names
from wirecore.websocket.extensions import parse_extensions
from wirecore.websocket.handshake import (
    DEFAULT_MAX_HEAD_SIZE,
    HANDSHAKE_FIELDS,
    MAX_QUOTE,
    VERSION,
    Accepted,
    accept_token,
)
from wirecore.websocket.http import (
    Fields,
    UserFields,
    check_fields,
    encode_value,
    find_field,
    has_token,
    is_token,
)

DEFAULT_USER_AGENT: Final = f"wirecore/{__version__}"

#: So much of a refusal's body is kept, in bytes.
MAX_REJECTION_BODY: Final = 4096

_HOST = re.compile(rb"[^\x00-\x20\x7f-\xff/?#@]+")
_TARGET = re.compile(r"/[\x21\x22\x24-\x7e]*")  # no "#": RFC 6455 section 3


class ClientHandshake:
    """Makes the upgrade request, and judges what the server answers.

    *host*: the Host field, with the port unless it is the scheme's own; IPv6 addresses in
    brackets. *target*: path and query. *headers*: more fields. *subprotocols*: in order of
    preference. *compression*: what to offer, None for nothing. *user_agent*: None sends none,
    and a User-Agent among *headers* takes its place. *max_head_size*: bound on the response's
    head and the interim responses before it, in bytes.

    Raises :class:`~wirecore.errors.InvalidOption` for anything that can't stand in a request.
    """

    def __init__(
        self,
        *,
        host: str,
        target: str = "/",
        headers: UserFields = (),
        subprotocols: Sequence[str] = (),
        compression: DeflateOffer | None = None,
        user_agent: str | None = DEFAULT_USER_AGENT,
        max_head_size: int = DEFAULT_MAX_HEAD_SIZE,
    ) -> None:
        if not _TARGET.fullmatch(target):
            raise InvalidOption(
                f"the target {target!r} must begin with a slash and be percent-encoded ASCII, "
                "without a fragment"
            )
        if len(set(subprotocols)) < len(subprotocols) or not all(map(is_token, subprotocols)):
            raise InvalidOption(f"subprotocols must be tokens, each once: {list(subprotocols)}")
        more = check_fields(headers, HANDSHAKE_FIELDS | {b"host"})
        if user_agent is not None and all(name.lower() != b"user-agent" for name, _ in more):
            more.append((b"User-Agent", encode_value("the user agent", user_agent)))
        self._target = target
        self._host = _encode_host(host)
        self._headers = more
        self._subprotocols = tuple(subprotocols)
        self._compression = compression
        self._max_head_size = max_head_size
        self._key = base64.b64encode(os.urandom(16))
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=max_head_size)
        self._received = 0
        self._refusal: h11.Response | None = None
        self._body = b""
        self._over = False

    def request(self) -> bytes:
        """The request as bytes. Raises :class:`~wirecore.errors.InvalidState` the second time."""
        if self._http.our_state is not h11.IDLE:
            raise InvalidState("the request was made already")
        fields: Fields = [
            (b"Host", self._host),
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Key", self._key),
            (b"Sec-WebSocket-Version", VERSION),
        ]
        if self._subprotocols:
            fields.append((b"Sec-WebSocket-Protocol", ", ".join(self._subprotocols).encode()))
        if self._compression is not None:
            offer = str(self._compression.request()).encode()
            fields.append((b"Sec-WebSocket-Extensions", offer))
        head = self._http.send(
            h11.Request(method="GET", target=self._target, headers=fields + self._headers)
        )
        return head + self._http.send(h11.EndOfMessage())

    def receive(self, data: Buffer) -> Accepted | None:
        """Bytes came: what was agreed on once the server has accepted, None before.

        Raises :class:`~wirecore.errors.UpgradeRejected` for an ordinary response, once its body
        is there or 4 KiB of it, :class:`~wirecore.errors.HandshakeError` for one that breaks the
        rules, and :class:`~wirecore.errors.InvalidState` before the request or after the
        outcome.
        """
        if self._over or self._http.our_state is h11.IDLE:
            raise InvalidState("no response is awaited now")
        if not data:
            return None
        self._received += len(data)
        try:
            self._http.receive_data(bytes(data))
            return self._next()
        except h11.RemoteProtocolError as error:
            self._over = True
            if self._refusal is not None:
                # The head said it all; a body cut off or badly framed changes nothing.
                raise self._rejected(self._refusal) from None
            raise HandshakeError(
                f"the server's answer isn't HTTP/1.1: {str(error)[:MAX_QUOTE]}"
            ) from None
        except HandshakeError:
            self._over = True
            raise

    def receive_eof(self) -> NoReturn:
        """The stream ended, or the caller's patience with the server did.

        Raises :class:`~wirecore.errors.UpgradeRejected` where at least the head of a refusal
        came, and :class:`~wirecore.errors.HandshakeError` otherwise.
        """
        self._over = True
        if self._refusal is not None:
            raise self._rejected(self._refusal)
        raise HandshakeError(
            f"the server sent {self._received} bytes and no whole response to the upgrade request"
        )

    @property
    def leftover(self) -> bytes:
        """What came behind the head: the first bytes for the connection."""
        return self._http.trailing_data[0]

    def _next(self) -> Accepted | None:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.InformationalResponse | h11.Response):
                if self._received - len(self.leftover) > self._max_head_size:
                    raise HandshakeError(
                        f"the head of the server's response is longer than {self._max_head_size} "
                        "bytes"
                    )
                if event.status_code == 101:
                    accepted = self._judge(event)
                    self._over = True
                    return accepted
                # Interim responses, such as 103, come before the one that counts.
                if isinstance(event, h11.Response):
                    self._refusal = event
            elif isinstance(event, h11.Data):
                self._body += event.data[: MAX_REJECTION_BODY - len(self._body)]
            elif not isinstance(event, h11.EndOfMessage):
                return None
            if self._refusal is not None and (
                isinstance(event, h11.EndOfMessage) or len(self._body) == MAX_REJECTION_BODY
            ):
                raise self._rejected(self._refusal)

    def _judge(self, response: h11.InformationalResponse | h11.Response) -> Accepted:
        """The rules for a 101 response: section 4.1, after "Once the client's opening ..."."""
        headers: Fields = [(bytes(name), bytes(value)) for name, value in response.headers]
        if response.http_version < b"1.1":
            raise HandshakeError("the server's 101 response isn't HTTP/1.1")
        if (find_field(headers, b"upgrade") or b"").lower() != b"websocket":
            raise HandshakeError("the server's 101 response doesn't have 'Upgrade: websocket'")
        if not has_token(find_field(headers, b"connection"), "upgrade"):
            raise HandshakeError("the server's 101 response doesn't have 'Connection: Upgrade'")
        token = find_field(headers, b"sec-websocket-accept")
        if token is None:
            raise HandshakeError("the server's 101 response has no Sec-WebSocket-Accept")
        if token != accept_token(self._key):
            raise HandshakeError("the server's Sec-WebSocket-Accept doesn't fit our key")
        chosen = find_field(headers, b"sec-websocket-protocol")
        subprotocol = None if chosen is None else chosen.decode("latin-1")
        if subprotocol is not None and subprotocol not in self._subprotocols:
            raise HandshakeError(f"the server chose a subprotocol nobody asked for: {chosen!r}")
        try:
            answers = parse_extensions(find_field(headers, b"sec-websocket-extensions") or b"")
        except ValueError as error:
            raise HandshakeError(f"the server's Sec-WebSocket-Extensions: {error}") from None
        if self._compression is None:
            check_names(answers)
            return Accepted(subprotocol, headers, None)
        return Accepted(subprotocol, headers, self._compression.confirm(answers))

    def _rejected(self, response: h11.Response) -> UpgradeRejected:
        headers = [(bytes(name), bytes(value)) for name, value in response.headers]
        return UpgradeRejected(response.status_code, headers, self._body)


def _encode_host(host: str) -> bytes:
    try:
        encoded = host.encode("ascii" if host.isascii() else "idna")
    except UnicodeError as error:
        raise InvalidOption(f"the host {host!r} isn't a host name: {error}") from None
    if not _HOST.fullmatch(encoded):
        raise InvalidOption(f"the host {host!r} isn't a host name, with or without a port")
    return encoded
