"""Whom a pump tells of what it reads: the reader's side of a connection."""

from __future__ import annotations

from typing import Protocol, TypeVar

Happened_contra = TypeVar("Happened_contra", contravariant=True)


class Owner(Protocol[Happened_contra]):
    """What a session's owner is told, from within the transport. None of it may block or raise.

    One object and no callables: a connection that is idle would keep a bound method for each.
    Who derives from this class may leave out the two about the end.
    """

    def received(self, happened: Happened_contra) -> None:
        """What ``session.receive``, ``receive_eof`` and ``expire`` returned, when it is true."""

    def on_finish(self) -> None:
        """The session has finished, and its last bytes can't be sent yet. Called at most once.

        Nothing will be received any more; :meth:`on_end` follows.
        """
        return

    def on_end(self, error: BaseException | None) -> None:
        """The connection is gone, the last thing that is told. Called once.

        *error*: what broke the connection, None after an orderly end.
        """
        return
