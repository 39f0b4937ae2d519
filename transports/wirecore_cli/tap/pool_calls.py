"""What calls of a pool have alike, whatever their codec."""

from __future__ import annotations

from typing import Any

from wirecore.errors import printable

from .pending import Pending
from .records import OTHER, Sender, Told
from .showing import Showing


class CallTeller:
    """Tells of calls and their answers, and puts these beside each other."""

    def __init__(self, showing: Showing) -> None:
        self._showing = showing
        self._pending = Pending()

    def call(self, sender: Sender, seq: Any, method: str, value: Any, now: float) -> Told:
        """*sender* calls. *value*: the argument, as it was decoded."""
        self._pending.ask((sender, str(seq)), method, now)
        told = Told("call", fields={"method": self._showing.word(method), "seq": seq})
        self._add(told, value)
        return told

    def answer(
        self,
        sender: Sender,
        seq: Any,
        value: Any,
        error: str | None,
        now: float,
        *,
        method: str = "",
    ) -> Told:
        """*sender* answers. *error*: its text; None for a success."""
        asked = self._pending.answer((OTHER[sender], str(seq)))
        name = self._showing.word(asked.name if asked is not None else method)
        told = Told("reply" if error is None else "error", fields={"method": name or None})
        told.fields["seq"] = seq
        told.took = None if asked is None else now - asked.when
        if error is not None:
            told.fields["error"] = self._showing.word(error)
            about = f"{name or 'to no known call'}  seq {seq}  {told.fields['error']}"
            told.summary = printable(about)
        else:
            self._add(told, value)
        return told

    def _add(self, told: Told, value: Any) -> None:
        told.fields["value"] = self._showing.value(value)
        shown = self._showing.value_preview(told.fields["value"])
        name = told.fields["method"] or "to no known call"
        told.summary = printable(f"{name}  seq {told.fields['seq']}  {shown}")
