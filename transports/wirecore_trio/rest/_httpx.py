"""httpx2 and httpx over a connection: one transport for both, as their classes are alike."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import trio

from wirecore import errors
from wirecore.protocols.rest.errors import Aborted
from wirecore.protocols.rest.heads import HOP_BY_HOP, RequestHead, ResponseHead, http_scheme
from wirecore.protocols.rest.multiplexed import PIECE

from .._arguments import require_type
from .._errors import NotConnected
from ._call import Call
from ._requesting import Content, Requesting, start, with_correlation_id

if TYPE_CHECKING:
    from wirecore.protocols.rest.heads import Fields


class Sending:
    """What sends requests of *_library*'s over *connection*: in trio's run, whoever awaits it.

    Raises TypeError for a *connection* that is none of this package's, nor a client.
    """

    _library: Any

    def __init__(self, connection: Requesting) -> None:
        require_type("connection", connection, Requesting)
        self._connection = connection

    async def _exchange(self, request: Any, content: Content) -> tuple[Call, ResponseHead]:
        """Send *request*, and wait for the head of its response. Raises the library's errors."""
        timeouts = request.extensions.get("timeout", {})
        with mapped(self._library):
            call = await self._sent(_head(request), content, timeouts)
            try:
                return call, await self._answered(call, timeouts)
            except BaseException:
                await call.leave()
                raise

    async def _sent(self, head: RequestHead, content: Content, timeouts: Any) -> Call:
        library = self._library
        with trio.move_on_after(_seconds(timeouts, "connect")) as scope:
            await self._connection._reach()
        if scope.cancelled_caught:
            raise library.ConnectTimeout("there was no connection in time")
        with trio.move_on_after(_seconds(timeouts, "pool")) as scope:
            channel = await self._connection._acquire()
        if scope.cancelled_caught:
            raise library.PoolTimeout("no request could go in time: too many are under way")
        call = Call(channel)
        start(call, head, content, ())
        return call

    async def _answered(self, call: Call, timeouts: Any) -> ResponseHead:
        with trio.move_on_after(_seconds(timeouts, "read")):
            return await call.answered()
        raise self._library.ReadTimeout("no answer came in time")

    def _response(self, head: ResponseHead, stream: Any) -> Any:
        extensions = {"http_version": b"HTTP/1.1"}
        if head.reason:
            extensions["reason_phrase"] = head.reason
        return self._library.Response(
            head.status, headers=list(head.fields), stream=stream, extensions=extensions
        )


async def receive(library: Any, call: Call, request: Any) -> bytes | None:
    """The next piece of the body that answers *request*. Raises the library's errors."""
    seconds = _seconds(request.extensions.get("timeout", {}), "read")
    with mapped(library), trio.move_on_after(seconds):
        return await call.receive()
    raise library.ReadTimeout("the response's body didn't go on in time")


def is_small(request: Any) -> bool:
    """Whether the body of *request* goes at once, read as a whole."""
    length = request.headers.get("content-length")
    return length is not None and length.isdigit() and int(length) <= PIECE


class _Body:
    _library: Any

    def __init__(self, call: Call, request: Any) -> None:
        self._call = call
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await receive(self._library, self._call, self._request)) is not None:
            yield piece

    async def aclose(self) -> None:
        await self._call.leave()


class _Transport(Sending):
    """Sends requests over *connection*: a connection of this package's, or a client; on trio.

    Timeouts are the library's own, as far as they have a meaning here: "connect" for waiting until
    there is a connection, "pool" until a request may go, "read" for the head of the response and
    each piece of its body; "write" has none. Its errors are the library's too. To close it closes
    nothing: the connection is its owner's.

    Raises TypeError for another *connection*.
    """

    _body: Any

    async def handle_async_request(self, request: Any) -> Any:
        """See the library."""
        content: Content = request.stream
        if is_small(request):
            content = b"".join([piece async for piece in request.stream])
        call, head = await self._exchange(request, content)
        return self._response(head, self._body(call, request))


def make_transport(library: ModuleType) -> type[Any]:
    """The class ``Transport`` for *library*, which is httpx2 or httpx."""
    body = made("Body", _Body, library, library.AsyncByteStream)
    return made("Transport", _Transport, library, library.AsyncBaseTransport, _body=body)


def made(name: str, kind: type, library: ModuleType, base: type, **members: Any) -> type[Any]:
    """The class *name*: *kind*, for *library*, as what it takes for a *base*."""
    members |= {"_library": library, "__doc__": kind.__doc__}
    found: type[Any] = type(name, (kind, base), members)
    found.__module__ = f"wirecore_trio.rest.{library.__name__}"
    return found


def _head(request: Any) -> RequestHead:
    fields: Fields = [
        (name, value) for name, value in request.headers.raw if name.lower() not in HOP_BY_HOP
    ]
    url = request.url
    return RequestHead(
        request.method.encode("ascii"),
        url.raw_path,
        with_correlation_id(fields),
        # There is no WebSocket in a response: what asks for one gets what HTTP has there.
        http_scheme(url.scheme.encode("ascii")),
    )


def _seconds(timeouts: Any, kind: str) -> float:
    seconds = timeouts.get(kind)
    return math.inf if seconds is None else seconds


@contextmanager
def mapped(library: ModuleType) -> Iterator[None]:
    """Have errors be the library's."""
    try:
        yield
    except NotConnected as error:
        raise library.ConnectError(str(error)) from error
    except errors.ConnectionLost as error:
        raise library.ReadError(str(error)) from error
    except (Aborted, errors.RemoteError) as error:
        raise library.RemoteProtocolError(str(error)) from error
    except errors.LocalError as error:
        raise library.LocalProtocolError(str(error)) from error
