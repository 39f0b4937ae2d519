"""Running a provider as a process: it says when it is connected, obeys signals, drains."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence

import click
import trio

from wirecore.errors import LocalError
from wirecore_trio import drain_on_signal, pool
from wirecore_trio._errors import alone

from ..failures import Failure, Status, text_of
from .objects import load_object
from .provide import ProvideOptions
from .reaching import Dialled, hint

logger = logging.getLogger("wirecore.pool")


def make_provider(references: Sequence[str], options: ProvideOptions) -> pool.Provider:
    """A provider of what *references* name. Raises Failure."""
    provider = pool.Provider(options=pool.ProviderOptions(persist=options["persist"]))
    for reference in references:
        service = load_object(reference, options["app_dir"])
        try:
            provider.register(service)
        except (LocalError, TypeError) as error:
            raise Failure(f"{reference}: {error}", Status.USAGE) from error
    return provider


async def provide_until_stopped(
    provider: pool.Provider, dialled: Dialled, options: ProvideOptions
) -> int:
    """Serve until a signal stops it, or no pool takes it any more; the exit status.

    Raises Failure for the latter.
    """
    keeping = provider.serve(
        *options["urls"],
        connections=options["connections"],
        codec=options["codec"],
        name=options["name"],
        labels=options["labels"],
        concurrency=options["concurrency"],
        **dialled.keywords,
    )
    with alone():
        async with keeping as serving, trio.open_nursery() as nursery:
            stoppable = _Stoppable(serving)
            nursery.start_soon(_tell, serving.events(), stoppable)
            number = await drain_on_signal(
                stoppable, signal.SIGINT, signal.SIGTERM, grace=options["grace"]
            )
    if number is not None:
        return 128 + number  # as a shell says which signal it was
    error = serving.error
    if error is not None and not stoppable.stopped:
        raise Failure(f"{text_of(error)}{hint(error)}", Status.NO_CONNECTION) from error
    return 0


class _Stoppable:
    """*serving*, as what a signal drains; *stopped*: one did."""

    def __init__(self, serving: pool.Serving) -> None:
        self._serving = serving
        self.stopped = False
        self.wait_closed = serving.wait_closed

    async def drain(self, grace: float | None = 30.0) -> None:
        """Take no more calls, answer those that came, and close."""
        self.stopped = True
        await self._serving.drain(grace)


async def _tell(events: pool.Listener, stoppable: _Stoppable) -> None:
    """Say on standard output what it is connected to, and log the rest."""
    async for event in events:
        match event.kind:
            case pool.Happening.CONNECTED:
                click.echo(f"connected to {event.url}")
            case pool.Happening.DISCONNECTED if event.error is not None and not stoppable.stopped:
                logger.warning("%s: the connection was lost: %s", event.url, event.error)
