"""One connection of a provider's that is kept up: dialled, attended to, dialled again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

import trio

from wirecore.errors import UpgradeRejected, printable
from wirecore.session import Backoff

from .._supervise import Redial, RetryPolicy, dial_until_open
from ..websocket._client import Dialer
from ..websocket._opened import Upgraded
from ._events import Event, Events, Happening
from ._options import ProviderOptions

#: Part by which each delay is spread, so that providers that lost one pool don't come in step.
_JITTER = 0.1

#: The shortest delay: a schedule has none of 0.
_LEAST = 1e-6


#: Bytes of what a pool says as it refuses.
_MOST_SAID = 200


class Channel(Protocol):
    """An open connection."""

    error: Exception | None

    async def run(self, leftover: bytes) -> None:
        """See to it until it has ended."""

    def close(self) -> None:
        """Begin the end in good order."""

    def abort(self) -> None:
        """End it now."""

    async def wait_ended(self) -> None:
        """Wait until it has ended."""


ChannelT = TypeVar("ChannelT", bound=Channel)


class Line(Generic[ChannelT]):
    """The connection number *number* to *dialer*'s pool; *make* makes its channel."""

    def __init__(
        self,
        number: int,
        dialer: Dialer,
        options: ProviderOptions,
        make: Callable[[Upgraded], ChannelT],
        events: Events,
    ) -> None:
        self._number = number
        self._dialer = dialer
        self._options = options
        self._make = make
        self._events = events
        self._dialled = 0
        self._over = False  # what ends, or fails, isn't dialled again
        self._stopped = False
        self._asking = False  # the pool may have let this end in already, and call it
        self._scope = trio.CancelScope()
        self._ended = False
        #: The open connection.
        self.channel: ChannelT | None = None
        #: Why the last attempt failed; None where it didn't.
        self.error: Exception | None = None

    async def keep(self) -> None:
        """Keep it up until :meth:`stop`, or the attempts are used up.

        Raises nothing but cancellation: *error* says why it ended.
        """
        try:
            with self._scope:
                await self._keep()
        except Exception as error:  # noqa: BLE001 - told to whoever asks
            self._failed(error, 0)
        finally:
            self._ended = True
            self._events.change()

    async def _keep(self) -> None:
        policy = self._policy()
        redial = Redial(policy)
        while True:
            upgraded = await dial_until_open(
                self._attempt,
                replace(policy, attempts=self._left()),
                what=self._dialer.name,
                backoff=redial.backoff,
                on_failure=self._failed,
            )
            self.error = None
            redial.opened()
            await self._attend(upgraded)
            if self._over or self._left() == 0:
                return
            await redial.pause()

    def stop(self) -> None:
        """Dial no more, and begin to close what is open."""
        self._over = self._stopped = True
        if self.channel is None:
            self._scope.cancel()
        else:
            self.channel.close()

    def dial_no_more(self) -> None:
        """The connection that there is, or that the pool was asked for, is the last one."""
        self._over = True
        if self.channel is None and not self._asking:
            self._scope.cancel()

    async def wait_open(self) -> ChannelT | None:
        """The open connection, once there is one; None where there is to be none any more."""
        while self.channel is None and not self._ended:
            await self._events.wait()
        return self.channel

    def _policy(self) -> RetryPolicy:
        options = self._options
        base = max(options.delay, _LEAST)
        cap = max(base, options.max_delay)
        factor = 2.0 if cap > base else 1.0
        return RetryPolicy(
            backoff=lambda: Backoff(base, factor, _JITTER, cap), persist=options.persist
        )

    def _left(self) -> int | None:
        most = self._options.max_attempts
        return None if most is None else most - self._dialled

    async def _attempt(self) -> Upgraded:
        self._dialled += 1
        try:
            return await self._dialer.open(self._asks)
        except UpgradeRejected as error:
            said = _said(error)
            if said:
                error.args = (f"{error}: {said}",)
            raise
        finally:
            self._asking = False

    def _asks(self) -> None:
        self._asking = True

    def _failed(self, error: Exception, delay: float) -> None:
        self.error = error
        if self._over:
            self._scope.cancel()
        self._tell(Happening.FAILED, error)

    def _tell(self, kind: Happening, error: Exception | None = None) -> None:
        self._events.tell(Event(kind, self._dialer.name, self._number, error))

    async def _attend(self, upgraded: Upgraded) -> None:
        channel = self._make(upgraded)
        self.channel = channel
        try:
            if self._stopped:
                channel.close()
            self._tell(Happening.CONNECTED)
            await channel.run(upgraded.leftover)
        finally:
            self.channel = None
            channel.abort()
            self._tell(Happening.DISCONNECTED, channel.error)


def _said(error: UpgradeRejected) -> str:
    """Why the pool refused, in its own words; "" where it has none that are text."""
    kind = dict(error.headers).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"text/plain":
        return ""
    return printable(error.body[:_MOST_SAID].decode("utf-8", "replace").strip())
