"""Calls of a pool in JSON: JSON-RPC 1.0, as Go's net/rpc/jsonrpc speaks it."""

from __future__ import annotations

from typing import Any, Final

from wirecore.errors import JsonError, printable
from wirecore.gob import Limits
from wirecore.gojson.cutting import MessageBuffer
from wirecore.gojson.parsing import Message, fold
from wirecore.gojson.reading import Budget, Mismatch, NeedsText, read_plain

from .pool_calls import CallTeller
from .records import Sender, Told, problem
from .showing import Showing

#: Values in one message.
_MAX_ELEMENTS: Final = 1 << 20


class JsonCalls:
    """A :class:`~wirecore_cli.tap.plain.Decoder`. *controls*: as ``GobCalls`` has it."""

    protocol = "pool"

    def __init__(self, showing: Showing, *, controls: bool, max_message: int) -> None:
        self._showing = showing
        self._controls = controls
        self._teller = CallTeller(showing)
        limits = Limits(max_message_size=max_message, max_elements=_MAX_ELEMENTS)
        self._streams: dict[Sender, MessageBuffer] = {
            "client": MessageBuffer(limits),
            "server": MessageBuffer(limits),
        }
        self._broken: set[Sender] = set()

    def message(self, sender: Sender, data: bytes, text: bool, now: float) -> list[Told]:
        """See Decoder."""
        if text and self._controls:
            return [self._teller.control(data)]
        if sender in self._broken:
            payload = self._showing.payload(data)
            return [Told("text", self._showing.preview(payload), len(data), payload)]
        found: list[Told] = []
        stream = self._streams[sender]
        stream.feed(data)
        try:
            while (message := stream.next()) is not None:
                found.append(self._told(sender, message, now))
        except JsonError as error:
            self._broken.add(sender)
            why = printable(f"no more calls of the {sender}'s are decoded: {error}")
            found.append(problem(why, len(data)))
        if not found:
            found = [Told("part", "of a call", len(data))]
        elif found[0].size is None:
            found[0].size = len(data)
        return found

    def passed_over(self, sender: Sender) -> None:
        """See Decoder. The stream has a hole now."""
        self._broken.add(sender)

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
