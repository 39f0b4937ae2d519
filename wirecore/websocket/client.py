"""The client's side of the opening handshake: RFC 6455 section 4.1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NoReturn

from wirecore import __version__
from wirecore.errors import HandshakeError, InvalidOption, InvalidState
from wirecore.events import Buffer
from wirecore.websocket.deflate import DeflateOffer
from wirecore.websocket.handshake import DEFAULT_MAX_HEAD_SIZE, HANDSHAKE_FIELDS, Accepted
from wirecore.websocket.http import (
    Fields,
    UserFields,
    check_fields,
    encode_value,
    is_token,
)

#: What a client calls itself, unless it is told otherwise.
DEFAULT_USER_AGENT: Final = f"wirecore/{__version__}"

_HOST = re.compile(rb"[^\x00-\x20\x7f-\xff/?#@]+")
#: Fields that no user may give.
_RESERVED: Final = HANDSHAKE_FIELDS | {b"host"}
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
        more = check_request(target, headers, subprotocols)
        if user_agent is not None and all(name.lower() != b"user-agent" for name, _ in more):
            more.append((b"User-Agent", encode_value("the user agent", user_agent)))
        host = _encode_host(host)

        # h11 and wsproto load with the first handshake: whoever needs none waits for neither.
        from wirecore.websocket.response import ResponseReader
        from wirecore.websocket.upgrade import ClientUpgrade

        self._upgrade = ClientUpgrade(
            host=host,
            target=target,
            headers=more,
            subprotocols=subprotocols,
            compression=compression,
        )
        self._response = ResponseReader(max_head_size)
        self._asked = False
        self._over = False

    def request(self) -> bytes:
        """The request as bytes. Raises :class:`~wirecore.errors.InvalidState` the second time."""
        if self._asked:
            raise InvalidState("the request was made already")
        self._asked = True
        return self._upgrade.request()

    def receive(self, data: Buffer) -> Accepted | None:
        """Bytes came: what was agreed on once the server has accepted, None before.

        Raises :class:`~wirecore.errors.UpgradeRejected` for an ordinary response, once its body
        is there or 4 KiB of it, :class:`~wirecore.errors.HandshakeError` for one that breaks the
        rules, and :class:`~wirecore.errors.InvalidState` before the request or after the
        outcome.
        """
        if self._over or not self._asked:
            raise InvalidState("no response is awaited now")
        if not data:
            return None
        try:
            headers = self._response.receive(bytes(data))
            accepted = None if headers is None else self._upgrade.judge(headers)
        except HandshakeError:
            self._over = True
            raise
        self._over = accepted is not None
        return accepted

    def receive_eof(self) -> NoReturn:
        """The stream ended, or the caller's patience with the server did.

        Raises :class:`~wirecore.errors.UpgradeRejected` where at least the head of a refusal
        came, and :class:`~wirecore.errors.HandshakeError` otherwise.
        """
        self._over = True
        self._response.receive_eof()

    @property
    def unanswered(self) -> bool:
        """Whether no byte of a response has come."""
        return self._response.received == 0

    @property
    def leftover(self) -> bytes:
        """What came behind the head: the first bytes for the connection."""
        return self._response.leftover


def check_request(target: str, headers: UserFields, subprotocols: Sequence[str]) -> Fields:
    """What a user asks for with an upgrade request; the fields of *headers* as they are sent.

    Raises :class:`~wirecore.errors.InvalidOption` for anything that can't stand in one, TypeError
    for *headers* that are none.
    """
    if not _TARGET.fullmatch(target):
        raise InvalidOption(
            "path and query must begin with a slash and be percent-encoded ASCII, without a "
            "fragment: see urllib.parse.quote"
        )
    check_subprotocols(subprotocols)
    return check_fields(headers, _RESERVED)


def check_subprotocols(subprotocols: Sequence[str]) -> None:
    """Raise :class:`~wirecore.errors.InvalidOption` for what can't be offered together."""
    if len(set(subprotocols)) < len(subprotocols) or not all(map(is_token, subprotocols)):
        raise InvalidOption(f"subprotocols must be tokens, each once: {list(subprotocols)}")


def _encode_host(host: str) -> str:
    """*host* as it goes out, in ASCII."""
    try:
        encoded = host.encode("idna")
    except UnicodeError as error:
        raise InvalidOption(f"the host {host!r} isn't a host name: {error}") from None
    if not _HOST.fullmatch(encoded):
        raise InvalidOption(f"the host {host!r} isn't a host name, with or without a port")
    return encoded.decode("ascii")
