"""The requests of REST over WebSocket: those that are made, and those that are served."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore.errors import WirecoreError

from ..rest._asgi_exchange import AsgiExchange
from ..rest._asgi_types import App, Scope
from ..rest._httpx import Sending
from ..rest._requesting import Requesting, Streaming
from ._http import Http
from ._operations import Operation, Providers
from ._patches import Patches

if TYPE_CHECKING:
    from types import TracebackType

    from wirecore.protocols.rest.heads import Fields, RequestHead

    from ..rest._call import Call, Response, ResponseStream
    from ..rest._incoming import Incoming

#: What httpx's request becomes that is being sent in this context.
_under_way: ContextVar[list[Operation]] = ContextVar("wirecore.telemetry.sending")

#: Where a Streaming has its operation.
_OPERATION: Final = "_operation_of_telemetry"


def instrument(patches: Patches, providers: Providers) -> None:
    """Put spans around requests that are made, and requests that are served."""
    http = Http(providers)
    _instrument_requests(patches, http)
    _instrument_streams(patches, http)
    _instrument_httpx(patches, http)
    _instrument_applications(patches, http)


def _instrument_requests(patches: Patches, http: Http) -> None:
    patches.replace(Requesting, "_request", _requesting, http)


def _requesting(original: Any, http: Http) -> Any:
    async def request(
        self: Requesting, head: RequestHead, content: bytes, trailers: Fields, seconds: float
    ) -> Response:
        operation, head = http.send(head)
        try:
            response: Response = await original(self, head, content, trailers, seconds)
            http.answered(operation, response.status)
            return response
        except BaseException as error:
            operation.failed(error)
            raise
        finally:
            operation.end()

    return request


def _instrument_streams(patches: Patches, http: Http) -> None:
    patches.replace(Streaming, "__aenter__", _entering, http)
    patches.replace(Streaming, "__aexit__", _leaving, http)


def _entering(original: Any, http: Http) -> Any:
    async def enter(self: Streaming) -> ResponseStream:
        operation, self._head = http.send(self._head)
        try:
            response: ResponseStream = await original(self)
        except BaseException as error:
            operation.failed(error)
            operation.end()
            raise
        http.answered(operation, response.status)
        if self._content is None:
            # A WebSocket: what is told of is how it was opened.
            operation.unmeasured()
            operation.end()
        else:
            setattr(self, _OPERATION, operation)
        return response

    return enter


def _leaving(original: Any, http: Http) -> Any:
    async def leave(
        self: Streaming,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        operation: Operation | None = getattr(self, _OPERATION, None)
        if operation is not None and self._call is not None:
            failure = self._call.error or _failure_in(error)
            if failure is not None:
                operation.failed(failure)
        try:
            await original(self, kind, error, traceback)
        finally:
            if operation is not None:
                operation.end()

    return leave


def _failure_in(error: BaseException | None) -> BaseException | None:
    """What of *error*, which a block raised, is the request's: the program's own errors aren't."""
    if isinstance(error, BaseExceptionGroup):
        found = (_failure_in(each) for each in error.exceptions)
        return next((each for each in found if each is not None), None)
    return error if isinstance(error, WirecoreError | trio.Cancelled) else None


def _instrument_httpx(patches: Patches, http: Http) -> None:
    patches.replace(Sending, "_exchange", _exchanging, http)
    patches.replace(Sending, "_sent", _sending, http)


def _exchanging(original: Any, http: Http) -> Any:
    async def exchange(self: Sending, request: Any, content: Any) -> Any:
        sent: list[Operation] = []
        token = _under_way.set(sent)
        try:
            call, head = await original(self, request, content)
            for operation in sent:
                http.answered(operation, head.status)
            return call, head
        except BaseException as error:
            for operation in sent:
                operation.failed(error)
            raise
        finally:
            _under_way.reset(token)
            for operation in sent:
                operation.end()

    return exchange


def _sending(original: Any, http: Http) -> Any:
    async def send(self: Sending, head: RequestHead, content: Any, timeouts: Any) -> Call:
        operation, head = http.send(head)
        _under_way.get().append(operation)
        call: Call = await original(self, head, content, timeouts)
        return call

    return send


def _instrument_applications(patches: Patches, http: Http) -> None:
    patches.replace(AsgiExchange, "serve", _serving, http)


def _serving(original: Any, http: Http) -> Any:
    async def serve(self: AsgiExchange, app: App, scope: Scope) -> None:
        with http.serve(self._incoming.head, scope) as operation:
            try:
                await original(self, app, scope)
            finally:
                _served(http, operation, self, scope)

    return serve


def _served(http: Http, operation: Operation, exchange: AsgiExchange, scope: Scope) -> None:
    """The application is through with *exchange*."""
    incoming: Incoming = exchange._incoming
    is_http = scope["type"] == "http"
    status = incoming.answered
    if status is not None and status < 200 and is_http:
        status = None  # one that was to be followed by another
    if status is not None:
        operation.tell("http.response.status_code", status)
    route = _route(scope)
    if route is not None:
        http.matched(operation, http.method_in_names(incoming.head), route)
    if not is_http:
        operation.unmeasured()  # how long a WebSocket lasts is no measure
    if exchange._failure is not None and (status is None or status >= 500 or status == 101):
        operation.failed(exchange._failure)
    elif is_http and exchange._gone and not exchange._response.ended:
        operation.fail("Gone")
    elif status is not None and status >= 500:
        operation.fail(str(status))
    if is_http and exchange._response.ended:
        operation.is_settled = True  # what ends the application now is none of the request's


def _route(scope: Scope) -> str | None:
    """The route that Starlette or FastAPI has found, as it is declared; None where nobody tells.

    Not where a Mount led to: what comes before it in the path isn't told as it was declared.
    """
    path = getattr(scope.get("route"), "path", None)
    root: str = scope["root_path"]
    if not isinstance(path, str) or scope.get("app_root_path", root) != root:
        return None
    return root + path
