"""The lifecycle of an engine: what it does now, and what comes next.

A state is what an engine is busy with; :data:`TABLE` has all ways from one to the next, but for
:meth:`Lifecycle.abandon`, which leads to IDLE from everywhere. Two things are remembered beside it:
whether the engine is *leaving*, for it was stopped or told to exit, and what the state is busy
with: details of the close, the error, the attempt.

Whoever drives it does what the state says, tells what came of that, and passes on what users ask;
:attr:`Lifecycle.state` may be another then. Times are arguments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from wirecore.protocols.engine.errors import AlreadyStarted, NotStarted, OpenTimeout, StopTimeout
from wirecore.protocols.engine.retries import Retries


class State(Enum):
    """What the engine is busy with."""

    #: Nothing: it hasn't started, or has ended.
    IDLE = auto()
    #: Its first attempt: dialling, then on_open.
    STARTING = auto()
    #: Reading, and calling on_message and on_read_error.
    OPEN = auto()
    #: on_close runs, as this end closes.
    CLOSING = auto()
    #: on_close runs, and the peer has closed, or the connection was lost.
    CLOSED = auto()
    #: The connection is being closed.
    DISCONNECTING = auto()
    #: on_close_error runs.
    CLOSE_FAILED = auto()
    #: A further attempt: dialling, then on_open.
    RESTARTING = auto()
    #: on_restart_error runs.
    RESTART_FAILED = auto()
    #: It waits for the time of the next attempt.
    WAITING = auto()


class Input(Enum):
    """What happens to it."""

    # What a user asks.
    START = auto()
    STOP = auto()
    EXIT = auto()
    RESTART = auto()
    # What came of what it was busy with.
    OPENED = auto()
    FAILED = auto()
    LOST = auto()
    CALLED = auto()
    DISCONNECTED = auto()
    # What the clock says.
    DUE = auto()
    OPEN_TIMEOUT = auto()
    STOP_TIMEOUT = auto()


class Next(Enum):
    """Where it depends on whether the engine is leaving."""

    #: OPEN, or CLOSING where it leaves: exit was called in on_open.
    READ = auto()
    #: RESTARTING, or WAITING after a connection that was open too short, or IDLE where it leaves.
    RECONNECT = auto()
    #: WAITING, or IDLE where it leaves.
    RETRY = auto()


#: From the state and what happens to the state that follows. What isn't here changes nothing,
#: but for what is remembered.
TABLE: Final[Mapping[tuple[State, Input], State | Next]] = {
    (State.IDLE, Input.START): State.STARTING,
    (State.STARTING, Input.OPENED): Next.READ,
    (State.STARTING, Input.FAILED): State.IDLE,
    (State.STARTING, Input.OPEN_TIMEOUT): State.IDLE,
    (State.STARTING, Input.STOP): State.IDLE,
    (State.OPEN, Input.LOST): State.CLOSED,
    (State.OPEN, Input.STOP): State.CLOSING,
    (State.OPEN, Input.EXIT): State.CLOSING,
    (State.OPEN, Input.RESTART): State.CLOSING,
    (State.CLOSED, Input.CALLED): Next.RECONNECT,
    (State.CLOSED, Input.STOP_TIMEOUT): State.IDLE,
    # Before on_close is called: it had ended already, as this end was told to close.
    (State.CLOSING, Input.LOST): State.CLOSED,
    (State.CLOSING, Input.CALLED): State.DISCONNECTING,
    (State.CLOSING, Input.STOP_TIMEOUT): State.IDLE,
    (State.DISCONNECTING, Input.DISCONNECTED): Next.RECONNECT,
    (State.DISCONNECTING, Input.FAILED): State.CLOSE_FAILED,
    (State.DISCONNECTING, Input.STOP_TIMEOUT): State.IDLE,
    (State.CLOSE_FAILED, Input.CALLED): Next.RECONNECT,
    (State.CLOSE_FAILED, Input.STOP_TIMEOUT): State.IDLE,
    (State.RESTARTING, Input.OPENED): Next.READ,
    (State.RESTARTING, Input.FAILED): State.RESTART_FAILED,
    (State.RESTARTING, Input.OPEN_TIMEOUT): State.RESTART_FAILED,
    (State.RESTARTING, Input.STOP): State.IDLE,
    (State.RESTART_FAILED, Input.CALLED): Next.RETRY,
    (State.RESTART_FAILED, Input.STOP_TIMEOUT): State.IDLE,
    (State.WAITING, Input.DUE): State.RESTARTING,
    (State.WAITING, Input.STOP): State.IDLE,
    (State.WAITING, Input.EXIT): State.IDLE,
}

#: What each is where the engine doesn't leave, and where it does.
_CHOICES: Final[Mapping[Next, tuple[State, State]]] = {
    Next.READ: (State.OPEN, State.CLOSING),
    Next.RECONNECT: (State.RESTARTING, State.IDLE),
    Next.RETRY: (State.WAITING, State.IDLE),
}

_ATTEMPTS: Final = frozenset({State.STARTING, State.RESTARTING})


@dataclass(frozen=True, slots=True)
class CloseDetails:
    """How the peer closed: *code* 1005 without a code, 1006 where the connection was lost."""

    code: int
    reason: str = ""


class Lifecycle:
    """One engine. *auto_reconnect*: whether it connects again; *retries*: how soon.

    *open_timeout*: seconds for an attempt; *stop_timeout*: for stopping; None: no bound.

    *stable_after*: a connection that was open for less than so many seconds is an attempt that
    failed, as for the delay before the next one: it ends no outage. None: any that was open does.
    """

    __slots__ = (
        "_auto_reconnect",
        "_is_stable",
        "_open_timeout",
        "_opened",
        "_retries",
        "_stable_after",
        "_stop_deadline",
        "_stop_timeout",
        "_until",
        "attempt",
        "details",
        "error",
        "leaving",
        "session",
        "state",
    )

    def __init__(
        self,
        *,
        auto_reconnect: bool = True,
        retries: Retries | None = None,
        open_timeout: float | None = 300.0,
        stop_timeout: float | None = 300.0,
        stable_after: float | None = None,
    ) -> None:
        self._auto_reconnect = auto_reconnect
        self._retries = retries or Retries()
        self._open_timeout = open_timeout
        self._stop_timeout = stop_timeout
        self._stable_after = stable_after
        self.state = State.IDLE
        #: Whether it ends with this connection.
        self.leaving = False
        #: Connections that were open, or are: the present one's number in OPEN and CLOSING.
        self.session = 0
        #: Of RESTARTING and RESTART_FAILED: failed attempts of this outage before this one.
        #: It is kept while a connection is open, which may turn out to be one.
        self.attempt = 0
        #: Of CLOSED: how the peer closed.
        self.details: CloseDetails | None = None
        #: Of CLOSE_FAILED and RESTART_FAILED; in IDLE: why it didn't start, or didn't stop in time.
        self.error: BaseException | None = None
        self._until = math.inf  # of an attempt, or a wait
        self._opened = 0.0  # when the connection was open
        self._is_stable = True  # it was so for long enough
        self._stop_deadline = math.inf

    @property
    def started(self) -> bool:
        """Whether it is started: from the end of its first attempt to its end, in outages too."""
        return self.state not in (State.IDLE, State.STARTING)

    # --- what users ask -------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Start. Raises AlreadyStarted unless it is idle."""
        if self.state is not State.IDLE:
            raise AlreadyStarted
        self.leaving = False
        self.error = None
        self._stop_deadline = math.inf
        self._feed(Input.START, now)

    def stop(self, now: float) -> None:
        """End, within ``stop_timeout`` from now. Raises NotStarted where it is idle."""
        if self.state is State.IDLE:
            raise NotStarted
        if math.isinf(self._stop_deadline) and self._stop_timeout is not None:
            self._stop_deadline = now + self._stop_timeout
        self.leaving = True
        self._feed(Input.STOP, now)

    def exit(self, now: float) -> None:
        """End with this connection, or attempt. Nothing where it is idle."""
        if self.state is not State.IDLE:
            self.leaving = True
            self._feed(Input.EXIT, now)

    def restart(self, session: int, now: float) -> None:
        """Close connection number *session*, and connect again. Nothing where that is over."""
        if session == self.session:
            self._feed(Input.RESTART, now)

    def abandon(self, now: float) -> None:
        """End at once, whatever it is busy with: its driver is cancelled."""
        if self.state is not State.IDLE:
            self._enter(State.IDLE, now)

    # --- what came of what it was busy with -------------------------------------------------------

    def opened(self, now: float) -> None:
        """The attempt succeeded: the connection is open, and on_open is done."""
        self.session += 1
        self._opened = now
        self._feed(Input.OPENED, now)

    def failed(self, error: BaseException, now: float) -> None:
        """The attempt failed, or closing did, with *error*."""
        self.error = error
        self._feed(Input.FAILED, now)

    def lost(self, details: CloseDetails, now: float) -> None:
        """The connection was closed by the peer, or lost.

        In CLOSING: which comes to light before on_close was called.
        """
        if self.state in (State.OPEN, State.CLOSING):
            self.details = details
        self._feed(Input.LOST, now)

    def called(self, now: float) -> None:
        """The callback of this state is done."""
        self._feed(Input.CALLED, now)

    def disconnected(self, now: float) -> None:
        """The connection is closed."""
        self._feed(Input.DISCONNECTED, now)

    # --- time -----------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When to call :meth:`expire`; ``math.inf`` for never."""
        return min(self._until, self._stop_deadline)

    def expire(self, now: float) -> None:
        """The time of :meth:`next_deadline` came."""
        if now >= self._stop_deadline:
            self._stop_deadline = math.inf
            if self.state is not State.IDLE:
                self.error = StopTimeout(
                    f"websocket engine was not stopped within {self._stop_timeout:g} s"
                )
                self._feed(Input.STOP_TIMEOUT, now)
        elif now >= self._until:
            self._until = math.inf
            if self.state is State.WAITING:
                self._feed(Input.DUE, now)
            else:
                self.error = OpenTimeout(f"not open within {self._open_timeout:g} s")
                self._feed(Input.OPEN_TIMEOUT, now)

    # --- the table ------------------------------------------------------------------------------

    def _feed(self, happened: Input, now: float) -> None:
        following = TABLE.get((self.state, happened))
        if following is None:
            return
        if isinstance(following, Next):
            ends = following is Next.RECONNECT and not self._auto_reconnect
            if following is Next.RECONNECT and not self._is_stable:
                following = Next.RETRY
            following = _CHOICES[following][self.leaving or ends]
        self._enter(following, now)

    def _enter(self, state: State, now: float) -> None:
        before, self.state = self.state, state
        self._until = math.inf
        if before is State.OPEN and self._stable_after is not None:
            self._is_stable = now - self._opened >= self._stable_after
        if state in _ATTEMPTS:
            self.attempt = self.attempt + 1 if before is State.WAITING else 0
            if self._open_timeout is not None:
                self._until = now + self._open_timeout
        elif state is State.WAITING:
            self._until = now + self._retries.delay(self.attempt + 1)
        elif state is State.IDLE:
            self._stop_deadline = math.inf
        if state is not State.CLOSED:
            self.details = None
