"""A provider that serves: the connections over which pools call it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from wirecore.session.limits import check_at_least

from .._arguments import require_seconds
from ._context import refuse_in_handlers
from ._kept import Kept
from ._line import Line
from ._serving_channel import ServingChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..websocket._client import Dialer
    from ..websocket._opened import Upgraded
    from ._options import ProviderOptions


class Serving(Kept[ServingChannel]):
    """A provider's connections to pools; ``async with provider.serve(...)`` gives it."""

    def __init__(
        self,
        dialers: Sequence[Dialer],
        options: ProviderOptions,
        make: Callable[[Upgraded, Serving, str], ServingChannel],
    ) -> None:
        super().__init__(options)

        def make_for(name: str) -> Callable[[Upgraded], ServingChannel]:
            return lambda upgraded: make(upgraded, self, name)

        self._lines = [
            Line(number, dialer, options, make_for(dialer.name), self._events)
            for number, dialer in enumerate(dialers)
        ]

    async def drain(self, grace: float | None = 30.0) -> None:
        """Leave in good order: take no more calls, answer those that came, and close.

        A pool of wirecore is told, and sends no more. The original can't be: a call that is on its
        way as this closes is one that it queues again, or, rarely, ends with "close sent". After
        *grace* seconds (None: never) it closes in any case. Raises RuntimeError in a handler of its
        own, unless *grace* is 0: start it in a task that the handler doesn't wait for.
        """
        require_seconds("grace", grace)
        if grace is not None:
            check_at_least("grace", grace, 0)
        if grace != 0:
            channels = [line.channel for line in self._lines if line.channel is not None]
            refuse_in_handlers(self._nursery, channels)
        for line in self._lines:
            line.dial_no_more()
        with trio.move_on_after(math.inf if grace is None else grace):
            async with trio.open_nursery() as nursery:
                for line in self._lines:
                    nursery.start_soon(_leave, line)
        await self.close()


async def _leave(line: Line[ServingChannel]) -> None:
    # One that is just being opened leaves like the others: the pool may have called it already.
    channel = await line.wait_open()
    if channel is not None:
        await channel.leave()
