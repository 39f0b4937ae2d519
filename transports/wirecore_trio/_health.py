"""What is told to those who ask whether a server is well: orchestrators and load balancers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from wirecore.websocket import Request, Response
from wirecore.websocket.request import problem_response

from ._listening import Listening
from ._network import AnyListener
from ._plain_http import PlainHttp

_PLAIN: Final = ((b"Content-Type", b"text/plain; charset=utf-8"), (b"Cache-Control", b"no-store"))


async def serve_health(
    why_not_ready: Callable[[], str],
    wait_closed: Callable[[], Awaitable[None]],
    listeners: Sequence[AnyListener],
    *,
    task_status: trio.TaskStatus[Listening] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer probes on *listeners* until *wait_closed* returns; see the method of the server.

    ``/healthz`` and ``/livez`` are 200, ``/readyz`` is 200 or, not ready, 503. *why_not_ready* is
    asked for each request, and says in a word why not; "" is ready.
    """

    def answer(request: Request) -> Response:
        if request.path in ("/healthz", "/livez"):
            return Response(200, _PLAIN, b"ok\n")
        if request.path == "/readyz":
            why_not = why_not_ready()
            return Response(503 if why_not else 200, _PLAIN, f"{why_not or 'ok'}\n".encode())
        return problem_response(404, "there is /healthz, /livez and /readyz")

    http = PlainHttp(listeners, answer, "wirecore.health")
    await http.run(wait_closed, task_status)
