"""Servers that answer health probes on an address of its own."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence

import trio

from ._arguments import require_int, require_type
from ._errors import require_trio
from ._health import serve_health
from ._listeners import listen
from ._listening import Listening


class ServesHealth(ABC):
    """A server that can say whether it is ready."""

    @abstractmethod
    def _why_not_ready(self) -> str:
        """Why no client is let in now, in a word; "" where they are."""

    @abstractmethod
    async def wait_closed(self) -> None:
        """Wait until the server has ended."""

    async def serve_health(
        self,
        host: str | None = None,
        port: int = 0,
        *,
        listeners: Sequence[socket.socket] | None = None,
        task_status: trio.TaskStatus[Listening] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Answer plain HTTP on an address of its own: ``/healthz``, ``/livez`` and ``/readyz``.

        The first two are 200 as long as this process answers at all, as the original's; the
        third is 503 before the server listens and while it drains. Returns when the server has
        ended (see :meth:`wait_closed`). Arguments and errors as :meth:`serve`'s.
        """
        require_trio()
        require_type("host", host, str, optional=True)
        require_int("port", port)
        await serve_health(
            self._why_not_ready,
            self.wait_closed,
            await listen(host, port) if listeners is None else listeners,
            task_status=task_status,
        )
