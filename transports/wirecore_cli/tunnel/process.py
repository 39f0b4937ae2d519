"""A gateway as a process: HTTP in front, publishers behind, and the page that shows both."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import click
import trio

from wirecore_trio._errors import alone
from wirecore_trio._listeners import open_listeners
from wirecore_trio._serving_health import ServesHealth
from wirecore_trio.wsrpc._address import show_address

from .access_log import log_access

if TYPE_CHECKING:
    from wirecore_trio._listening import Listening

    from .setting_up import SetUp

#: Seconds for publishers to say goodbye, when the last request is through.
_LAST: Final = 5.0

#: Seconds until callers of WebSockets are told to go; who reads nothing isn't waited for.
_GOODBYE: Final = 1.0


class Public:
    """The public side, which listens. *port*: where."""

    def __init__(self, port: int) -> None:
        self.port = port


class GatewayProcess(ServesHealth):
    """Runs what *set_up* made; it is what ``serve_until_stopped`` wants of a server."""

    def __init__(self, set_up: SetUp) -> None:
        log_access(set_up.access_log)
        self._set_up = set_up
        self._front = set_up.front
        self._is_draining = False
        self._at_once = trio.CancelScope()
        self._closed = trio.Event()
        self._publishers: Listening | None = None
        self._live: Listening | None = None

    async def serve(
        self,
        host: str,
        port: int,
        *,
        task_status: trio.TaskStatus[Public] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen on all sides, and serve until it was stopped. Raises OSError."""
        server, gateway = self._set_up.server, self._set_up.gateway
        with alone():
            async with trio.open_nursery() as nursery:
                self._publishers = await nursery.start(
                    partial(
                        server.serve, *self._set_up.publishers, ssl_context=self._set_up.context
                    )
                )
                if self._set_up.live is not None:
                    self._live = await nursery.start(gateway.serve_live, *self._set_up.live)
                try:
                    with self._at_once:
                        await self._serve_http(host, port, task_status)
                    # The publishers last: what runs in front needs them.
                    await server.drain(_LAST)
                finally:
                    self._closed.set()
                nursery.cancel_scope.cancel()

    async def _serve_http(self, host: str, port: int, task_status: trio.TaskStatus[Public]) -> None:
        sockets = await open_listeners(host, port)
        bound = sockets[0].getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(self._front.serve, sockets)
            task_status.started(Public(bound))

    async def drain(self, grace: float | None = 30.0) -> None:
        """Take no more requests, have those that run end, and stop; *grace* 0: at once.

        WebSockets are closed at the beginning, as they may last for ever.
        """
        if grace == 0:
            self._at_once.cancel()
        self._is_draining = True
        try:
            with trio.move_on_after(_GOODBYE):
                await self._set_up.gateway.close_websockets()
        finally:
            self._front.stop(grace)

    async def wait_closed(self) -> None:
        """Wait until all has ended."""
        await self._closed.wait()

    def _why_not_ready(self) -> str:
        return "draining" if self._is_draining else ""

    def tell(self, address: str) -> None:
        """Say what is where, on standard output: a line each, in this order."""
        set_up = self._set_up
        click.echo(f"listening on http{'s' if set_up.certificate else ''}://{address}")
        if self._publishers is not None:
            where = show_address(set_up.publishers[0], self._publishers.port)
            click.echo(f"publishers on ws{'s' if set_up.context else ''}://{where}/")
        if self._live is not None and set_up.live is not None:
            click.echo(f"live view on http://{show_address(set_up.live[0], self._live.port)}/")
