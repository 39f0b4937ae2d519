"""Whom a pump tells of what it reads: the reader's side of a connection."""

from __future__ import annotations

from typing import Any, Protocol


class Owner(Protocol):
    """What a pump tells of. None of it may block or raise.

    One object and no callables: a connection that is idle would keep a bound method for each.
    """

    def received(self, happened: Any) -> None:
        """What ``session.receive``, ``receive_eof`` and ``expire`` returned, when it is true."""

    def on_finish(self) -> None:
        """The session has finished, and its last bytes can't be sent yet. Called once.

        Nothing will be received any more.
        """

    def on_end(self, error: BaseException | None) -> None:
        """The link is closed. Called once.

        *error*: what broke the connection, None after an orderly end.
        """
