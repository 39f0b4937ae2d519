"""The server's side of an upgrade: what is asked of a request, and how it is answered."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from wirecore import errors
from wirecore.websocket import Request, Response, ServerHandshake, origin_problem
from wirecore.websocket.handshake import HANDSHAKE_FIELDS
from wirecore.websocket.http import UserFields, check_fields, header_fields
from wirecore.websocket.request import foreign_origin

from .._arguments import kind_of, require_async, require_type, require_words
from .._link import Link
from .._upgrade import linger, receive_request, send_all
from ._opened import Opened, Upgraded
from ._options import Options

if TYPE_CHECKING:
    from wirecore._backend import Backend

logger = logging.getLogger("wirecore.websocket")


@dataclass(frozen=True, slots=True)
class Accept:
    """What an ``on_request`` hook returns to choose the headers or the subprotocol itself.

    *headers*: (name, value) pairs, or a mapping. Raises TypeError for other types, InvalidOption
    for headers that can't be sent.
    """

    headers: UserFields = field(default=(), repr=False)  # cookies are among them
    subprotocol: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", header_fields("headers", self.headers))
        check_fields(self.headers, HANDSHAKE_FIELDS)
        require_type("subprotocol", self.subprotocol, str, optional=True)


#: Asked for every HTTP request: a Response is sent instead of the upgrade (also to a request
#: that is none, like a health check), an Accept takes part in it, None leaves it to the server.
OnRequest: TypeAlias = Callable[[Request], Awaitable[Response | Accept | None]]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Upgrading:
    """How a server answers upgrade requests; see :func:`serve` for the fields.

    *check_origin*: says, in place of *origins*, whether a request may pass.
    """

    subprotocols: Sequence[str] = ()
    origins: Collection[str] | None = None
    check_origin: Callable[[Request], bool] | None = None
    on_request: OnRequest | None = None
    options: Options = field(default_factory=Options)
    backend: Backend | None = None

    def __post_init__(self) -> None:
        require_words("subprotocols", self.subprotocols)
        if self.origins is not None:
            require_words("origins", self.origins)
        require_async("on_request", self.on_request, "request", optional=True)
        require_type("options", self.options, Options)

    async def upgrade(self, link: Link) -> Upgraded | None:
        """The HTTP part over *link*; None where it ended with an ordinary answer.

        Raises HandshakeError, trio.BrokenResourceError, and what the hook raises.
        """
        handshake = ServerHandshake()
        request = await receive_request(link, handshake)
        if request is None:
            return None
        answer = await self._ask(request)
        if isinstance(answer, Accept):
            try:
                head = handshake.accept(
                    subprotocol=answer.subprotocol or self._choose(request),
                    headers=answer.headers,
                    compression=self.options.compression,
                )
            except errors.InvalidOption:
                logger.exception("on_request accepted with what can't be sent: answered with 500")
                answer = Response(500)
            else:
                await send_all(link, head)
                accepted = handshake.accepted
                opened = Opened(False, accepted, self.options, request, answer, self.backend)
                return Upgraded(link, opened, handshake.leftover)
        await send_all(link, handshake.respond(answer))
        await linger(link)
        return None

    async def _ask(self, request: Request) -> Response | Accept:
        answer: Response | Accept | None = None
        if self.on_request is not None:
            try:
                running = self.on_request(request)
                if not isinstance(running, Awaitable):
                    raise TypeError(f"on_request must be async: it returned {kind_of(running)}")
                answer = await running
                if not isinstance(answer, Response | Accept | None):
                    wanted = "Response, Accept or None"
                    raise TypeError(f"on_request must return {wanted}, not {kind_of(answer)}")
            except Exception:
                logger.exception("on_request failed; the request is answered with 500")
                return Response(500)
        if isinstance(answer, Response):
            return answer
        return self.problem(request) or answer or Accept()

    def problem(self, request: Request) -> Response | None:
        """The answer to a request that is no proper upgrade, or of a foreign origin."""
        if request.problem is not None or self.check_origin is None or request.origin is None:
            return request.problem or origin_problem(request, self.origins)
        return None if self.check_origin(request) else foreign_origin()

    def _choose(self, request: Request) -> str | None:
        return next((name for name in self.subprotocols if name in request.subprotocols), None)
