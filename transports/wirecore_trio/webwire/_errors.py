"""Loss as trio knows it: the errors that are trio's resource errors too."""

from __future__ import annotations

from .._errors import CallLost


class Disconnected(CallLost):
    """There is no connection, or it was lost before the reply came.

    *execution* is ``"not_sent"`` where the message certainly never left this process whole, and
    ``"maybe_executed"`` otherwise.
    """


class NotOpen(Disconnected):
    """The connection had come to its end, or its peer was ending it, before this could be sent."""


class TransmissionFailed(Disconnected):
    """The connection was lost before the request had left: it is safe to repeat."""
