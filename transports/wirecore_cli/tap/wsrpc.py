"""The envelopes of wsrpc: calls, answers, and what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from wirecore import _backend
from wirecore.errors import printable

from .pending import Pending
from .records import OTHER, Sender, Told, problem
from .showing import Showing
from .wire_fields import read_wire_fields

#: What a payload of this method is, by a .proto file: (method, whether it is an answer, payload).
#: None: that isn't known.
Values: TypeAlias = Callable[[str, bool, bytes], Any]

#: Fields that stand on a line.
_ON_A_LINE: Final = 4


class Wsrpc:
    """A :class:`~wirecore_cli.tap.plain.Decoder`. *values*: None shows the fields as they came."""

    protocol = "wsrpc"

    def __init__(
        self, showing: Showing, values: Values | None = None, *, backend: _backend.Backend
    ) -> None:
        self._showing = showing
        self._values = values
        self._backend = backend
        self._pending = Pending()

    def message(self, sender: Sender, data: bytes, text: bool, now: float) -> list[Told]:
        """See Decoder."""
        envelope = self._backend.envelope
        decoded: Any = envelope.decode_envelope(data)
        if decoded[0] == envelope.REQUEST:
            return [self._request(sender, decoded[1], decoded[2], decoded[3], now)]
        if decoded[0] == envelope.RESPONSE:
            return [self._response(sender, decoded[1], decoded[2], decoded[3], now)]
        why = "an empty envelope" if decoded[0] == envelope.EMPTY else f"no envelope: {decoded[1]}"
        return [problem(printable(why), len(data), **self._showing.payload(data))]

    def passed_over(self, sender: Sender) -> None:
        """See Decoder. Each message stands alone."""

    def _request(
        self, sender: Sender, method: str, call_id: str, payload: bytes, now: float
    ) -> Told:
        self._pending.ask((sender, call_id), method, now)
        name = self._showing.word(method)
        fields = {"method": name, "id": self._showing.word(call_id)}
        shown = self._payload(method, False, payload, fields)
        return Told("request", f"{printable(name)}  {shown}".rstrip(), len(payload), fields)

    def _response(
        self, sender: Sender, call_id: str, payload: bytes, error: str, now: float
    ) -> Told:
        asked = self._pending.answer((OTHER[sender], call_id))
        method = "" if asked is None else asked.name
        took = None if asked is None else now - asked.when
        name = self._showing.word(method)
        fields: dict[str, Any] = {"method": name or None, "id": self._showing.word(call_id)}
        if error:
            fields["error"] = self._showing.word(error)
            about = f"{name or 'to no known call'}  {fields['error']}"
            return Told("error", printable(about), len(payload), fields, took)
        shown = self._payload(method, True, payload, fields)
        about = printable(name or "to no known call")
        return Told("response", f"{about}  {shown}".rstrip(), len(payload), fields, took)

    def _payload(self, method: str, answer: bool, payload: bytes, fields: dict[str, Any]) -> str:
        """Add what is in *payload* to *fields*; the same on a line."""
        value = None
        if self._values is not None and method:
            value = self._values(method, answer, payload)
        if value is not None:
            fields["value"] = self._showing.value(value)
            return self._showing.value_preview(fields["value"])
        fields |= self._showing.payload(payload)
        if fields["payload_encoding"] == "text" and payload.isascii() and _is_printable(payload):
            return self._showing.preview(fields)
        read = read_wire_fields(payload)
        if read:
            fields["fields"] = self._showing.value(read)
            return ", ".join(
                f"{number}: {self._showing.value_preview(value)}"
                for number, value in fields["fields"][:_ON_A_LINE]
            )
        return self._showing.preview(fields)


def _is_printable(data: bytes) -> bool:
    return all(byte >= 0x20 or byte in b"\t" for byte in data)
