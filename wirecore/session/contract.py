"""What a protocol must be: whatever moves bytes is written against this, and needs no more.

One connection's protocol is a plain object, a :class:`Session`. A transport gives it the bytes
that came and the time, sends what it has put into its outbox, and hands what its methods return
to an owner, who is the protocol's user-facing side. Sessions compose: one that runs over WebSocket
has a :class:`wirecore.websocket.Connection`, which is a session itself, and passes on to it what
it doesn't do itself. :mod:`wirecore.testing` checks all that is said here but the bounds.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from wirecore.session.outbox import Outbox

Happened_co = TypeVar("Happened_co", covariant=True)


class Stage(Protocol):
    """How far a connection is: plain attributes, as they are looked at for every read."""

    @property
    def finished(self) -> bool:
        """Nothing more will come of it: close the stream once the outbox is empty.

        Once true it stays true. What comes afterwards is ignored, and nothing is queued for it.
        """

    @property
    def deferred(self) -> bool:
        """Whether ``receive`` is to be called again, with no bytes, before any are read.

        What it put off is the end of the connection: the owner gets to answer what came before.
        A session without need of that says False.
        """

    @property
    def growing(self) -> int:
        """How many bytes of a message lie here whose rest hasn't come.

        Where it grew by nearly all that the last ``receive`` got, those bytes were copied and no
        more, and reads may follow each other without a pause for others.
        0 where they were more work than that, as for a control frame among them; a session that
        doesn't know says 0.
        """


class Session(Protocol[Happened_co]):
    """One connection's protocol, without I/O or a clock.

    *now* is the reading of any monotonic clock, in seconds. What ``receive``, ``receive_eof``
    and ``expire`` return is between the session and its owner; where it is falsy there is
    nothing for the owner. Each of them, and whatever methods of its own a session has for its
    users, may put frames into *outbox*; who calls one of the latter tells the transport then.

    None of these methods waits, and none raises: what the peer does wrong is the end of the
    connection, by the session's own rules (*stage* says so), and an error only for those who use
    it afterwards. Everything that a peer can make grow has a bound.
    """

    @property
    def outbox(self) -> Outbox:
        """What is to be sent; one object from beginning to end."""

    @property
    def stage(self) -> Stage:
        """How far it is; one object from beginning to end."""

    def start(self, now: float) -> None:
        """The connection is open: time begins. Called once, before anything else with a *now*."""

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> Happened_co | None:
        """Bytes came, however they were cut. They aren't kept: the buffer is used again.

        Empty *data* comes only where *stage* was deferred.
        """

    def receive_eof(self, now: float) -> Happened_co | None:
        """The stream ended: *stage* is finished from now on."""

    def expire(self, now: float) -> Happened_co | None:
        """The time of ``next_deadline`` came (or it didn't: then nothing happens).

        Afterwards ``next_deadline`` is later than *now*, or the session has finished.
        """

    def next_deadline(self) -> float:
        """When to call ``expire`` next, at the latest; ``math.inf`` for never.

        Asking changes nothing. A time that has passed means at once.
        """

    def close(self) -> None:
        """Begin the end in good order: queue whatever the protocol says for a farewell.

        The session finishes in time, whether the peer answers or not: at once where it has
        nothing to wait for, else no later than a deadline. Idempotent; nothing happens after the
        end.
        """
