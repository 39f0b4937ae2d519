"""A gateway as a process: hypercorn in front, publishers behind, and the page that shows both."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click
import trio
from hypercorn.config import Config
from hypercorn.trio import serve as serve_http

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


class Public:
    """The public side, which listens. *port*: where."""

    def __init__(self, port: int) -> None:
        self.port = port


class GatewayProcess(ServesHealth):
    """Runs what *set_up* made; it is what ``serve_until_stopped`` wants of a server."""

    def __init__(self, set_up: SetUp) -> None:
        log_access(set_up.access_log)
        self._set_up = set_up
        self._config = _config(set_up)
        self._told_to_stop = trio.Event()
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
        # It takes them over, and closes them.
        self._config.bind = [f"fd://{each.detach()}" for each in sockets]
        async with trio.open_nursery() as nursery:
            app: Any = self._set_up.gateway
            await nursery.start(
                partial(serve_http, app, self._config, shutdown_trigger=self._told_to_stop.wait)
            )
            task_status.started(Public(bound))

    async def drain(self, grace: float | None = 30.0) -> None:
        """Take no more requests, have those that run end, and stop; *grace* 0: at once."""
        if grace == 0:
            self._at_once.cancel()
        if grace is not None:
            self._config.graceful_timeout = grace
        self._told_to_stop.set()

    async def wait_closed(self) -> None:
        """Wait until all has ended."""
        await self._closed.wait()

    def _why_not_ready(self) -> str:
        return "draining" if self._told_to_stop.is_set() else ""

    def tell(self, address: str) -> None:
        """Say what is where, on standard output: a line each, in this order."""
        set_up = self._set_up
        click.echo(f"listening on http{'s' if set_up.certificate else ''}://{address}")
        if self._publishers is not None:
            where = show_address(set_up.publishers[0], self._publishers.port)
            click.echo(f"publishers on ws{'s' if set_up.context else ''}://{where}/")
        if self._live is not None and set_up.live is not None:
            click.echo(f"live view on http://{show_address(set_up.live[0], self._live.port)}/")


def _is_fault(record: logging.LogRecord) -> bool:
    """Whether it tells of more than a response that broke off, as publishers are lost."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, ConnectionAbortedError)


def _config(set_up: SetUp) -> Config:
    """hypercorn's options."""
    config = Config()
    # What it tells is told here; what goes wrong stays.
    config.errorlog = logging.getLogger("hypercorn.error")
    config.errorlog.setLevel(logging.WARNING)
    config.errorlog.addFilter(_is_fault)
    config.errorlog.addFilter(_is_news)
    # A message of a WebSocket may be long, and each connection holds as many.
    config.max_app_queue_size = 2
    config.websocket_max_message_size = set_up.server.options.max_message_size
    # A publisher's own says what it is.
    config.include_server_header = False
    if set_up.certificate is not None:
        certificate, private = set_up.certificate
        config.certfile, config.keyfile = str(certificate), str(private)
    return config


def _is_news(record: logging.LogRecord) -> bool:
    """Whether *record* tells of a failure here, and not of a response that a publisher broke off.

    It is raised to have hypercorn cut the connection, and the loss was logged where it happened.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], ConnectionAbortedError))
