"""Stopping in good order when the system says so."""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator
from typing import Final, Protocol

import trio

from wirecore.errors import InvalidOption
from wirecore.session.limits import check_at_least

from ._arguments import kind_of, require_int, require_seconds
from ._errors import alone, require_trio

logger = logging.getLogger("wirecore.serve")

#: The system keeps these from every program.
_UNCATCHABLE: Final = frozenset(
    getattr(signal, name) for name in ("SIGKILL", "SIGSTOP") if hasattr(signal, name)
)


class Drainable(Protocol):
    """What can be stopped in good order: this package's servers, and what a provider serves."""

    async def drain(self, grace: float | None = 30.0) -> None:
        """Stop in good order, within *grace* seconds."""

    async def wait_closed(self) -> None:
        """Wait until it has ended."""


async def drain_on_signal(
    server: Drainable,
    *signals: int,
    grace: float | None = 30.0,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> int | None:
    """Drain *server* when one of *signals* comes, by default SIGTERM; a second one cuts it short.

    ``await nursery.start(drain_on_signal, server)``, once the server listens, is all that a
    service needs. *server* may also be a pool's provider that serves: the ``serving`` of ``async
    with provider.serve(...) as serving``. Returns when it has ended, whoever ended it: the number
    of the signal that cut it short, None where none did. From then on the signals do what they did
    before, which for SIGTERM is to end the process. *grace*: see *server*'s ``drain``. For the main
    thread only, as all of Python's signals: RuntimeError elsewhere. Raises TypeError for what can't
    be drained, InvalidOption for a number that is no signal that can be caught, and for a *grace*
    below 0.
    """
    require_trio()
    for name in ("drain", "wait_closed"):
        if not callable(getattr(server, name, None)):
            raise TypeError(
                f"{kind_of(server)} can't be drained: give the server itself, not what its serve "
                "reports; of a provider, what async with provider.serve(...) gives"
            )
    require_seconds("grace", grace)
    if grace is not None:
        check_at_least("grace", grace, 0)
    wanted = signals or (signal.SIGTERM,)
    for number in wanted:
        require_int("a signal", number)
        if number not in signal.valid_signals() or number in _UNCATCHABLE:
            raise InvalidOption(f"{number!r} is no signal that a program can wait for")
    draining = _Draining(server, grace)
    with alone(), trio.open_signal_receiver(*wanted) as received:
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(draining.listen, received, nursery)
            await server.wait_closed()
            nursery.cancel_scope.cancel()
    return draining.cut_short_by


class _Draining:
    def __init__(self, server: Drainable, grace: float | None) -> None:
        self._server = server
        self._grace = grace
        self.cut_short_by: int | None = None

    async def listen(self, received: AsyncIterator[int], nursery: trio.Nursery) -> None:
        """Drain at the first of the signals *received*, and stop at once at the second."""
        first = _name(await anext(received))
        patience = "however long it takes" if self._grace is None else f"{self._grace:g} s at most"
        logger.info("%s: draining, %s; once more stops it at once", first, patience)
        nursery.start_soon(self._server.drain, self._grace)
        async for number in received:
            self.cut_short_by = self.cut_short_by or number
            logger.warning("%s: stopping at once", _name(number))
            nursery.start_soon(self._server.drain, 0)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals
        return f"signal {number}"
