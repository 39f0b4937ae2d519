"""What both ends of the opening handshake share: RFC 6455 section 4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wirecore.websocket.deflate import DeflateParameters
from wirecore.websocket.http import FRAMING_FIELDS, Fields

#: Default bound on the head of a request or response, in bytes.
DEFAULT_MAX_HEAD_SIZE: Final = 64 * 1024

#: Longest part of a parser's message that goes into an error: it may quote what the peer sent.
MAX_QUOTE: Final = 200

#: The only version there is: section 4.1.
VERSION: Final = b"13"

#: Fields that the handshake writes itself, whatever the user gives.
HANDSHAKE_FIELDS: Final = FRAMING_FIELDS | {
    b"sec-websocket-accept",
    b"sec-websocket-extensions",
    b"sec-websocket-key",
    b"sec-websocket-protocol",
    b"sec-websocket-version",
    b"upgrade",
}

#: One object of each name and value that almost every handshake has: connections keep them.
_COMMON: Final = {
    text: text
    for text in (
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"connection",
        b"cookie",
        b"host",
        b"origin",
        b"pragma",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"upgrade",
        b"user-agent",
        b"Upgrade",
        b"keep-alive, Upgrade",
        b"websocket",
        b"13",
        b"no-cache",
    )
}


def shared(text: bytes) -> bytes:
    """*text*, as one object for all that say the same, if it is common."""
    return _COMMON.get(text, text)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The outcome of a handshake.

    *subprotocol*: the one that was chosen, or None. *headers*: all fields of the 101 response,
    names in lower case. *deflate*: what was agreed on compression, None for no compression.
    """

    subprotocol: str | None
    headers: Fields
    deflate: DeflateParameters | None
