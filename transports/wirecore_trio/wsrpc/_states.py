"""Connectivity states of a client, as gRPC names them, and waiting for them to change."""

from __future__ import annotations

from enum import Enum

import trio


class State(Enum):
    """Where a client stands.

    *IDLE*: no connection, and no attempt yet. *CONNECTING*: an attempt is under way. *READY*:
    calls go through. *TRANSIENT_FAILURE*: the last attempt failed; the next comes after the
    backoff. *SHUTDOWN*: closed for good.
    """

    IDLE = "idle"
    CONNECTING = "connecting"
    READY = "ready"
    TRANSIENT_FAILURE = "transient failure"
    SHUTDOWN = "shutdown"


class StateWatch:
    """A state that tasks can wait on."""

    __slots__ = ("_changed", "_state")

    def __init__(self) -> None:
        self._state = State.IDLE
        self._changed = trio.Event()

    @property
    def state(self) -> State:
        """The state now."""
        return self._state

    def set(self, state: State) -> None:
        """Change the state, and wake who waits for a change. From SHUTDOWN nothing leads back."""
        if state is not self._state and self._state is not State.SHUTDOWN:
            self._state = state
            changed, self._changed = self._changed, trio.Event()
            changed.set()

    async def wait_for_change(self, state: State) -> State:
        """The state, once it isn't *state* any more. Short-lived ones in between may be missed."""
        while self._state is state:
            await self._changed.wait()
        return self._state
