"""How a request through a gateway ends early."""

from __future__ import annotations


class Refusal(Exception):
    """The request is answered by the gateway, with *status*.

    *text*: for the caller, who may be anybody. *detail*: for who runs the gateway: what publishers
    say, and where they are. *close*: nothing more is taken from its connection, as its end is in
    doubt. *location*: where else it is to be asked.
    """

    def __init__(
        self,
        status: int,
        text: str,
        detail: str = "",
        *,
        close: bool = False,
        location: bytes | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.detail = detail
        self.close = close
        self.location = location

    @property
    def reason(self) -> str:
        """All of it."""
        return f"{self.text}: {self.detail}" if self.detail else self.text


class CallerGone(Exception):
    """The caller has gone."""
