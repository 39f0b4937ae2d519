"""Plain HTTP for whoever asks whether a server is well: orchestrators and load balancers."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from wirecore import errors
from wirecore.websocket import Request, Response, ServerHandshake
from wirecore.websocket.request import problem_response

from ._dial import deadline_after
from ._errors import alone
from ._link import Link, SocketLink
from ._listening import Listening
from ._serve import Acceptor
from ._upgrade import linger, receive_request, send_all

logger = logging.getLogger("wirecore.health")

#: Seconds for a request and its answer together; the original's default.
_TIMEOUT: Final = 5.0

#: Probes at once. They are short, and come from a few machines; one more takes the place of the
#: oldest, as long as most of them haven't been answered yet.
_MAX_PROBES: Final = 256
_MAX_CONNECTIONS: Final = 1024

_PLAIN: Final = ((b"Content-Type", b"text/plain; charset=utf-8"), (b"Cache-Control", b"no-store"))


class _Health:
    """Answers ``/healthz`` and ``/livez`` with 200, ``/readyz`` with 200 or, not ready, 503.

    Any other path is answered with 404, any other method than GET and HEAD with 405. *ready* is
    asked for each request, and says in a word why not; "" is ready.
    """

    def __init__(self, listeners: Sequence[socket.socket], ready: Callable[[], str]) -> None:
        self._ready = ready
        self._acceptor = Acceptor(
            listeners,
            self._connected,
            max_connections=_MAX_CONNECTIONS,
            max_handshakes=_MAX_PROBES,
            plain=True,
        )
        self.listening = Listening(self._acceptor)

    async def run(self, wait_closed: Callable[[], Awaitable[None]]) -> None:
        """Answer until *wait_closed* returns."""
        with alone():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._acceptor.run)
                await wait_closed()
                self._acceptor.cancel_connections()

    def answer(self, request: Request) -> Response:
        """The answer to *request*."""
        if request.method not in ("GET", "HEAD"):
            allow = (b"Allow", b"GET, HEAD")
            return problem_response(405, "only GET and HEAD are served here", allow)
        if request.path in ("/healthz", "/livez"):
            return Response(200, _PLAIN, b"ok\n")
        if request.path == "/readyz":
            why_not = self._ready()
            return Response(503 if why_not else 200, _PLAIN, f"{why_not or 'ok'}\n".encode())
        return problem_response(404, "there is /healthz, /livez and /readyz")

    async def _connected(self, sock: socket.socket) -> None:
        link: Link = SocketLink(sock)
        try:
            with trio.CancelScope(deadline=deadline_after(_TIMEOUT)):
                handshake = ServerHandshake()
                request = await receive_request(link, handshake)
                if request is not None:
                    await send_all(link, handshake.respond(self.answer(request)))
                    self._acceptor.opened(sock)  # answered: it gives way to nobody any more
                    sock.shutdown(socket.SHUT_WR)  # some read to the end
                    await linger(link)
        except (errors.RemoteError, trio.BrokenResourceError, OSError) as error:
            logger.debug("a probe wasn't answered: %s", error)
        finally:
            link.close()


async def serve_health(
    why_not_ready: Callable[[], str],
    wait_closed: Callable[[], Awaitable[None]],
    listeners: Sequence[socket.socket],
    *,
    task_status: trio.TaskStatus[Listening] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer probes on *listeners* until *wait_closed* returns; see the method of the server."""
    health = _Health(listeners, why_not_ready)
    task_status.started(health.listening)
    await health.run(wait_closed)
