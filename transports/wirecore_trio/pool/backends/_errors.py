"""What backends raise."""

from __future__ import annotations

from wirecore.errors import CallTimeout, Execution, WirecoreError

from ..._errors import NotConnected


class BackendError(WirecoreError):
    """What the nodes of a pool have in common can't do what was asked."""


class BackendUnavailable(BackendError, NotConnected):
    """It is out of reach, or doesn't answer; the call wasn't sent to any provider."""


class LinkLost(BackendError):
    """There is no connection to it at the moment. Never leaves the package."""


class CallExpired(CallTimeout):
    """No answer in time. *execution*: whether a provider may have got the call."""

    def __init__(self, message: str, *, execution: Execution) -> None:
        super().__init__(f"{message} ({execution})")
        self.execution: Execution = execution


class CallTaken(NotConnected):
    """A call that this node was to make isn't its own any more, and must not be sent.

    Who called has given up, or another node has taken the call since this one was silent.
    """
