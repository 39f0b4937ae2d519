"""What a transport needs of a session: all that moves bytes is written against this."""

from __future__ import annotations

from typing import Protocol

from wirecore.session.outbox import Outbox


class Stage(Protocol):
    """How far a connection is."""

    @property
    def finished(self) -> bool:
        """Nothing more will come of it: close the stream once the outbox is empty."""

    @property
    def deferred(self) -> bool:
        """Whether ``receive`` is to be called again, with no bytes, before any are read.

        What it put off is the end of the connection: the owner gets to answer what came before.
        """

    @property
    def growing(self) -> int:
        """How many bytes of a message lie here whose rest hasn't come.

        Where it grew by nearly all that the last ``receive`` got, those bytes were copied and no
        more.
        0 where they were more work than that, as for a control frame among them.
        """


class Session(Protocol):
    """One connection's protocol, without I/O or a clock.

    *now* is the reading of any monotonic clock, in seconds. What ``receive``, ``receive_eof``
    and ``expire`` return is between the session and its owner; where it is falsy there is
    nothing for the owner. Each of them may put frames into *outbox*.
    """

    @property
    def outbox(self) -> Outbox:
        """What is to be sent."""

    @property
    def stage(self) -> Stage:
        """How far it is; one object from beginning to end, as it is looked at for every read."""

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> object:
        """Bytes came. They aren't kept: the buffer may be used again afterwards."""

    def receive_eof(self, now: float) -> object:
        """The stream ended."""

    def expire(self, now: float) -> object:
        """The time of ``next_deadline`` came (or it didn't: then nothing happens)."""

    def next_deadline(self) -> float:
        """When to call ``expire`` next, at the latest; ``math.inf`` for never."""
