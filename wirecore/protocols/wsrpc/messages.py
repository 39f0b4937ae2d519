"""What goes over the wire besides the envelope's layout: figures, texts, and what comes of a read.

The figures are the defaults of the original, smartcontractkit/wsrpc.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

#: The subprotocol by which our own ends agree on control messages.
PROTOCOL: Final = "wirecore.wsrpc.v1"

#: Longest message that a server, and that a client, takes: bytes of the envelope.
SERVER_READ_LIMIT: Final = 10_000_000
CLIENT_READ_LIMIT: Final = 100_000_000

#: A client's longer messages leave in fragments of so many bytes, a server's in one frame.
CLIENT_FRAGMENT_SIZE: Final = 4096

#: Seconds from the start of a connection from ping to ping, and from the last pong to the end.
PING_INTERVAL: Final = 18.0
PONG_TIMEOUT: Final = 20.0

#: Longest error text that is sent, in bytes.
MAX_ERROR_TEXT: Final = 8192

#: Stands for an empty error text, which would say that all went well.
NO_ERROR_TEXT: Final = "unspecified error"


class Received(NamedTuple):
    """What came of one read, or of time.

    *answers*: calls that have their answer, with its payload and its error text, which is empty
    for a success. *requests*: method, call id and payload of what the peer asks; the id is to
    be given back as it came. *timed_out*: calls that waited for ``call_timeout``.
    """

    answers: Sequence[tuple[Any, bytes, str]] = ()
    requests: Sequence[tuple[str, str, bytes]] = ()
    timed_out: Sequence[Any] = ()


def sendable_text(text: str, most: int = MAX_ERROR_TEXT) -> str:
    """*text* as an error that can be sent: never empty, at most *most* bytes, valid UTF-8.

    The original sends no answer at all where a text isn't UTF-8; here what can't be encoded
    (lone surrogates) becomes a question mark. Where no character fits, it is
    :data:`NO_ERROR_TEXT`, whatever *most* is.
    """
    encoded = text.encode("utf-8", "replace")[:most]
    return encoded.decode("utf-8", "ignore") or NO_ERROR_TEXT
