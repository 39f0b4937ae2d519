"""One address that a pool listens on: who is let in, at which path, and as whom."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import trio

from wirecore.protocols.pool import PROTOCOL
from wirecore.websocket import Request, Response

from .._dispatch import Workers
from .._network import AnyListener
from ..websocket import _accepting
from ..websocket._accepting import Serving
from ..websocket._opened import Upgraded
from ..websocket._upgrading import Accept
from ._binding import Binding
from ._identity import Introduction, certificate_name, introduction_of

if TYPE_CHECKING:
    from ._callbacks import CallbackBinding, CallbackConnection
    from ._provider_connection import ProviderConnection
    from ._server import PoolServer

    Connection: TypeAlias = ProviderConnection | CallbackConnection

logger = logging.getLogger("wirecore.pool")

_TEXT = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))


@dataclass(frozen=True, slots=True, init=False)
class Admission(Accept):
    """A provider that is let in: to what, what it says of itself, and whose token it shows."""

    bound: Binding | CallbackBinding | None = field(default=None)
    introduction: Introduction = field(default_factory=Introduction)
    name: str | None = None

    def __init__(
        self,
        bound: Binding | CallbackBinding,
        introduction: Introduction,
        name: str | None,
        subprotocol: str | None,
    ) -> None:
        object.__setattr__(self, "bound", bound)
        object.__setattr__(self, "introduction", introduction)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "headers", ())
        object.__setattr__(self, "subprotocol", subprotocol)
        Accept.__post_init__(self)


def admit(server: PoolServer, request: Request) -> Admission | Response | None:
    """What *request* is answered with; None: as any server does."""
    found = _admit(server, request)
    if isinstance(found, Response):
        why = bytes(found.body).decode(errors="replace").strip() or "it is to go elsewhere"
        logger.info("a provider was refused at %.200r: %d, %s", request.path, found.status, why)
    return found


def _admit(server: PoolServer, request: Request) -> Admission | Response | None:
    if server.draining:
        return Response(503, _TEXT, b"the pool is shutting down\n")
    elsewhere = server._paths.redirect(request.path, request.query)
    if elsewhere is not None:
        return Response(301, (("Location", elsewhere),))
    bound = server._paths.find(request.path)
    if bound is None:
        return Response(404, _TEXT, b"404 page not found\n")
    if request.problem is not None:
        return None
    name = None
    if server.tokens is not None:
        name = server.tokens.name_for(request)
        if name is None:
            fields = (*_TEXT, ("WWW-Authenticate", "Bearer"))
            return Response(401, fields, b"a provider's token is needed\n")
    introduction = introduction_of(request)
    if introduction is None:
        return Response(400, _TEXT, b"the provider's introduction can't be understood\n")
    wrong = _wrong_direction(bound, introduction)
    if wrong:
        return Response(400, _TEXT, wrong)
    spoken = PROTOCOL if PROTOCOL in request.subprotocols else None
    return Admission(bound, introduction, name, spoken)


def _wrong_direction(bound: Binding | CallbackBinding, introduction: Introduction) -> bytes:
    """What to tell who means to call where he would be called, or the other way round."""
    if isinstance(bound, Binding) and introduction.direction == "calls":
        return b"this path is for providers, which serve there: call-backs have another one\n"
    if not isinstance(bound, Binding) and introduction.direction == "serves":
        return b"this path serves call-backs, which are called there: providers have another one\n"
    return b""


class Bound(_accepting.Bound["Connection"]):
    """What ``serve`` gives to its ``task_status``: a pool's bound addresses."""

    def __init__(
        self,
        server: PoolServer,
        serving: Serving,
        listeners: Sequence[AnyListener],
        nursery: trio.Nursery,
    ) -> None:
        super().__init__(serving, listeners, nursery.cancel_scope)
        self._server = server
        #: Where tasks of connections, and calls that were submitted, run.
        self.nursery = nursery
        self.workers = Workers(nursery, threads=server.options.max_threads)

    def _connect(self, upgraded: Upgraded, peer: str) -> Connection | None:
        opened = upgraded.opened
        admission = opened.answer
        assert opened.request is not None, "a server has the client's request"
        assert isinstance(admission, Admission), "every upgrade is admitted by admit"
        assert admission.bound is not None
        server = self._server
        identity = admission.name or certificate_name(upgraded.link)
        if identity is None and not server._asks_for_proof:
            identity = admission.introduction.name
        if server.draining:
            return None
        return admission.bound.connect(
            server, self, upgraded, admission.introduction, identity, peer
        )
