"""The public side of a tunnel: an application of ASGI that passes requests on to publishers."""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import trio

from wirecore.session.limits import check_at_least, check_seconds

from ..._arguments import require_int, require_seconds, require_type
from ..._listening import Listening
from ..._serving_metrics import ServesMetrics
from .._server import Server
from ._caller import caller_of
from ._counts import GONE
from ._exchange import Exchange
from ._limits import Limits
from ._live import serve_live
from ._metrics import metrics_of
from ._publishers import Publishers, Tokens
from ._refusals import CallerGone, Refusal
from ._relay import Relay
from ._routes import Route, Routes
from ._state import GatewayState, state_of
from ._traffic import Traffic

if TYPE_CHECKING:
    from .._asgi_types import Receive, Scope, Send


class Gateway(ServesMetrics):
    """Passes each request on to a publisher: a client that is connected to *server*, and serves.

    Any server of ASGI on trio runs it, such as hypercorn's. *routes*: which publishers get which
    requests; None: the first part of the path is the name, and is taken off. *tokens*: who may
    publish what; then the *server* is to be made with ``on_request=tokens.admit``, too.
    *max_body_size*: bytes of a request's body; 413 beyond; None: any.
    *response_timeout*: seconds for the head of a response; 504 beyond; None: for ever.
    *trust_forwarded*: whether what a request says of where it comes from is believed.

    Requests under way at once, WebSockets among them, each None for any number: *max_requests*: in
    all; 503 beyond. *max_requests_per_publisher*: one that has as many gets no other; 503 where all
    of a name have. *max_requests_per_caller*: from one address, or one /64 of IPv6; 429 beyond.
    With *trust_forwarded* that is what the gateway in front says, else whoever is connected.

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
        max_requests: int | None = None,
        max_requests_per_publisher: int | None = None,
        max_requests_per_caller: int | None = None,
    ) -> None:
        require_type("server", server, Server)
        require_type("tokens", tokens, Tokens, optional=True)
        if max_body_size is not None:
            require_int("max_body_size", max_body_size)
            check_at_least("max_body_size", max_body_size, 0)
        require_seconds("response_timeout", response_timeout)
        check_seconds("response_timeout", response_timeout)
        self.server = server
        self.publishers = Publishers(server, tokens, max_requests_per_publisher)
        self.limits = Limits(max_requests, max_requests_per_caller)
        self.routes = Routes(routes)
        self.traffic = Traffic(server, self.routes.names)
        self.max_body_size = max_body_size
        self.response_timeout = response_timeout
        self.trust_forwarded = trust_forwarded
        #: WebSockets that are under way.
        self.relays: set[Relay] = set()
        self.is_leaving = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = caller_of(scope, trusted=self.trust_forwarded)
        record = self.traffic.begin(caller, scope.get("method", "GET"), scope["path"])
        kind = Exchange if scope["type"] == "http" else Relay
        passing = kind(self, scope, receive, send, record)
        try:
            with self.limits.admitted(caller):
                await passing.run()
        except CallerGone:
            record.status = record.status or GONE
        except Refusal as refusal:
            record.note(refusal.reason, failed=refusal.status >= 500)
            await passing.refuse(refusal)
        except ConnectionAbortedError as error:
            record.note(str(error), failed=True)
            raise
        finally:
            self.traffic.end(record)

    # --- ending it ------------------------------------------------------------------------------

    async def close_websockets(self) -> None:
        """Close those under way with 1001, at both ends, and answer 503 to others from now on.

        That is for who stops its server, which waits for what is under way: WebSockets may last
        for ever. Returns when their callers are told, and waits for one who doesn't read.
        """
        self.is_leaving = True
        async with trio.open_nursery() as nursery:
            for relay in self.relays:
                nursery.start_soon(relay.leave)

    # --- watching it ----------------------------------------------------------------------------

    def state(self) -> GatewayState:
        """Who publishes, what goes through, and what went wrong, as it is now."""
        return state_of(self)

    def metrics(self) -> str:
        """Its state as OpenMetrics text: requests, their latency, and publishers, by name."""
        return metrics_of(self.state())

    async def wait_closed(self) -> None:
        """Wait until the server of the publishers has ended."""
        await self.server.wait_closed()

    async def serve_live(
        self,
        host: str | None = "127.0.0.1",
        port: int = 0,
        *,
        names: Collection[str] = (),
        listeners: Sequence[socket.socket] | None = None,
        task_status: trio.TaskStatus[Listening] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Show what goes on to people: a web page at ``/`` that keeps itself up to date.

        ``/state.json`` is what it shows, ``/metrics`` the state as OpenMetrics text, ``/healthz``
        says "ok". Only for this machine unless *host* says otherwise, as it asks for no password,
        and shows callers' addresses and paths. It answers who asks for an address, localhost,
        *host*, or one of *names*: a page elsewhere whose name leads here is told nothing.
        ``task_status`` gives a ``Listening``. Returns when the server of the publishers has ended.
        Raises OSError, InvalidOption and TypeError as its ``serve``.
        """
        await serve_live(
            self, host, port, names=names, listeners=listeners, task_status=task_status
        )


async def _live(receive: Receive, send: Send) -> None:
    for stage in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{stage}.complete"})
