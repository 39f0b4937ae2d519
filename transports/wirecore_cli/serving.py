"""Running a server as a process: it says where it is, obeys signals, and ends in good order."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import click
import trio

from wirecore_trio import drain_on_signal
from wirecore_trio._errors import alone
from wirecore_trio._signals import Drainable
from wirecore_trio.wsrpc import Listening
from wirecore_trio.wsrpc._address import parse_address, show_address

from .failures import Failure, Status
from .options import PlaceOptions


class Servable(Drainable, Protocol):
    """What the servers of all protocols have alike."""

    @property
    def serve(self) -> Callable[..., Awaitable[None]]:
        """Listens on host and port until the server has ended."""

    @property
    def serve_health(self) -> Callable[..., Awaitable[None]]:
        """Answers plain HTTP on host and port meanwhile."""


class Place:
    """Where a server is to listen, and how it ends: read before anything else happens.

    Raises InvalidOption, and Failure, for what is no address.
    """

    def __init__(self, options: PlaceOptions) -> None:
        self.host, self.port = address_of(options["listen"], "--listen")
        health = options["health"]
        self.health = None if health is None else address_of(health, "--health")
        self.grace = options["grace"]


def address_of(text: str, option: str) -> tuple[str, int]:
    """Host and port of *text*, which *option* gave. Raises InvalidOption, Failure."""
    if "://" in text:
        raise Failure(f"{option}: an address is HOST:PORT without a scheme", Status.USAGE)
    return parse_address(text, lowest_port=0)


async def serve_until_stopped(
    server: Servable,
    place: Place,
    tell: Callable[[str], object],
    *,
    reload: Callable[[], object] | None = None,
    keywords: Mapping[str, Any] | None = None,
) -> int:
    """Serve until a signal stops it; the exit status. Raises OSError where it can't listen.

    *tell* is called with the address once it listens, and says what a client needs to know.
    *reload* is called with each SIGHUP. *keywords*: of the server's ``serve``.
    """
    status = 0

    async def serve(*, task_status: trio.TaskStatus[Listening]) -> None:
        await server.serve(place.host, place.port, task_status=task_status, **(keywords or {}))

    async def obey(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal status
        number = await drain_on_signal(
            server, signal.SIGINT, signal.SIGTERM, grace=place.grace, task_status=task_status
        )
        if number is not None:
            status = 128 + number  # as a shell says which signal it was
        nursery.cancel_scope.cancel()

    with alone():
        async with trio.open_nursery() as nursery:
            # Signals before it tells: who has read where it listens may send one.
            if reload is not None and hasattr(signal, "SIGHUP"):
                await nursery.start(_reload, reload)
            listening: Listening = await nursery.start(serve)
            probed: Listening | None = None
            if place.health is not None:
                probed = await nursery.start(server.serve_health, *place.health)
            await nursery.start(obey)
            tell(show_address(place.host, listening.port))
            if place.health is not None and probed is not None:
                click.echo(f"health on {show_address(place.health[0], probed.port)}")
    return status


async def _reload(
    reload: Callable[[], object], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            reload()
