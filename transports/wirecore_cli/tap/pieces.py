"""Payloads that come in pieces, of which one may end within a secret."""

from __future__ import annotations

from typing import Any

from .showing import Showing


class Pieces:
    """Shows the pieces of one payload, in their order.

    It holds no more than tells whether the next piece begins within a secret: 1 KiB at most.
    """

    def __init__(self, showing: Showing) -> None:
        self._showing = showing
        self._before = b""

    def payload(self, data: bytes | bytearray) -> dict[str, Any]:
        """The next piece, as :meth:`Showing.payload` shows it."""
        shown = self._showing.payload(data, before=self._before)
        if data:
            self._before = self._showing.mask.context(self._before, data)
        return shown
