"""Stopping in good order when the system says so."""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator
from typing import Final, Protocol

import trio

from wirecore.errors import InvalidOption
from wirecore.session.limits import check_at_least

from ._arguments import require_seconds
from ._errors import alone, require_trio

logger = logging.getLogger("wirecore.serve")

#: The system keeps these from every program.
_UNCATCHABLE: Final = frozenset(
    getattr(signal, name) for name in ("SIGKILL", "SIGSTOP") if hasattr(signal, name)
)


class Drainable(Protocol):
    """A server that can be stopped in good order: those of this package are."""

    async def drain(self, grace: float | None = 30.0) -> None:
        """Stop in good order, within *grace* seconds."""

    async def wait_closed(self) -> None:
        """Wait until the server has ended."""


async def drain_on_signal(
    server: Drainable,
    *signals: int,
    grace: float | None = 30.0,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Drain *server* when one of *signals* comes, by default SIGTERM; a second one cuts it short.

    ``nursery.start_soon(drain_on_signal, server)`` beside the server is all that a service
    needs, or ``await nursery.start(drain_on_signal, server)``, after which no signal is missed.
    Returns when the server has ended, whoever ended it. *grace*: see the server's ``drain``.
    For the main thread only, as all of Python's signals: RuntimeError elsewhere. Raises
    InvalidOption for a number that is no signal that can be caught, and for a *grace* below 0.
    """
    require_trio()
    require_seconds("grace", grace)
    if grace is not None:
        check_at_least("grace", grace, 0)
    wanted = signals or (signal.SIGTERM,)
    for number in wanted:
        if number not in signal.valid_signals() or number in _UNCATCHABLE:
            raise InvalidOption(f"{number!r} is no signal that a program can wait for")
    with alone(), trio.open_signal_receiver(*wanted) as received:
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_listen, server, received, grace, nursery)
            await server.wait_closed()
            nursery.cancel_scope.cancel()


async def _listen(
    server: Drainable,
    received: AsyncIterator[int],
    grace: float | None,
    nursery: trio.Nursery,
) -> None:
    name = signal.Signals(await anext(received)).name
    patience = "however long it takes" if grace is None else f"{grace:g} s at most"
    logger.info("%s: the server is drained, %s", name, patience)
    nursery.start_soon(server.drain, grace)
    async for again in received:
        logger.warning("%s: the server is stopped at once", signal.Signals(again).name)
        nursery.start_soon(server.drain, 0)
