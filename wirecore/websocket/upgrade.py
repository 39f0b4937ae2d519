"""The WebSocket part of the opening handshake, which wsproto does: RFC 6455 sections 4.1, 4.2.

HTTP stays ours, so that our bounds hold and requests and responses that are no upgrade reach the
caller. wsproto gets the fields that it judges or answers, and only those: parsed, checked, and in
the spelling that it reads (one line a field, ASCII, no quotes).

Whoever shakes hands imports this module, and not before: to load wsproto takes longer than to
load the rest of this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wsproto import ConnectionType
from wsproto import events as ws
from wsproto.extensions import Extension as WsprotoExtension
from wsproto.handshake import H11Handshake
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from wirecore.errors import HandshakeError, InvalidOption
from wirecore.websocket.deflate import NAME, DeflateOffer, DeflateParameters
from wirecore.websocket.extensions import Extension, parse_extensions
from wirecore.websocket.handshake import MAX_QUOTE, VERSION, Accepted, shared
from wirecore.websocket.http import Fields, encode_head, find_field
from wirecore.websocket.request import Request

#: How wsproto's verdicts on a 101 response begin, and how we put it; the peer's words follow.
_VERDICTS: Final = (
    ("Missing header, ", "the server's 101 response doesn't have "),
    ("Bad accept token", "the server's Sec-WebSocket-Accept doesn't fit our key"),
    ("unrecognized subprotocol ", "the server chose a subprotocol nobody asked for: "),
    ("unrecognized extension ", "the server uses an extension nobody asked for: "),
)


class DeflateNegotiation(WsprotoExtension):
    """permessage-deflate in wsproto's handshakes, by the rules of *wanted*; serves one of them.

    It takes no part in frames: the messages are ours.
    """

    name = NAME

    def __init__(self, wanted: DeflateOffer) -> None:
        self._wanted = wanted
        #: What holds from now on; None for no compression.
        self.agreed: DeflateParameters | None = None

    def offer(self) -> str:
        """A client's parameters."""
        return _parameters(self._wanted.request())

    def accept(self, offer: str) -> str | None:
        """A server's parameters in answer to *offer*, name and all; None declines it."""
        if self.agreed is not None:
            return None  # Offers come in the client's order of preference: RFC 7692 section 5.
        (asked,) = parse_extensions(offer.encode("ascii"))
        chosen = self._wanted.choose(asked)
        if chosen is None:
            return None
        answer, self.agreed = chosen
        return _parameters(answer)

    def finalize(self, offer: str) -> None:
        """Take the server's answer, name and all. Raises HandshakeError, see DeflateOffer."""
        if self.agreed is not None:
            raise HandshakeError(f"the server accepted {NAME} more than once")
        (answer,) = parse_extensions(offer.encode("ascii"))
        self.agreed = self._wanted.confirm(answer)


class ClientUpgrade:
    """One upgrade, as its client sees it; the arguments were checked (see ClientHandshake)."""

    def __init__(
        self,
        *,
        host: str,
        target: str,
        headers: Fields,
        subprotocols: Sequence[str],
        compression: DeflateOffer | None,
    ) -> None:
        self._handshake = H11Handshake(ConnectionType.CLIENT)
        self._deflate = None if compression is None else DeflateNegotiation(compression)
        self._request = ws.Request(
            host=host,
            target=target,
            extensions=[] if self._deflate is None else [self._deflate],
            extra_headers=headers,
            subprotocols=list(subprotocols),
        )

    def request(self) -> bytes:
        """The request, with a key of its own."""
        return self._handshake.send(self._request)

    def judge(self, headers: Fields) -> Accepted:
        """What the server agreed to, by the fields *headers* of its 101 response.

        Raises :class:`~wirecore.errors.HandshakeError` where the client must fail the
        connection: section 4.1, after "Once the client's opening ...".
        """
        if find_field(headers, b"sec-websocket-accept") is None:
            raise HandshakeError("the server's 101 response has no Sec-WebSocket-Accept")
        fields: Fields = []
        for name in (b"connection", b"upgrade", b"sec-websocket-accept", b"sec-websocket-protocol"):
            value = find_field(headers, name)
            if value is not None:
                # wsproto decodes ASCII. What is escaped is none of the tokens it looks for.
                fields.append((name, value.decode("ascii", "backslashreplace").encode("ascii")))
        try:
            answers = parse_extensions(find_field(headers, b"sec-websocket-extensions") or b"")
        except ValueError as error:
            raise HandshakeError(f"the server's Sec-WebSocket-Extensions: {error}") from None
        if answers:
            fields.append((b"sec-websocket-extensions", _join(answers)))
        try:
            self._handshake.receive_data(encode_head(101, None, fields))
        except RemoteProtocolError as error:
            raise HandshakeError(_in_our_words(str(error))) from None
        return Accepted(
            next(
                event.subprotocol
                for event in self._handshake.events()
                if isinstance(event, ws.AcceptConnection)
            ),
            headers,
            None if self._deflate is None else self._deflate.agreed,
        )


def accept_upgrade(
    request: Request,
    *,
    subprotocol: str | None,
    headers: Fields,
    compression: DeflateOffer | None,
) -> tuple[bytes, Accepted]:
    """The 101 response to *request*, which is a proper upgrade, and what holds once it is sent.

    *headers*: more fields, which were checked.
    Raises :class:`~wirecore.errors.InvalidOption` for a subprotocol not asked for.
    """
    fields: Fields = [
        # h11 wants this one. Its value has no part in the answer, and wsproto would decode it
        # as IDNA, which fails for some.
        (b"Host", b""),
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Version", VERSION),
        (b"Sec-WebSocket-Key", request.header(b"sec-websocket-key") or b""),
    ]
    if request.subprotocols:
        fields.append((b"Sec-WebSocket-Protocol", ", ".join(request.subprotocols).encode("ascii")))
    if request.extensions:
        fields.append((b"Sec-WebSocket-Extensions", _join(request.extensions)))
    handshake = H11Handshake(ConnectionType.SERVER)
    handshake.initiate_upgrade_connection(fields, request.target)
    deflate = None if compression is None else DeflateNegotiation(compression)
    answer = ws.AcceptConnection(
        subprotocol=subprotocol,
        extensions=[] if deflate is None else [deflate],
        extra_headers=headers,
    )
    try:
        head = handshake.send(answer)
    except LocalProtocolError:
        raise InvalidOption(f"the client didn't ask for subprotocol {subprotocol!r}") from None
    # Behind the status line, one field a line; the empty line ends the head.
    lines = [line.partition(b": ") for line in head.split(b"\r\n")[1:-2]]
    return head, Accepted(
        subprotocol,
        [(shared(name.lower()), shared(value)) for name, _, value in lines],
        None if deflate is None else deflate.agreed,
    )


def _parameters(extension: Extension) -> str:
    return str(extension).partition("; ")[2]


def _join(extensions: Sequence[Extension]) -> bytes:
    return ", ".join(map(str, extensions)).encode("ascii")


def _in_our_words(verdict: str) -> str:
    for theirs, ours in _VERDICTS:
        if verdict.startswith(theirs):
            return ours + verdict.removeprefix(theirs)[:MAX_QUOTE]
    return f"the server's 101 response breaks a rule of the handshake: {verdict[:MAX_QUOTE]}"
