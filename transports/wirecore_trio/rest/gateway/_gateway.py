"""The public side of a tunnel: an application of ASGI that passes requests on to publishers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wirecore.session.limits import check_at_least, check_seconds

from ..._arguments import require_int, require_seconds, require_type
from .._server import Server
from ._exchange import Exchange
from ._publishers import Publishers, Tokens
from ._refusals import CallerGone, Refusal
from ._routes import Route, Routes
from ._traffic import Traffic

if TYPE_CHECKING:
    from .._asgi_types import Receive, Scope, Send


class Gateway:
    """Passes each request on to a publisher: a client that is connected to *server*, and serves.

    Any server of ASGI on trio runs it, such as hypercorn's. *routes*: which publishers get which
    requests; None: the first part of the path is the name, and is taken off. *tokens*: who may
    publish what; then the *server* is to be made with ``on_request=tokens.admit``, too.
    *max_body_size*: bytes of a request's body; 413 beyond; None: any.
    *response_timeout*: seconds for the head of a response; 504 beyond; None: for ever.
    *trust_forwarded*: whether what a request says of where it comes from is believed.

    404 where there is no route, 503 where nobody publishes it, 502 where a publisher was lost, or
    gave up, before it answered. A request that certainly reached no publisher goes to another.
    Raises InvalidOption and TypeError for options that make no sense.
    """

    def __init__(
        self,
        server: Server,
        routes: Sequence[Route] | None = None,
        *,
        tokens: Tokens | None = None,
        max_body_size: int | None = None,
        response_timeout: float | None = 60.0,
        trust_forwarded: bool = False,
    ) -> None:
        require_type("server", server, Server)
        require_type("tokens", tokens, Tokens, optional=True)
        if max_body_size is not None:
            require_int("max_body_size", max_body_size)
            check_at_least("max_body_size", max_body_size, 0)
        require_seconds("response_timeout", response_timeout)
        check_seconds("response_timeout", response_timeout)
        self.server = server
        self.publishers = Publishers(server, tokens)
        self.routes = Routes(routes)
        self.traffic = Traffic()
        self.max_body_size = max_body_size
        self.response_timeout = response_timeout
        self.trust_forwarded = trust_forwarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0. WebSockets aren't passed on."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._pass_on(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1011})

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = (scope.get("client") or ("-",))[0]
        record = self.traffic.begin(caller, scope["method"], scope["path"])
        exchange = Exchange(self, scope, receive, send, record)
        try:
            await exchange.run()
        except CallerGone:
            record.status = record.status or 499
        except Refusal as refusal:
            await exchange.refuse(refusal)
        finally:
            self.traffic.end(record)


async def _live(receive: Receive, send: Send) -> None:
    for stage in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{stage}.complete"})
