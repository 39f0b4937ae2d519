"""Messages of no protocol that is known here: text, or bytes."""

from __future__ import annotations

from typing import Protocol

from .frames import Message
from .records import Sender, Told
from .showing import Showing


class Decoder(Protocol):
    """What reads the messages of one connection, of both directions in their order."""

    @property
    def protocol(self) -> str:
        """What it is called."""

    def message(self, sender: Sender, data: bytes, text: bool, now: float) -> list[Told]:
        """A whole message came: what it says. Never raises for anything that came."""

    def passed_over(self, sender: Sender) -> None:
        """A message of *sender* was too long to be given here."""


class Plain:
    """A :class:`Decoder` that shows messages as they are."""

    protocol = "websocket"

    def __init__(self, showing: Showing) -> None:
        self._showing = showing

    def message(self, sender: Sender, data: bytes, text: bool, now: float) -> list[Told]:
        """See Decoder."""
        payload = self._showing.payload(data)
        kind = "text" if text else "binary"
        return [Told(kind, self._showing.preview(payload), len(data), payload)]

    def passed_over(self, sender: Sender) -> None:
        """See Decoder. Each message stands alone."""


def passed_over(message: Message) -> Told:
    """A message that is too long to be decoded."""
    return Told(
        "text" if message.text else "binary",
        "too long to be decoded (--max-message)",
        message.size,
    )
