"""Plain HTTP on an address of its own, for machines that ask a server how it does.

One request a connection, a short answer that is ready at once, bounds on connections and time.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import trio

from wirecore import errors
from wirecore.websocket import Request, Response, ServerHandshake
from wirecore.websocket.request import problem_response

from ._dial import deadline_after
from ._errors import alone
from ._listening import Listening
from ._network import Accepted, AnyListener, accepted_link, end_sending
from ._serve import Acceptor
from ._upgrade import linger, receive_request, send_all

#: Seconds for a request and its answer together; the original's default for health probes.
_TIMEOUT: Final = 5.0

#: Requests at once. They are short, and come from a few machines; one more takes the place of the
#: oldest, as long as most of them haven't been answered yet.
_MAX_REQUESTS: Final = 256
_MAX_CONNECTIONS: Final = 1024

#: The answer to a request of GET or HEAD. An exception is logged, and answered with 500.
Answer: TypeAlias = Callable[[Request], Response]


class PlainHttp:
    """Answers GET and HEAD with *answer*, any other method with 405. *name*: of its logger."""

    def __init__(self, listeners: Sequence[AnyListener], answer: Answer, name: str) -> None:
        self._answer = answer
        self._logger = logging.getLogger(name)
        self._acceptor = Acceptor(
            listeners,
            self._connected,
            max_connections=_MAX_CONNECTIONS,
            max_handshakes=_MAX_REQUESTS,
            plain=True,
        )
        self.listening = Listening(self._acceptor)

    async def run(
        self, until: Callable[[], Awaitable[None]], task_status: trio.TaskStatus[Listening]
    ) -> None:
        """Answer until *until* returns; *task_status* is given what is listened on."""
        task_status.started(self.listening)
        with alone():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._acceptor.run)
                await until()
                # Closes the listeners and all connections.
                self._acceptor.cancel_connections()

    def respond(self, request: Request) -> Response:
        """The answer to *request*."""
        if request.method not in ("GET", "HEAD"):
            allow = (b"Allow", b"GET, HEAD")
            return problem_response(405, "only GET and HEAD are served here", allow)
        try:
            return self._answer(request)
        except Exception:
            self._logger.exception("the answer to %s couldn't be made", request.path)
            return problem_response(500, "the server failed to make this; its log tells why")

    async def _connected(self, sock: Accepted) -> None:
        link = accepted_link(sock)
        try:
            with trio.CancelScope(deadline=deadline_after(_TIMEOUT)):
                handshake = ServerHandshake()
                request = await receive_request(link, handshake)
                if request is not None:
                    await send_all(link, handshake.respond(self.respond(request)))
                    self._acceptor.opened(sock)  # answered: it gives way to nobody any more
                    await end_sending(sock)  # some read to the end
                    await linger(link)
        except (errors.RemoteError, trio.BrokenResourceError, OSError) as error:
            self._logger.debug("a request wasn't answered: %s", error)
        finally:
            link.close()
