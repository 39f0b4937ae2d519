"""Loss and misuse as trio knows them: our errors that are trio's resource errors too."""

from __future__ import annotations

import trio

from wirecore import errors


class ConnectionClosed(errors.ConnectionClosed, trio.BrokenResourceError):
    """The WebSocket was closed by the peer, or its stream broke; see the base for the fields."""


class CallLost(errors.CallLost, trio.BrokenResourceError):
    """A call ended because its connection did; *execution* tells what is known of it."""


class NotConnected(errors.NotConnected, CallLost):
    """There was no connection to call over; nothing was sent."""


class AlreadyClosed(errors.InvalidState, trio.ClosedResourceError):
    """This program closed the connection itself and then used it."""
