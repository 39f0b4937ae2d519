"""The public side of a gateway on hypercorn: HTTP/1.1, and HTTP/2."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio
from hypercorn.config import Config

from wirecore_trio.rest.hypercorn import serve

from .front import Front, is_news


class UnderHypercorn(Front):
    """See Front."""

    def __init__(
        self, app: Any, *, certificate: tuple[Path, Path] | None, max_message_size: int
    ) -> None:
        self._app = app
        self._told_to_stop = trio.Event()
        self._config = _config(certificate, max_message_size)

    async def serve(
        self,
        sockets: Sequence[socket.socket],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """See Front."""
        # It takes them over, and closes them.
        self._config.bind = [f"fd://{each.detach()}" for each in sockets]
        async with trio.open_nursery() as nursery:
            await nursery.start(
                partial(serve, self._app, self._config, shutdown_trigger=self._told_to_stop.wait)
            )
            task_status.started()

    def stop(self, grace: float | None) -> None:
        """See Front."""
        if grace is not None:
            self._config.graceful_timeout = grace
        self._told_to_stop.set()


def _config(certificate: tuple[Path, Path] | None, max_message_size: int) -> Config:
    """hypercorn's options."""
    config = Config()
    # What it tells is told here; what goes wrong stays.
    config.errorlog = logging.getLogger("hypercorn.error")
    config.errorlog.setLevel(logging.WARNING)
    config.errorlog.addFilter(is_news)
    # A message of a WebSocket may be long, and each connection holds as many.
    config.max_app_queue_size = 2
    config.websocket_max_message_size = max_message_size
    # A publisher's own says what it is.
    config.include_server_header = False
    if certificate is not None:
        config.certfile, config.keyfile = map(str, certificate)
    return config
