"""What is kept up while a connection is open: subscriptions, heartbeats, the watch over silence."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import trio

from wirecore import errors

if TYPE_CHECKING:
    from ._options import Heartbeat, Options
    from ._reading import Reading
    from ._session import Session
    from ._subscriptions import Subscriptions

logger = logging.getLogger("wirecore.engine")

#: Seconds that a sum of times may be off: to sleep for less could be not to sleep at all.
_ROUNDING: Final = 1e-9


class Keeping:
    """Keeps *session*, which is read by *reading*, as *options* say, until :meth:`end`."""

    def __init__(
        self, session: Session, reading: Reading, options: Options, subscriptions: Subscriptions
    ) -> None:
        self._session = session
        self._reading = reading
        self._options = options
        self._subscriptions = subscriptions
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        """Do it."""
        options = self._options
        with self._scope:
            async with trio.open_nursery() as nursery:
                if options.heartbeat is not None:
                    nursery.start_soon(self._beat, options.heartbeat)
                if options.idle_timeout is not None:
                    nursery.start_soon(self._watch, options.idle_timeout)
                if self._subscriptions.any:
                    nursery.start_soon(self._subscribe_again)

    def end(self) -> None:
        """The connection has ended."""
        self._scope.cancel()
        self._session.lost.set()

    async def _subscribe_again(self) -> None:
        try:
            await self._subscriptions.ask_all(self._session)
        except errors.CallTimeout as error:
            logger.warning("%s; the engine makes another connection", error)
            self._session.restart()
        except errors.ConnectionLost:
            pass  # the reader hears of it

    async def _beat(self, heartbeat: Heartbeat) -> None:
        while True:
            await trio.sleep(heartbeat.interval)
            try:
                await self._session.send(heartbeat.make())
            except errors.ConnectionLost:
                return  # the reader hears of it
            except Exception:
                logger.exception("a heartbeat couldn't be sent; the next one is tried")

    async def _watch(self, seconds: float) -> None:
        while True:
            left = seconds - self._reading.silence(trio.current_time())
            if left <= _ROUNDING:
                logger.warning("no message came for %g s: another connection is made", seconds)
                self._session.restart()
                return
            # While nobody listens, no silence is counted, and what is left stays what it is.
            await trio.sleep(max(left, seconds / 100))
