"""A pool as a process: its server, its control socket, its metrics, and what is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from wirecore_trio import pool
from wirecore_trio._errors import alone
from wirecore_trio._listening import Listening
from wirecore_trio.wsrpc._address import show_address

from .control import open_socket
from .paths import CallbackOption, PathOption

#: Seconds for the last answers over the control socket.
_LAST = 5.0


class PoolProcess:
    """*server*, with *control* on the socket *socket* (None: none), and *metrics* somewhere.

    It is what ``serve_until_stopped`` wants of a server.
    """

    def __init__(
        self,
        server: pool.PoolServer,
        control: pool.PoolServer,
        socket: Path | None,
        metrics: tuple[str, int] | None,
    ) -> None:
        self._server = server
        self._control = control
        self._socket = socket
        self._metrics = metrics
        self._metrics_listening: Listening | None = None
        self._closed = trio.Event()
        self.serve_health = server.serve_health

    async def serve(
        self,
        host: str,
        port: int,
        *,
        task_status: trio.TaskStatus[Listening] = trio.TASK_STATUS_IGNORED,
        **keywords: Any,
    ) -> None:
        """Listen on all of them, and serve until the pool has ended. Raises OSError, Failure."""
        with alone():
            async with trio.open_nursery() as nursery:
                if self._socket is not None:
                    listener = await open_socket(self._socket)
                    await nursery.start(partial(self._control.serve, listeners=[listener]))
                if self._metrics is not None:
                    self._metrics_listening = await nursery.start(
                        self._server.serve_metrics, *self._metrics
                    )
                try:
                    await self._server.serve(host, port, task_status=task_status, **keywords)
                    await self._control.drain(_LAST)
                finally:
                    self._closed.set()
                nursery.cancel_scope.cancel()

    async def drain(self, grace: float | None = 30.0) -> None:
        """Stop in good order."""
        await self._server.drain(grace)

    async def wait_closed(self) -> None:
        """Wait until all has ended."""
        await self._closed.wait()

    @property
    def places(self) -> Iterator[str]:
        """Where the control socket and the metrics are, a line each."""
        if self._socket is not None:
            yield f"control {self._socket}"
        if self._metrics is not None and self._metrics_listening is not None:
            address = show_address(self._metrics[0], self._metrics_listening.port)
            yield f"metrics on http://{address}/metrics"


@dataclass(frozen=True)
class Told:
    """What is said once the pool listens, on standard output."""

    process: PoolProcess
    paths: Sequence[PathOption]
    callbacks: Sequence[CallbackOption]
    scheme: str

    def tell(self, address: str) -> None:
        """Say where it listens, and what is where: a line each, in this order."""
        click.echo(f"listening on {self.scheme}://{address}")
        for each in self.paths:
            click.echo(f"path {each.path} ({each.codec}) {', '.join(each.names) or 'the default'}")
        for callback in self.callbacks:
            click.echo(f"call-backs {callback.path} ({callback.codec}) {callback.reference}")
        for place in self.process.places:
            click.echo(place)
