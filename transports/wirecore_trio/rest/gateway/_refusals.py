"""How a request through a gateway ends early."""

from __future__ import annotations


class Refusal(Exception):
    """The request is answered by the gateway, with *status*.

    *close*: nothing more is taken from its connection, as its end is in doubt.
    """

    def __init__(self, status: int, text: str, *, close: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.close = close


class CallerGone(Exception):
    """The caller has gone."""
