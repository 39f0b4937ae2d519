"""Connecting until it works: which failures are final, and how long to wait between attempts."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Final, TypeVar

import trio

from wirecore import errors
from wirecore.session import Backoff
from wirecore.session.limits import check_at_least, check_seconds

from ._arguments import kind_of, require_int, require_seconds

logger = logging.getLogger("wirecore.connect")

Opened = TypeVar("Opened")

#: HTTP statuses that another attempt may well change: timeout, too early, too many requests.
_PASSING: Final = frozenset({408, 425, 429})


#: What a source of credentials may fail with because something is out of reach.
_PASSING_CAUSES: Final = (OSError, trio.TooSlowError, trio.BrokenResourceError)


def fatal_statuses() -> frozenset[int]:
    """The default for ``RetryPolicy.fatal_statuses``: 3xx and 4xx, less 408, 425 and 429."""
    return frozenset(range(300, 500)) - _PASSING


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again after a failed attempt.

    *backoff*: makes the schedule of delays; called once for each series of attempts.
    *attempts*: how many before the last error is raised; None: for ever.
    *fatal_statuses*: HTTP statuses that end the retrying: the server was reached and said no.
    *persist*: retry those too, and refused keys and certificates.
    *patience*: seconds without a connection after which the last error is raised; None: for ever.

    Raises TypeError for other types, InvalidOption for fewer attempts than 1, or a patience that
    isn't above 0.
    """

    backoff: Callable[[], Backoff] = Backoff.websocket
    attempts: int | None = None
    fatal_statuses: Collection[int] = field(default_factory=fatal_statuses)
    persist: bool = False
    patience: float | None = None

    def __post_init__(self) -> None:
        if not callable(self.backoff):
            raise TypeError(
                f"backoff must be a function that makes a Backoff, not {kind_of(self.backoff)}: "
                "each series of attempts has its own (lambda: Backoff(...))"
            )
        statuses: object = self.fatal_statuses
        if isinstance(statuses, str) or not isinstance(statuses, Collection):
            raise TypeError(f"fatal_statuses must be a set of int, not {kind_of(statuses)}")
        if self.attempts is not None:
            require_int("attempts", self.attempts)
            check_at_least("attempts", self.attempts, 1)
        require_seconds("patience", self.patience)
        check_seconds("patience", self.patience)

    def is_fatal(self, error: Exception) -> bool:
        """Whether *error* ends the retrying."""
        if isinstance(error, errors.CredentialsUnavailable):
            # A vault out of reach may come back; a mistake in the program stays. But once a
            # connection was there, nothing of this may end the program.
            passing = isinstance(error.__cause__, _PASSING_CAUSES)
            return not (passing or self.persist)
        if isinstance(error, errors.LocalError | errors.Incompatible):
            return True  # asking the same again can't help
        if self.persist:
            return False
        if isinstance(error, errors.UpgradeRejected):
            return error.status in self.fatal_statuses
        return isinstance(error, errors.PeerRefused)


class Redial:
    """When to dial again after a connection that was open.

    At once, with the schedule begun anew, if it lived at least as long as the schedule's first
    delay. Else the schedule goes on: a server that accepts and closes at once would be dialled
    in a tight loop otherwise.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        #: The schedule, for the attempts in between too.
        self.backoff = policy.backoff()
        self._opened_at = 0.0

    def opened(self) -> None:
        """A connection is open."""
        self._opened_at = trio.current_time()

    async def pause(self) -> None:
        """The connection is gone: wait as long as it takes."""
        lived = trio.current_time() - self._opened_at
        if lived >= self.backoff.base:
            self.backoff.reset()
        else:
            await trio.sleep(max(0.0, self.backoff.next_delay() - lived))


#: What an attempt to connect raises when it fails for reasons that may pass.
RETRIED: Final = (
    OSError,
    errors.CredentialsUnavailable,
    errors.RemoteError,
    trio.BrokenResourceError,
)


async def dial_until_open(
    attempt: Callable[[], Awaitable[Opened]],
    policy: RetryPolicy,
    *,
    what: str,
    backoff: Backoff | None = None,
    on_failure: Callable[[Exception, float], None] | None = None,
) -> Opened:
    """Call *attempt* until it returns; every failure is logged.

    *what* is the name of the peer for the log. *backoff* goes on with a schedule begun before.
    *on_failure* gets the error and the delay before the next attempt. Raises the last error
    when it is fatal or the attempts are used up.
    """
    schedule = backoff or policy.backoff()
    count = 0
    begun = trio.current_time()
    patience = math.inf if policy.patience is None else policy.patience
    while True:
        count += 1
        try:
            return await attempt()
        except RETRIED as error:
            if policy.is_fatal(error) or count == policy.attempts:
                logger.error("connecting to %s failed for good: %s", what, error)
                raise
            delay = schedule.next_delay()
            if trio.current_time() + delay > begun + patience:
                logger.error("connecting to %s is given up after %g s: %s", what, patience, error)
                raise
            logger.warning(
                "connecting to %s failed (%s: %s); attempt %d in %.2f s",
                what,
                type(error).__name__,
                error,
                count + 1,
                delay,
            )
            if on_failure is not None:
                on_failure(error, delay)
        # Out of the block, or the next attempt's error would drag this one along as its context.
        await trio.sleep(delay)


async def supervise(
    opened: Opened,
    attend: Callable[[Opened], Awaitable[bool]],
    attempt: Callable[[], Awaitable[Opened]],
    policy: RetryPolicy,
    *,
    what: str,
) -> None:
    """Attend to *opened*, and connect again each time it is lost, until *attend* says False.

    Raises what *attempt* raises where *policy* gives up.
    """
    redial = Redial(policy)
    while True:
        redial.opened()
        if not await attend(opened):
            return
        await redial.pause()
        opened = await dial_until_open(attempt, policy, what=what, backoff=redial.backoff)
