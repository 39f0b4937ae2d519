"""HTTP in WebSocket messages: the handshake of its three messages, and then one of two wires."""

from __future__ import annotations

import json
from typing import Any, Final

from wirecore.errors import printable
from wirecore.protocols.rest.handshake import read_ack, read_connection_id, read_metadata

from .records import Sender, Told
from .rest_multiplexed import Frames
from .rest_sequential import Exchanges
from .showing import Showing

_HANDSHAKE: Final = b'"Type"'


class Rest:
    """A :class:`~wirecore_cli.tap.plain.Decoder`. *multiplexed*: whether both ends have agreed."""

    protocol = "rest"

    def __init__(self, showing: Showing, *, multiplexed: bool) -> None:
        self._showing = showing
        self._wire = Frames(showing) if multiplexed else Exchanges(showing)
        self._opening = True

    def message(self, sender: Sender, data: bytes, text: bool, now: float) -> list[Told]:
        """See Decoder."""
        if self._opening and data[:1] == b"{" and _HANDSHAKE in data[:200]:
            told = self._handshake(sender, data)
            if told is not None:
                return [told]
        self._opening = False
        return self._wire.message(sender, data, text, now)

    def passed_over(self, sender: Sender) -> None:
        """See Decoder."""
        self._wire.passed_over(sender)

    def _handshake(self, sender: Sender, data: bytes) -> Told | None:
        showing = self._showing
        kind = _type_of(data)
        if kind == "ClientHandshakeMetaData" and sender == "client":
            metadata = showing.value(read_metadata(data))
            about = showing.value_preview(metadata)
            return Told("metadata", about, len(data), {"metadata": metadata})
        if kind == "ServerHandshakeConnectionID" and sender == "server":
            name = showing.word(read_connection_id(data))
            return Told("connection-id", printable(name), len(data), {"connection_id": name})
        if kind == "ClientHandshakeAckFrame" and sender == "client":
            read_ack(data)
            self._opening = False
            return Told("ack", "", len(data))
        return None


def _type_of(data: bytes) -> Any:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found.get("Type") if isinstance(found, dict) else None
