"""What the public side of a gateway stands on: a server of HTTP, which others have written."""

from __future__ import annotations

import asyncio
import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence

import trio


class Front(ABC):
    """A server of HTTP for a gateway; it serves once."""

    @abstractmethod
    async def serve(
        self,
        sockets: Sequence[socket.socket],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve on *sockets*, which listen, and which it closes, until :meth:`stop`."""

    @abstractmethod
    def stop(self, grace: float | None) -> None:
        """Take no more requests, and have those that run end, within *grace* seconds."""


def is_news(record: logging.LogRecord) -> bool:
    """Whether *record* tells of a failure here, and not of a response that is broken off.

    A publisher did that: it is raised to have the server cut the connection, and the loss was
    logged where it happened. Or all is stopped at once.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, ConnectionAbortedError | asyncio.CancelledError)
