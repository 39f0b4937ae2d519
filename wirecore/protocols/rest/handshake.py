"""The three messages that begin a connection: a client's metadata, its id, its yes.

Each is a JSON object in a message of its own, written as the original does, key by key, and read as
leniently as it reads: text or binary, keys in any case, the last of two alike, what is unknown and
what stands behind the object passed over.
"""

from __future__ import annotations

from typing import Any, Final

from wirecore.errors import InvalidMessage, JsonStreamError, JsonValueLimitExceeded, printable
from wirecore.gob.limits import Limits
from wirecore.gojson.cutting import MessageBuffer
from wirecore.gojson.parsing import fold
from wirecore.gojson.reading import Budget, Mismatch, NeedsText, read_plain
from wirecore.gojson.text import finish, quote
from wirecore.gojson.writing import write

#: The subprotocol by which our own ends agree on many exchanges at once.
PROTOCOL: Final = "wirecore.rest.v1"

#: How deep metadata may be nested, and of how many values it may be made.
MAX_DEPTH: Final = 100
MAX_ELEMENTS: Final = 100_000

_METADATA: Final = "ClientHandshakeMetaData"
_CONNECTION_ID: Final = "ServerHandshakeConnectionID"
_ACK: Final = "ClientHandshakeAckFrame"


def metadata_message(metadata: Any) -> bytes:
    """The first message, the client's. *metadata*: what JSON has; None for none.

    Raises :class:`~wirecore.errors.UnsendableJson` and :class:`~wirecore.errors.InvalidJsonType`
    for what it hasn't.
    """
    return finish(f'{{"Type":"{_METADATA}","Meta":{write(metadata, Any, MAX_DEPTH)}}}\n')


def connection_id_message(connection_id: str) -> bytes:
    """The second one, the server's."""
    return finish(f'{{"Type":"{_CONNECTION_ID}","ConnectionID":{quote(connection_id)}}}\n')


def ack_message() -> bytes:
    """The third one, the client's."""
    return finish(f'{{"Type":"{_ACK}"}}\n')


def read_metadata(message: bytes) -> Any:
    """What the first message holds; None where it holds no metadata. Numbers stay what they are.

    Raises :class:`~wirecore.errors.InvalidMessage` for another message.
    """
    return _plain(_members(message, _METADATA).get("meta"))


def read_connection_id(message: bytes) -> str:
    """What the second one holds: any text; "" for none. Raises as :func:`read_metadata`."""
    found = _members(message, _CONNECTION_ID).get("connectionid")
    if found is None:
        return ""
    if not isinstance(found, str):
        raise InvalidMessage("the connection id is no text")
    return found


def read_ack(message: bytes) -> None:
    """Check that it is the third one. Raises as :func:`read_metadata`."""
    _members(message, _ACK)


def _members(message: bytes, wanted: str) -> dict[str, Any]:
    buffer = MessageBuffer(Limits(max(len(message), 1), MAX_DEPTH + 1, MAX_ELEMENTS))
    buffer.feed(message)
    try:
        found = buffer.next()
    except JsonStreamError as error:
        raise InvalidMessage(f"the handshake's {wanted} isn't JSON: {error}") from None
    if found is None or found.tree is None:
        raise InvalidMessage(f"the handshake's {wanted} is no whole JSON object")
    members = {fold(name): value for name, value in found.tree}
    kind = members.get("type")
    if kind != wanted:
        said = printable(kind[:100]) if isinstance(kind, str) else "none"
        raise InvalidMessage(f"the handshake's message should be {wanted}, and its type is {said}")
    return members


def _plain(value: Any) -> Any:
    try:
        return read_plain(value, Budget(MAX_ELEMENTS))
    except (NeedsText, Mismatch):
        raise InvalidMessage("the metadata holds a number beyond all floats") from None
    except JsonValueLimitExceeded as error:
        raise InvalidMessage(f"the metadata is too large: {error}") from None
