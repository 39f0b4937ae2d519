"""Errors of exchanges."""

from __future__ import annotations

from typing import Final

from wirecore.errors import Execution, RemoteError


class Aborted(RemoteError):
    """The peer gave an exchange up before it was through; the connection goes on."""


class Refused(Aborted):
    """The peer gave a request up that passed a bound of its own, before anybody saw it.

    *limit* names the bound: "max_head", "max_streams". It may be made again, as *execution* says.
    """

    execution: Final[Execution] = "not_sent"

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(message)
        self.limit = limit
