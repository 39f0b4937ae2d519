"""Subscriptions that are sent again after each open, and their acknowledgements."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from wirecore.errors import CallTimeout, ConnectionLost

from .._errors import CallLost
from ._messages import answer_of, made_message

if TYPE_CHECKING:
    from ._session import Session
    from .adapters import Message

logger = logging.getLogger("wirecore.engine")


class Subscription:
    """What a server is asked for, on each connection; :meth:`Engine.subscribe` makes it."""

    def __init__(
        self,
        owner: Subscriptions,
        message: Message | Callable[[], Message],
        acknowledges: Callable[[Message], bool] | None,
        timeout: float,
    ) -> None:
        self._owner = owner
        self._message = message
        self._acknowledges = acknowledges
        self._timeout = timeout
        self._acknowledged = trio.Event()
        self._session: Session | None = None  # on which it was asked for last

    @property
    def acknowledged(self) -> bool:
        """Whether this connection's server has acknowledged it."""
        return self._acknowledged.is_set()

    def cancel(self) -> None:
        """Ask for it on no further connection. Idempotent."""
        self._owner.remove(self)

    async def _ask(self, session: Session) -> None:
        """Send it, and wait for the acknowledgement.

        Raises CallTimeout, CallLost, what its function raises, and as ``send``.
        """
        self._acknowledged = trio.Event()
        self._session = session
        message = made_message(self._message)
        if self._acknowledges is None:
            await session.send(message)
            self._acknowledged.set()
            return
        self._owner.waiting.append(self)
        try:
            with trio.move_on_after(self._timeout):
                await session.send(message)
                await _first(self._acknowledged, session.lost)
                if not self.acknowledged:
                    raise CallLost(
                        "the connection ended before a subscription was acknowledged",
                        execution="maybe_executed",
                    )
                return
        finally:
            self._owner.waiting.remove(self)
        raise CallTimeout(f"no acknowledgement of a subscription within {self._timeout:g} s")

    def _offer(self, message: Message) -> bool:
        assert self._acknowledges is not None
        try:
            return bool(answer_of(self._acknowledges, message))
        except Exception:
            logger.exception("a subscription's acknowledges failed, and it isn't acknowledged")
            return False


class Subscriptions:
    """The subscriptions of one engine, in their order."""

    def __init__(self) -> None:
        self._all: list[Subscription] = []
        #: Those whose acknowledgement is waited for.
        self.waiting: list[Subscription] = []

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self._all)

    def add(self, subscription: Subscription) -> None:
        """One more."""
        self._all.append(subscription)

    def remove(self, subscription: Subscription) -> None:
        """One less."""
        if subscription in self._all:
            self._all.remove(subscription)

    def offer(self, message: Message) -> None:
        """A message came: it may acknowledge the one that waits longest of those it fits."""
        for subscription in self.waiting:
            if not subscription.acknowledged and subscription._offer(message):
                subscription._acknowledged.set()
                return

    async def ask_all(self, session: Session) -> None:
        """Ask for all of them again, one after the other.

        Raises CallTimeout, and ConnectionLost. What else goes wrong with one is most likely its
        own function's doing, which another connection wouldn't mend: it is logged, and the next
        follows.
        """
        for subscription in list(self._all):
            if subscription in self._all and subscription._session is not session:
                try:
                    await subscription._ask(session)
                except (CallTimeout, ConnectionLost):
                    raise
                except Exception:
                    logger.exception("a subscription couldn't be sent on this connection")


async def _first(*events: trio.Event) -> None:
    """Wait for the first of them."""

    async def wait(event: trio.Event) -> None:
        await event.wait()
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for event in events:
            nursery.start_soon(wait, event)
