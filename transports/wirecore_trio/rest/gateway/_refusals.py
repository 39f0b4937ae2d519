"""How a request through a gateway ends early."""

from __future__ import annotations


class Refusal(Exception):
    """The request is answered by the gateway, with *status*."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class CallerGone(Exception):
    """The caller has gone."""
