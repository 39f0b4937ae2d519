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
from wirecore.protocols.rest.heads import HOP_BY_HOP, RequestHead, ResponseHead
from wirecore.protocols.rest.multiplexed import PIECE

from .._arguments import require_type
from .._errors import NotConnected
from ._call import Call
from ._requesting import Content, Requesting, start, with_correlation_id

if TYPE_CHECKING:
    from wirecore.protocols.rest.heads import Fields


class _Body:
    """The body of a response. *seconds*: that each piece of it may take."""

    _library: Any

    def __init__(self, call: Call, seconds: float) -> None:
        self._call = call
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._next()) is not None:
            yield piece

    async def _next(self) -> bytes | None:
        with _mapped(self._library), trio.move_on_after(self._seconds):
            return await self._call.receive()
        raise self._library.ReadTimeout("the response's body didn't go on in time")

    async def aclose(self) -> None:
        await self._call.leave()


class _Transport:
    """Sends requests over *connection*: a connection of this package's, or a client.

    Timeouts are the library's own, as far as they have a meaning here: "connect" for waiting until
    there is a connection, "pool" until a request may go, "read" for the head of the response and
    each piece of its body; "write" has none. Its errors are the library's too. To close it closes
    nothing: the connection is its owner's.

    Raises TypeError for another *connection*.
    """

    _library: Any
    _body: Any

    def __init__(self, connection: Requesting) -> None:
        require_type("connection", connection, Requesting)
        self._connection = connection

    async def handle_async_request(self, request: Any) -> Any:
        """See the library."""
        timeouts = request.extensions.get("timeout", {})
        head = _head(request)
        content: Content = request.stream
        length = request.headers.get("content-length")
        if length is not None and length.isdigit() and int(length) <= PIECE:
            content = b"".join([piece async for piece in request.stream])
        with _mapped(self._library):
            call = await self._sent(head, content, timeouts)
            try:
                response = await self._answered(call, timeouts)
            except BaseException:
                await call.leave()
                raise
        extensions = {"http_version": b"HTTP/1.1"}
        if response.reason:
            extensions["reason_phrase"] = response.reason
        return self._library.Response(
            response.status,
            headers=list(response.fields),
            stream=self._body(call, _seconds(timeouts, "read")),
            extensions=extensions,
        )

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


def make_transport(library: ModuleType) -> type[Any]:
    """The class ``Transport`` for *library*, which is httpx2 or httpx."""
    body = type("Body", (_Body, library.AsyncByteStream), {"_library": library})
    members = {"_library": library, "_body": body, "__doc__": _Transport.__doc__}
    transport = type("Transport", (_Transport, library.AsyncBaseTransport), members)
    transport.__module__ = f"wirecore_trio.rest.{library.__name__}"
    return transport


def _head(request: Any) -> RequestHead:
    fields: Fields = [
        (name, value) for name, value in request.headers.raw if name.lower() not in HOP_BY_HOP
    ]
    url = request.url
    return RequestHead(
        request.method.encode("ascii"),
        url.raw_path,
        with_correlation_id(fields),
        url.scheme.encode("ascii"),
    )


def _seconds(timeouts: Any, kind: str) -> float:
    seconds = timeouts.get(kind)
    return math.inf if seconds is None else seconds


@contextmanager
def _mapped(library: ModuleType) -> Iterator[None]:
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
