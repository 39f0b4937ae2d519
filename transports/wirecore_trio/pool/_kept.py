"""What a provider keeps up: connections to pools, how they come to their end, who is told."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio

from wirecore import errors

from .._admission import Total
from .._dispatch import Workers
from .._entered import Entered
from .._errors import require_trio
from .._tasks import HiddenNursery
from ._events import Event, Events, Happening, Listener
from ._line import ChannelT, Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._options import ProviderOptions


class Kept(Generic[ChannelT]):
    """Connections that are kept up; its base, with what both directions have."""

    _lines: Sequence[Line[ChannelT]]
    _nursery: trio.Nursery

    def __init__(self, options: ProviderOptions) -> None:
        self._options = options
        self._events = Events()
        self._handling = Total(options.max_total_handlers)
        self._workers: Workers  # once it was entered

    def __repr__(self) -> str:
        return f"<pool.{type(self).__name__} over {self.connected} of {len(self._lines)}>"

    @property
    def connected(self) -> int:
        """How many of the connections are open."""
        return sum(line.channel is not None for line in self._lines)

    @property
    def closed(self) -> bool:
        """Whether it has come to its end: closed, or with its attempts used up."""
        return self._events.over

    @property
    def error(self) -> Exception | None:
        """Why the last attempt to connect failed; None where the last one succeeded."""
        return next((line.error for line in self._lines if line.error is not None), None)

    def events(self) -> Listener:
        """What happens from now on, for ``async for``; the last is that it is closed."""
        return self._events.listen()

    async def wait_connected(self) -> None:
        """Wait until a connection is open. Raises *error* where it comes to its end before."""
        await trio.lowlevel.checkpoint()
        while not self.connected:
            if self.closed:
                error = self.error or errors.InvalidState("it was closed")
                raise error.with_traceback(None)  # or each wait would add to it
            await self._events.wait()

    async def wait_disconnected(self) -> None:
        """Wait until no connection is open."""
        await trio.lowlevel.checkpoint()
        while self.connected:
            await self._events.wait()

    async def wait_closed(self) -> None:
        """Wait until it comes to its end; *error* says why, and is None where it was closed."""
        await trio.lowlevel.checkpoint()
        while not self.closed:
            await self._events.wait()

    async def close(self) -> None:
        """Close the connections, and dial no more. Calls under way are lost. Idempotent."""
        for line in self._lines:
            line.stop()
        await self.wait_closed()

    async def _keep(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                for line in self._lines:
                    nursery.start_soon(line.keep)
        finally:
            self._events.tell(Event(Happening.CLOSED, error=self.error))


KeptT = TypeVar("KeptT", bound=Kept[Any])


class Keeping(Entered, Generic[KeptT]):
    """What ``serve`` and ``connect_callbacks`` of a provider return: ``async with`` it, once."""

    _use = "use async with provider.serve(...) or provider.connect_callbacks(...)"

    def __init__(self, kept: KeptT, *, wait: bool) -> None:
        self._kept = kept
        self._wait = wait
        self._entered = False
        self._tasks = HiddenNursery()

    async def __aenter__(self) -> KeptT:
        """Begin to dial. Raises InvalidState the second time, and with *wait* as wait_connected."""
        require_trio()
        if self._entered:
            raise errors.InvalidState("it was entered already: make a new one")
        self._entered = True
        await self._tasks.enter()
        kept = self._kept
        kept._nursery = self._tasks.nursery
        kept._workers = Workers(kept._nursery, threads=kept._options.max_handler_threads)
        self._tasks.nursery.start_soon(self._kept._keep)
        try:
            if self._wait:
                await self._kept.wait_connected()
        except BaseException as error:
            await self._tasks.leave(error)
            raise
        return self._kept

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                with trio.move_on_after(self._kept._options.close_timeout):
                    await self._kept.close()
        finally:
            await self._tasks.leave(error)
