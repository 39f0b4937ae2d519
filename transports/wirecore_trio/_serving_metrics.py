"""Metrics as a page of plain HTTP, for those who collect them."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence

import trio

from wirecore.openmetrics import CONTENT_TYPE
from wirecore.websocket import Request, Response
from wirecore.websocket.request import problem_response

from ._arguments import require_callable, require_int, require_type
from ._errors import require_trio
from ._listeners import listen
from ._listening import Listening
from ._plain_http import PlainHttp


async def serve_metrics(
    render: Callable[[], str],
    host: str | None = "127.0.0.1",
    port: int = 0,
    *,
    listeners: Sequence[socket.socket] | None = None,
    until: Callable[[], Awaitable[None]] = trio.sleep_forever,
    task_status: trio.TaskStatus[Listening] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer GET and HEAD of ``/metrics`` with what *render* gives, until *until* returns.

    *render* is called for each request, in this task, and gives OpenMetrics text, such as
    :func:`wirecore.openmetrics.render` makes. Where it raises, the log has that and the answer is
    500. *host*: only this machine unless told otherwise, as there is neither TLS nor a password;
    None means all interfaces. *port* 0 lets the system choose; ``task_status`` gives a
    :class:`Listening`, which knows. *listeners*: bound, listening sockets in place of both.

    Raises OSError and InvalidOption as the ``serve`` of a server does, and TypeError.
    """
    require_trio()
    require_callable("render", render)
    require_type("host", host, str, optional=True)
    require_int("port", port)

    headers = (
        (b"Content-Type", CONTENT_TYPE.encode("ascii")),
        (b"Cache-Control", b"no-store"),
    )

    def answer(request: Request) -> Response:
        if request.path != "/metrics":
            return problem_response(404, "there is /metrics")
        return Response(200, headers, render().encode("utf-8", "replace"))

    found = await listen(host, port) if listeners is None else listeners
    http = PlainHttp(found, answer, "wirecore.metrics")
    await http.run(until, task_status)


class ServesMetrics(ABC):
    """A server that has metrics."""

    @abstractmethod
    def metrics(self) -> str:
        """Its state as OpenMetrics text."""

    @abstractmethod
    async def wait_closed(self) -> None:
        """Wait until the server has ended."""

    async def serve_metrics(
        self,
        host: str | None = "127.0.0.1",
        port: int = 0,
        *,
        listeners: Sequence[socket.socket] | None = None,
        task_status: trio.TaskStatus[Listening] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Answer plain HTTP: ``/metrics`` is the state as OpenMetrics text.

        Only for this machine unless *host* says otherwise, as it asks for no password.
        ``task_status`` gives a ``Listening``. Returns when the server has ended, see
        :meth:`wait_closed`. Raises as :meth:`serve`, and as :meth:`metrics`.
        """
        self.metrics()  # who has none is told here, and not who looks at them
        await serve_metrics(
            self.metrics,
            host,
            port,
            listeners=listeners,
            until=self.wait_closed,
            task_status=task_status,
        )
