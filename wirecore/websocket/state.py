"""The states of an open WebSocket and what moves it between them: RFC 6455 section 7.

Rule 1: every change of state is a row of the table; what isn't in it can't happen.

Rule 2: the table knows no roles. The server, and a client that doesn't want to wait, fires LEAVE
right behind PEER_CLOSE; the others leave with the peer's EOF or their own patience.

Rule 3: CLOSED means that the stream is ours to close (section 7.1.1: the server does it first),
once all that was queued before is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class State(Enum):
    """Where a connection stands after its opening handshake."""

    #: Messages may go both ways.
    OPEN = "open"
    #: Our close frame is queued; the peer's answer, and messages before it, may still come.
    CLOSING = "closing"
    #: Both close frames are there; the peer is to end the stream.
    LINGERING = "lingering"
    #: Over.
    CLOSED = "closed"


class Trigger(Enum):
    """What happens to a connection."""

    #: The user closes: our close frame is queued.
    CLOSE = "close"
    #: The peer's close frame came; ours is queued where it wasn't.
    PEER_CLOSE = "peer close"
    #: The peer broke a rule; where no close frame of ours was queued, it is.
    FAILURE = "failure"
    #: The peer ended the stream.
    EOF = "eof"
    #: No pong came in time, or no answer to our close frame, or no EOF.
    TIMEOUT = "timeout"
    #: This end waits for nothing more.
    LEAVE = "leave"


TRANSITIONS: Final[Mapping[State, Mapping[Trigger, State]]] = {
    State.OPEN: {
        Trigger.CLOSE: State.CLOSING,
        Trigger.PEER_CLOSE: State.LINGERING,
        Trigger.FAILURE: State.CLOSED,
        Trigger.EOF: State.CLOSED,
        Trigger.TIMEOUT: State.CLOSED,
    },
    State.CLOSING: {
        Trigger.PEER_CLOSE: State.LINGERING,
        Trigger.FAILURE: State.CLOSED,
        Trigger.EOF: State.CLOSED,
        Trigger.TIMEOUT: State.CLOSED,
        Trigger.LEAVE: State.CLOSED,
    },
    State.LINGERING: {
        Trigger.EOF: State.CLOSED,
        Trigger.TIMEOUT: State.CLOSED,
        Trigger.LEAVE: State.CLOSED,
    },
    State.CLOSED: {},
}
