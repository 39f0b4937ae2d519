"""Loss and misuse as trio knows them: our errors that are trio's resource errors too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from wirecore import errors


class ConnectionClosed(errors.ConnectionClosed, trio.BrokenResourceError):
    """The WebSocket was closed by the peer, or its stream broke; see the base for the fields."""


def closed_error(
    closed: errors.ConnectionClosed, problem: BaseException | None, error: BaseException | None
) -> ConnectionClosed:
    """What a session says of its end, as trio knows it.

    Its cause is what the peer did wrong (*problem*), else the session's own, else what broke the
    stream (*error*).
    """
    told = ConnectionClosed(closed.code, closed.reason, clean=closed.clean)
    told.__cause__ = problem or closed.__cause__ or error
    return told


class CallLost(errors.CallLost, trio.BrokenResourceError):
    """A call ended because its connection did; *execution* tells what is known of it."""


class NotConnected(errors.NotConnected, CallLost):
    """There was no connection to call over; nothing was sent."""


class AlreadyClosed(errors.InvalidState, trio.ClosedResourceError):
    """This program closed the connection itself and then used it."""


def in_trio() -> bool:
    """Whether this is a task of a trio run; trio's own function is newer than the oldest trio."""
    try:
        trio.lowlevel.current_trio_token()
    except RuntimeError:
        return False
    return True


def require_trio() -> None:
    """Raise LocalError outside of a trio run, where everything else fails in a puzzling way."""
    if not in_trio():
        raise errors.LocalError(
            "wirecore_trio runs on trio, and no trio run is under way: start one with "
            "trio.run(main), or use it through a wirecore_trio.portal"
        )


def unwrapped(error: BaseException) -> BaseException:
    """*error* without the groups that hold nothing but it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


@contextmanager
def alone() -> Iterator[None]:
    """Let a single exception out of the groups that the library's own nurseries put around it."""
    try:
        yield
    except BaseExceptionGroup as group:
        error = unwrapped(group)
        if error is group:
            raise
        # Its own traceback tells where it came from; the groups' would only repeat that.
        raise error from error.__cause__
