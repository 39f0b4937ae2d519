"""The live view of a gateway: a page, and what it shows, over plain HTTP."""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence
from functools import cache
from importlib.resources import files
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import trio

from wirecore.openmetrics import CONTENT_TYPE
from wirecore.websocket import Request, Response
from wirecore.websocket.request import origin_problem, problem_response

from ..._arguments import require_int, require_type, words
from ..._errors import require_trio
from ..._listeners import open_listeners
from ..._listening import Listening
from ..._plain_http import PlainHttp
from ._view import view_of

if TYPE_CHECKING:
    from ._gateway import Gateway

#: Nothing from elsewhere, and nothing inline: what strangers say can't become a script.
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_ALWAYS: Final = (
    (b"Cache-Control", b"no-store"),
    (b"Content-Security-Policy", _POLICY.encode("ascii")),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"X-Content-Type-Options", b"nosniff"),
)

_FILES: Final = {
    "/": ("live.html", "text/html; charset=utf-8"),
    "/live.css": ("live.css", "text/css; charset=utf-8"),
    "/live.js": ("live.js", "text/javascript; charset=utf-8"),
    "/live.svg": ("live.svg", "image/svg+xml"),
}


async def serve_live(
    gateway: Gateway,
    host: str | None,
    port: int,
    *,
    names: Collection[str],
    listeners: Sequence[socket.socket] | None,
    task_status: trio.TaskStatus[Listening],
) -> None:
    """See ``Gateway.serve_live``."""
    require_trio()
    require_type("host", host, str, optional=True)
    require_int("port", port)
    known = words("names", names) | ({host} if host else set())
    live = Live(gateway, known)
    found = await open_listeners(host, port) if listeners is None else listeners
    http = PlainHttp(found, live.answer, "wirecore.rest.gateway")
    await http.run(gateway.wait_closed, task_status)


class Live:
    """Answers requests for the view of *gateway*, where it is asked for by one of *names*."""

    def __init__(self, gateway: Gateway, names: Collection[str]) -> None:
        self._gateway = gateway
        self._names = {name.lower() for name in names} | {"localhost"}

    def answer(self, request: Request) -> Response:
        """The answer to a GET or HEAD."""
        if request.path == "/healthz":
            return _found("text/plain; charset=utf-8", b"ok\n")
        if not self._is_ours(request.host):
            return problem_response(403, "this page isn't served under that name")
        problem = origin_problem(request)
        if problem is not None:
            return problem
        if request.path == "/state.json":
            view = view_of(self._gateway.state(), trio.current_time())
            return _found("application/json", view)
        if request.path == "/metrics":
            return _found(CONTENT_TYPE, self._gateway.metrics().encode("utf-8", "replace"))
        if request.path not in _FILES:
            return problem_response(404, "there is /, /state.json, /metrics and /healthz")
        name, kind = _FILES[request.path]
        return _found(kind, _file(name))

    def _is_ours(self, host: str) -> bool:
        """Whether a browser that says *host* means this machine.

        A name of somebody else's may be made to lead here (DNS rebinding), and then a page of his
        is of the same origin. An address can't be.
        """
        name = host.lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        if name in self._names:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def _found(kind: str, body: bytes) -> Response:
    return Response(200, ((b"Content-Type", kind.encode("ascii")), *_ALWAYS), body)


@cache
def _file(name: str) -> bytes:
    """A file of the page; read from the disk once."""
    return (files(__package__) / "page" / name).read_bytes()
