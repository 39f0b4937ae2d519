"""Calls of a pool in JSON: JSON-RPC 1.0, as Go's net/rpc/jsonrpc speaks it."""

from __future__ import annotations

from typing import Any, Final

from wirecore.gob import Limits
from wirecore.gojson.cutting import MessageBuffer
from wirecore.gojson.parsing import Message, fold
from wirecore.gojson.reading import Budget, Mismatch, NeedsText, read_plain

from .pool_streams import StreamedCalls
from .records import Sender, Told
from .showing import Showing

#: Values in one message.
_MAX_ELEMENTS: Final = 1 << 20


class JsonCalls(StreamedCalls[MessageBuffer]):
    """A :class:`~wirecore_cli.tap.plain.Decoder`."""

    kind = "text"

    def __init__(self, showing: Showing, *, max_message: int) -> None:
        limits = Limits(max_message_size=max_message, max_elements=_MAX_ELEMENTS)
        streams: dict[Sender, MessageBuffer] = {
            "client": MessageBuffer(limits),
            "server": MessageBuffer(limits),
        }
        super().__init__(showing, streams)

    def _next(self, sender: Sender, stream: MessageBuffer, now: float) -> Told | None:
        message = stream.next()
        return None if message is None else self._told(sender, message, now)

    def _told(self, sender: Sender, message: Message, now: float) -> Told:
        members = _members(message)
        number = self._showing.value(members.get("id"))
        if "method" in members:
            params = members.get("params")
            # Go's have one argument.
            value = params[0] if isinstance(params, list) and len(params) == 1 else params
            method = members["method"]
            name = method if isinstance(method, str) else str(method)
            return self._teller.call(sender, number, name, value, now)
        error = members.get("error")
        text = None if error is None else error if isinstance(error, str) else str(error)
        return self._teller.answer(sender, number, members.get("result"), text, now)


def _members(message: Message) -> dict[str, Any]:
    """Of two members of one name the last counts, and their case doesn't: as in Go."""
    try:
        tree = read_plain(message.tree or (), Budget(_MAX_ELEMENTS))
    except NeedsText:
        try:
            tree = read_plain(message.reparse(), Budget(_MAX_ELEMENTS))
        except Mismatch:
            return {}  # a number beyond all floats
    return {fold(name): value for name, value in tree.items()}
