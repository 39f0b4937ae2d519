"""Staying connected to a Redis: which failures end it, and when to connect again."""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from wirecore.session import Backoff

from ._redis_link import RedisAddress
from ._supervise import Redial, RetryPolicy


class RedisAttempts:
    """Connecting to *address* again and again.

    *passing*: the failures that may pass, also before it was ever ready; any other is raised then.
    *started*: called when it is ready for the first time, *resumed* each time after. *logger*: told
    of every loss and attempt.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        passing: type[Exception],
        started: Callable[[], None],
        resumed: Callable[[], None] | None = None,
        logger: logging.Logger,
    ) -> None:
        self._address = address
        self._passing = passing
        self._started = started
        self._resumed = resumed
        self._logger = logger
        self._redial = Redial(RetryPolicy(backoff=lambda: Backoff(0.1, 2.0, 0.2, 10.0)))
        self._has_started = False
        self._was_ready = False

    def ready(self) -> None:
        """What has connected works."""
        self._was_ready = True
        self._redial.opened()
        if self._has_started:
            self._logger.info("%s is there again", self._address)
            if self._resumed is not None:
                self._resumed()
        else:
            self._has_started = True
            self._started()

    def failed(self, failure: Exception | None) -> None:
        """It came to its end; by *failure*, perhaps a group of several. Raises what is final."""
        while isinstance(failure, ExceptionGroup):
            failure = failure.exceptions[0]
        if failure is None:
            return
        if not self._has_started and not isinstance(failure, self._passing):
            raise failure
        self._logger.warning("%s; connecting again", failure)

    async def pause(self) -> None:
        """Wait until the next attempt is due."""
        was_ready, self._was_ready = self._was_ready, False
        if was_ready:
            await self._redial.pause()
        else:
            await trio.sleep(self._redial.backoff.next_delay())
